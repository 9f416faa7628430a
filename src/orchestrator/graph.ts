// graph: a compiled StateGraph of LangGraph.js as a rule. Nothing of it runs: nodes are roles, which agents do on hosts; what is
// read here is its edges, its conditions and the functions that a node makes a result into state with, all pure and at once.
// A node that is marked `metadata: { inline: true }` is no role: its function runs where the task passes by.
// A task is in one place at a time, so a graph that goes to several nodes at once, or waits for several, is refused.

import { MatrixError } from "../error.ts";
import { isJsonObject, type Json, type JsonObject } from "../task/json.ts";
import {
  done,
  END_REASONS,
  type EndReason,
  type Orchestrator,
  type Route,
  type RouteContext,
  to,
} from "./contract.ts";
import { type Compiled, outcomeOf, scoreOf, variablesOf } from "./results.ts";

/** As LangGraph spells them. */
const START = "__start__";
const END = "__end__";
/** Inline nodes between two roles: more go round for ever. */
const INLINE_MAX = 1000;
/** Channels of the state that say how the record ends, where a graph has them. */
const ENDING = { reason: "stop_reason", score: "score", outcome: "outcome" } as const;

/** A function of the user's, as LangGraph keeps it. */
interface Callable {
  readonly func?: (state: JsonObject, config: unknown) => unknown;
}

interface Node {
  readonly runnable: Callable;
  readonly metadata?: { readonly inline?: unknown } | undefined;
  readonly subgraphs?: readonly unknown[] | undefined;
}

interface Branch {
  readonly path: Callable;
  /** From what the condition answers to where that leads; unset, it answers with names of nodes. */
  readonly ends?: Readonly<Record<string, string>> | undefined;
}

/** One value of the state, with the rule by which updates change it. */
interface Channel {
  fromCheckpoint(checkpoint: unknown): Channel;
  update(values: readonly unknown[]): boolean;
  isAvailable(): boolean;
  get(): unknown;
  checkpoint(): unknown;
}

/** What is read of a StateGraph: the same in every 1.x. */
interface Builder {
  readonly nodes: Readonly<Record<string, Node>>;
  readonly edges: Iterable<readonly [from: string, to: string]>;
  /** Edges that wait for several nodes. */
  readonly waitingEdges: Iterable<unknown>;
  readonly branches: Readonly<Record<string, Readonly<Record<string, Branch>>>>;
  readonly channels: Readonly<Record<string, Channel | { readonly lg_is_channel?: false }>>;
}

export interface GraphOptions {
  /** What errors call it. */
  readonly path: string;
  readonly roles: readonly string[];
  readonly score: Compiled;
}

/** The checkpoints of the channels that have a value. */
type State = JsonObject;

/** Fails with `module_invalid` for what is no graph, or one that no task can walk. */
export function createGraph(exported: unknown, options: GraphOptions): Orchestrator<State> {
  const builder = builderOf(exported, options.path);
  refuse(faultsOf(builder, options.roles), options.path);
  const walk = new Walk(builder, options);
  return {
    start: (row, context) => walk.go(START, walk.updated({}, row), null, context),
    next: (state, result, context) => walk.go(context.role ?? START, state, result, context),
  };
}

class Walk {
  readonly #builder: Builder;
  readonly #channels: readonly (readonly [name: string, channel: Channel])[];
  readonly #score: Compiled;

