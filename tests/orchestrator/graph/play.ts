// Plays a graph's rule with roles that answer by their name and by what they find in their state,
// and LangGraph itself with the same answers. State travels as JSON, and branches end in an order
// that is drawn.

import type { Rule } from "../../../src/orchestrator/advance.ts";
import { nextMessage, startTask } from "../../../src/orchestrator/advance.ts";
import type { Orchestrator, RemoteOrchestrator } from "../../../src/orchestrator/contract.ts";
import { importMessages } from "../../../src/orchestrator/graph/messages.ts";
import { createGraph } from "../../../src/orchestrator/graph/rule.ts";
import { channelsOf, type StateGraph } from "../../../src/orchestrator/graph/state-graph.ts";
import { branchesOf, type Ended, joinMessage } from "../../../src/orchestrator/join.ts";
import { isJsonObject, type Json, type JsonObject } from "../../../src/task/json.ts";
import { branchSeed, createRandom } from "../../../src/task/seed.ts";
import type { EndMessage, Message, Task } from "../../../src/task/task.ts";
import { ADMITTED, hopOf } from "../walk.ts";

export const classes = await importMessages();

/** The answer of a role: what a prompt might have made of its state. */
export function answerOf(role: string, state: unknown): string {
  const { item = null, n = null } = isJsonObject(state as Json) ? (state as JsonObject) : {};
  return `${role}(${JSON.stringify(isJsonObject(state as Json) ? (item ?? n) : state)})`;
}

/** The result of a node's role: of ours from its configuration, and in LangGraph made here. */
export function resultIn(config: unknown, role: string, state: unknown): string {
  const { configurable } = config as { configurable?: Record<string, unknown> };
  return (configurable?.["result"] as string | undefined) ?? answerOf(role, state);
}

export interface Played {
  readonly end: EndMessage;
  /** The roles that acted in each step of the task, those of branches together. */
  readonly route: readonly (readonly string[])[];
}

/** Plays one task to its end. */
export async function play(
  orchestrator: Orchestrator | RemoteOrchestrator,
  roles: readonly string[],
  row: JsonObject,
  { seed = 1, answer = answerOf as (role: string, state: Json) => Json } = {},
): Promise<Played> {
  const rule: Rule = { orchestrator, roles: new Set(roles), maxHops: 10_000 };
  const random = createRandom(seed);
  const route: string[][] = [];
  const act = (task: Task): Message | Promise<Message> =>
    nextMessage(rule, task, hopOf(task.role, answer(task.role, task.state), task.history.length));
  const join = async (task: Task): Promise<Message> => {
    const branches = branchesOf(task);
    route.push(branches.map(({ to }) => to));
    const ended: (Ended | null)[] = branches.map(() => null);
    const order = branches.map((_, index) => [random(), index] as const).sort();
    for (const [, index] of order) {
      const { to = "", state = null } = branches[index] ?? {};
      const own = { role: to, state, seed: branchSeed(task.seed, index) };
      const message = await act({ ...task, ...own, branch: { of: "h", id: index } });
      if (message.kind !== "end") throw new Error("a branch of a graph takes one step");
      const hops = message.task.history.slice(task.history.length);
      ended[index] = { hops, ending: message.ending };
      const joined = await joinMessage(rule, task, ended);
      if (joined !== null) return joined;
    }
    throw new Error("the task waits although every branch has ended");
  };
  let message = await startTask(rule, { ...ADMITTED, row });
  while (message.kind !== "end") {
    const task = JSON.parse(JSON.stringify(message.task)) as Task;
    if (message.kind === "step") route.push([task.role]);
    message = await (message.kind === "fork" ? join(task) : act(task));
  }
  return { end: message, route };
}

/** The final state of a graph by our rule, as JSON. */
export async function playGraph(
  graph: unknown,
  row: JsonObject,
  seed = 1,
): Promise<Played & { readonly state: JsonObject }> {
  const roles = rolesOf(graph);
  let state: Record<string, Json> = {};
  const rule = createGraph(graph, {
    path: "graph.ts",
    roles,
    classes,
    canFork: true,
    // The score is the one function that is given the whole state.
    score: (variables) => {
      state = {};
      for (const name of outputsOf(graph))
        if (variables[name] !== undefined) state[name] = variables[name];
      return null;
    },
  });
  const played = await play(rule, roles, row, { seed });
  const { error } = played.end.ending;
  return { ...played, state: error === null ? plain(state) : { error: error.message } };
}

/** The final state of a graph by LangGraph itself. */
export async function invoke(graph: unknown, row: JsonObject): Promise<JsonObject> {
  const { invoke } = graph as { invoke(row: object, config: object): Promise<object> };
  try {
    return plain(await invoke.call(graph, row, { recursionLimit: 200 }));
  } catch (thrown) {
    return { error: (thrown as Error).message };
  }
}

/** A state as JSON, without the ids that LangGraph draws. */
export function plain(state: object): JsonObject {
  const text = JSON.stringify(state, (key, value) => {
    if (key !== "kwargs" || typeof value?.id !== "string" || value.id.length < 20) return value;
    const { id: _, ...rest } = value;
    return rest;
  });
  return JSON.parse(text);
}

/** The channels that LangGraph answers with. */
function outputsOf(graph: unknown): readonly string[] {
  const { builder } = graph as { readonly builder: StateGraph };
  return channelsOf(builder, builder._outputDefinition);
}

interface Drawn {
  readonly builder: { readonly nodes: Record<string, { metadata?: { inline?: boolean } }> };
}

export function rolesOf(graph: unknown): string[] {
  const roles = Object.entries((graph as Drawn).builder.nodes).flatMap(([name, node]) => {
    const inner = (node as unknown as { runnable: object }).runnable;
    if (node.metadata?.inline === true) return [];
    return "builder" in inner ? rolesOf(inner) : [name];
  });
  return [...new Set(roles)];
}