  constructor(builder: Builder, { score }: GraphOptions) {
    this.#builder = builder;
    this.#channels = Object.entries(builder.channels).filter(
      (entry): entry is [string, Channel] => "fromCheckpoint" in entry[1],
    );
    this.#score = score;
  }

  /** From a node whose role has answered, or the start, to the next role or the end, through the nodes that are no roles. */
  go(from: string, before: State, result: Json, context: RouteContext): Route<State> {
    let [node, state] = [from, before];
    for (let passed = 0; passed < INLINE_MAX; passed++) {
      const [after, targets] = this.#pass(node, state, result, context);
      const next = oneOf(targets, node);
      if (next === null) return this.#end(after, result, context);
      if (!isInline(this.#builder.nodes[next])) return to<State>(next, after);
      [node, state] = [next, after];
    }
    throw new Error(`after ${where(from)} inline nodes go round for ever, ${node} among them`);
  }

  /** What a node's function does to the state, and where its command or its edges lead. */
  #pass(
    node: string,
    before: State,
    result: Json,
    context: RouteContext,
  ): readonly [after: State, targets: readonly unknown[]] {
    const config = configOf(result, context);
    const answer = call(
      this.#builder.nodes[node]?.runnable,
      `node ${node}`,
      this.#valuesOf(before),
      config,
    );
    const { update, goto } = isCommand(answer) ? answer : { update: answer };
    const state = this.updated(before, update);
    const targets = [goto ?? []].flat();
    return [state, targets.length > 0 ? targets : this.#targetsOf(node, state, config)];
  }

  /** Along the edges of a node, plain and conditional. */
  #targetsOf(node: string, state: State, config: unknown): readonly unknown[] {
    const targets: unknown[] = [...this.#builder.edges]
      .filter(([from]) => from === node)
      .map(([, to]) => to);
    for (const [name, { path, ends }] of Object.entries(this.#builder.branches[node] ?? {})) {
      const answer = call(
        path,
        `the condition ${name} after ${node}`,
        this.#valuesOf(state),
        config,
      );
      for (const one of [answer].flat()) targets.push(ends === undefined ? one : ends[String(one)]);
    }
    return targets;
  }

  /** The state after an update, which need not name every channel. */
  updated(before: State, update: unknown): State {
    if (update === undefined || update === null) return before;
    if (!isJsonObject(update))
      throw new Error(
        `an update of the state is an object of its channels, not ${JSON.stringify(update)}`,
      );
    const after: Record<string, Json> = {};
    for (const [name, channel] of this.#channels) {
      const current = channel.fromCheckpoint(before[name]);
      if (update[name] !== undefined) current.update([update[name]]);
      if (current.isAvailable()) after[name] = asJson(current.checkpoint(), name);
    }
    return after;
  }

  #end(state: State, result: Json, context: RouteContext): Route<State> {
    const values = this.#valuesOf(state);
    const {
      [ENDING.reason]: reason = "completed",
      [ENDING.outcome]: told = null,
      [ENDING.score]: stated,
    } = values;
    if (!isEndReason(reason))
      throw new Error(
        `${ENDING.reason} is ${JSON.stringify(reason)}; allowed: ${END_REASONS.join(", ")}`,
      );
    const outcome = isJsonObject(told) ? told : outcomeOf(result);
    const score = scoreOf(this.#score, stated === undefined ? outcome : { score: stated }, () =>
      variablesOf(context, result, values),
    );
    return done({ reason, outcome, score });
  }

  #valuesOf(state: State): JsonObject {
    const values: Record<string, Json> = {};
    for (const [name, channel] of this.#channels) {
      const current = channel.fromCheckpoint(state[name]);
      if (current.isAvailable()) values[name] = current.get() as Json;
    }
    return values;
  }
}

/** The one place that the edges lead to; null at the end. */
function oneOf(targets: readonly unknown[], node: string): string | null {
  const open = [...new Set(targets)].filter((target) => target !== END);
  if (open.length === 0) return null;
  if (open.length > 1)
    throw new Error(`${where(node)} leads to ${open.join(" and ")}; a task goes to one at a time`);
  const [next] = open;
  if (typeof next === "string") return next;
  throw new Error(`${where(node)} leads to ${JSON.stringify(next)}, which is no name of a node`);
}

function isInline(node: Node | undefined): boolean {
  return node?.metadata?.inline === true;
}

interface Command {
  readonly update?: unknown;
  readonly goto?: unknown;
}

function isCommand(answer: unknown): answer is Command {
  return (
    typeof answer === "object" &&
    answer !== null &&
    (answer as { lg_name?: unknown }).lg_name === "Command"
  );
}

function isEndReason(value: Json): value is EndReason {
  return END_REASONS.some((reason) => reason === value);
}

/** What LangGraph hands its functions beside the state; ours stands where its own settings do. */
function configOf(result: Json, context: RouteContext): unknown {
  const { role, id, trial, seed } = context;
  return {
    configurable: {
      ...{ result, role, id, trial, seed },
      get row() {
        return context.row;
      },
      get history() {
        return context.history;
      },
    },
  };
}

function call(
  callable: Callable | undefined,
  what: string,
  state: JsonObject,
  config: unknown,
): unknown {
  const answer = callable?.func?.(state, config);
  if (answer instanceof Promise)
    throw new Error(`${what} returned a promise; it must be pure and answer at once`);
  return answer;
}

/** What travels is JSON; an object of a class would arrive as another. */
function asJson(value: unknown, path: string): Json {
  const isObject = typeof value === "object" && value !== null;
  if (
    isObject &&
    !Array.isArray(value) &&
    ![Object.prototype, null].includes(Object.getPrototypeOf(value))
  )
    throw new Error(
      `state.${path} is a ${value.constructor?.name ?? "object"}, which JSON cannot carry`,
    );
  if (isObject) for (const [key, part] of Object.entries(value)) asJson(part, `${path}.${key}`);
  return value as Json;
}

function where(node: string): string {
  return node === START ? "the start" : node;
}

function builderOf(exported: unknown, path: string): Builder {
  const builder = (exported as { builder?: unknown } | null | undefined)?.builder ?? exported;
  const parts = ["nodes", "edges", "branches", "channels", "waitingEdges"];
  if (typeof builder === "object" && builder !== null && parts.every((part) => part in builder))
    return builder as Builder;
  throw new MatrixError("module_invalid", `${path} gives no StateGraph`, {
    hint: 'orchestrator.graph = "graph.ts#build", with export function build() { return new StateGraph(…)….compile(); }',
  });
}

/** What no task could walk, each as a sentence. */
function faultsOf(
  { nodes, edges, waitingEdges, branches, channels }: Builder,
  roles: readonly string[],
): string[] {
  const names = Object.keys(nodes);
  const ofRoles = names.filter((name) => !isInline(nodes[name]));
  const plain = [...edges].map(([from]) => from);
  const isManaged = (name: string): boolean => !("fromCheckpoint" in (channels[name] ?? {}));
  return [
    ...ofRoles
      .filter((name) => !roles.includes(name))
      .map((name) => `its node ${name} is no role of the recipe: ${roles.join(", ")}`),
    ...roles
      .filter((role) => !ofRoles.includes(role))
      .map((role) => `no task ever comes to the role ${role}: it has no such node`),
    ...names
      .filter((name) => (nodes[name]?.subgraphs ?? []).length > 0)
      .map((name) => `its node ${name} is a graph of its own, which is not walked`),
    ...names
      .filter((name) => nodes[name]?.runnable.func === undefined)
      .map((name) => `its node ${name} is no plain function`),
    ...Object.entries(branches).flatMap(([from, conditions]) =>
      Object.entries(conditions)
        .filter(([, { path }]) => path.func === undefined)
        .map(([name]) => `the condition ${name} after ${where(from)} is no plain function`),
    ),
    ...[...new Set(plain.filter((from, index) => plain.indexOf(from) !== index))].map(
      (from) => `${where(from)} leads to several nodes at once; a task goes to one at a time`,
    ),
    ...([...waitingEdges].length > 0
      ? ["an edge of it waits for several nodes; a task goes to one at a time"]
      : []),
    ...Object.keys(channels)
      .filter(isManaged)
      .map((name) => `state.${name} is a value that LangGraph's own runtime keeps`),
  ];
}

function refuse(faults: readonly string[], path: string): void {
  if (faults.length === 0) return;
  const problems = faults.map((message) => ({ key: "orchestrator.graph", message }));
  throw new MatrixError(
    "module_invalid",
    `no task can walk the graph of ${path}: ${faults.join("; ")}`,
    { problems },
  );
}
