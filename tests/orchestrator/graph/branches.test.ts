// Branches of a graph: what their roles find, what functions see of the task, and how they fail.

import { expect, test } from "bun:test";
import { AIMessage, HumanMessage } from "@langchain/core/messages";
import { Annotation, END, MessagesAnnotation, Send, START, StateGraph } from "@langchain/langgraph";
import { startTask } from "../../../src/orchestrator/advance.ts";
import type { Orchestrator } from "../../../src/orchestrator/contract.ts";
import { createGraph } from "../../../src/orchestrator/graph/rule.ts";
import { branchesOf } from "../../../src/orchestrator/join.ts";
import type { Json, JsonObject } from "../../../src/task/json.ts";
import { branchSeed } from "../../../src/task/seed.ts";
import { ADMITTED, Cut, walk } from "../walk.ts";
import { classes, play } from "./play.ts";

const State = Annotation.Root({
  n: Annotation<number>,
  items: Annotation<unknown[]>,
  seen: Annotation<unknown[]>({ reducer: (all, more) => [...all, ...more], default: () => [] }),
});

const ruleOf = (graph: unknown, roles: readonly string[], canFork = true): Orchestrator =>
  createGraph(graph, { path: "graph.ts", roles, score: null, classes, canFork });

/** Two nodes at once, then one. */
function three(a: unknown, b: unknown = () => ({})) {
  return new StateGraph(State)
    .addNode("a", a as never)
    .addNode("b", b as never)
    .addNode("c", () => ({}))
    .addEdge(START, "a")
    .addEdge(START, "b")
    .addEdge(["a", "b"], "c")
    .compile();
}
const ROLES = ["a", "b", "c"];

async function statesOf(graph: unknown, roles: readonly string[], row: JsonObject) {
  const rule = { orchestrator: ruleOf(graph, roles), roles: new Set(roles), maxHops: 50 };
  const message = await startTask(rule, { ...ADMITTED, row });
  if (message.kind === "step") return { to: message.task.role, state: message.task.state };
  return message.kind === "fork" ? branchesOf(message.task) : message.ending.error?.message;
}

test("roles that act at once find the channels of their graph, or the argument of their Send", async () => {
  const sends = new StateGraph(State)
    .addNode("a", () => ({}))
    .addNode("b", () => ({}))
    .addEdge(START, "b")
    .addConditionalEdges(START, ({ items }) => items.map((item) => new Send("a", item)))
    .compile();
  const values = { n: 1, items: [{ x: 1 }, "text"], seen: [] };
  expect(await statesOf(sends, ["a", "b"], { n: 1, items: [{ x: 1 }, "text"] })).toEqual([
    { to: "b", state: { ...values, __graph__: { branch: { node: "b", isSend: false } } } },
    { to: "a", state: { x: 1, __graph__: { branch: { node: "a", isSend: true } } } },
    { to: "a", state: "text" },
  ]);
});

test("a role that acts alone finds plain channels, and beside them only nodes that wait", async () => {
  const sequence = new StateGraph(State)
    .addNode("a", () => ({}))
    .addEdge(START, "a")
    .compile();
  expect(await statesOf(sequence, ["a"], { n: 1 })).toEqual({ to: "a", state: { n: 1, seen: [] } });
  const deferred = new StateGraph(State)
    .addNode("a", () => ({}))
    .addNode("z", () => ({}), { defer: true })
    .addEdge(START, "a")
    .addEdge(START, "z")
    .compile();
  expect(await statesOf(deferred, ["a", "z"], { n: 1 })).toEqual({
    to: "a",
    state: {
      ...{ n: 1, seen: [] },
      __graph__: {
        ...{ values: null, seen: [], deferred: ["z"] },
        tasks: [{ node: "a", send: null, frame: null, writes: null }],
      },
    },
  });
  const sent = new StateGraph(State)
    .addNode("a", () => ({}))
    .addConditionalEdges(START, () => new Send("a", 5))
    .compile();
  // A role finds the argument as it is, so this one is a branch.
  expect(await statesOf(sent, ["a"], {})).toEqual([{ to: "a", state: 5 }]);
});

test("functions of nodes that run at once see the result, role, seed and history of their own branch", async () => {
  const see = (_: unknown, { configurable = {} }: { configurable?: Record<string, unknown> }) => {
    const { result, role, seed, id, trial, row, history } = configurable;
    const roles = (history as { role: string }[]).map((hop) => hop.role);
    return { seen: [[result, role, seed, id, trial, row, roles]] as unknown[] };
  };
  const graph = new StateGraph(State)
    .addNode("first", () => ({}))
    .addNode("a", see)
    .addNode("b", see)
    .addNode("c", ({ seen }) => ({ seen: [seen.length] }))
    .addEdge(START, "first")
    .addEdge("first", "a")
    .addEdge("first", "b")
    .addEdge(["a", "b"], "c")
    .compile();
  let seen: Json = null;
  const rule = createGraph(graph, {
    ...{ path: "graph.ts", roles: ["first", ...ROLES], classes, canFork: true },
    score: (variables) => {
      seen = variables["seen"] ?? null;
      return null;
    },
  });
  await play(rule, ["first", ...ROLES], { n: 4 });
  const told = ["7", 2, { n: 4 }];
  expect(seen as Json).toEqual([
    ["a(4)", "a", branchSeed(11, 0), ...told, ["first", "a"]],
    ["b(4)", "b", branchSeed(11, 1), ...told, ["first", "b"]],
    2,
  ]);
});

test("the outcome of nodes that end a graph together has the result of each under its name", async () => {
  const graph = new StateGraph(State)
    .addNode("a", () => ({}))
    .addNode("b", () => ({}))
    .addEdge(START, "a")
    .addConditionalEdges(START, () => [new Send("b", { n: 1 }), new Send("b", { n: 2 })])
    .compile();
  const { end } = await play(ruleOf(graph, ["a", "b"]), ["a", "b"], { n: 0 });
  expect(end.ending.outcome).toEqual({ a: "a(0)", b: ["b(1)", "b(2)"] });
});

test("a function that fails in a branch ends the task at once, with its role and hop", () => {
  const fails = () => {
    throw new Error("no a");
  };
  const rule = { orchestrator: ruleOf(three(fails), ROLES), roles: new Set(ROLES), maxHops: 50 };
  const { ending, route } = walk(rule, { a: () => 1, b: () => 2, c: () => 3 });
  expect(ending.error).toMatchObject({ message: "no a", role: "a", hop: 0 });
  // Its sibling had not answered.
  expect(route).toEqual(["a"]);
});

test("a missing answer in a branch ends the task with its reason", () => {
  const orchestrator = ruleOf(
    three(() => ({})),
    ROLES,
  );
  const rule = { orchestrator, roles: new Set(ROLES), maxHops: 50 };
  const { ending } = walk(rule, { a: () => 1, b: () => new Cut("content_filtered"), c: () => 3 });
  expect(ending).toMatchObject({ status: "ok", stopReason: "content_filtered", score: null });
});

test("nodes that update a channel without a reducer at once are named", async () => {
  const update = () => ({ n: 1 });
  const { end } = await play(ruleOf(three(update, update), ROLES), ROLES, {});
  expect(end.ending.error?.message).toContain(
    "state.n: LastValue can only receive one value per step.",
  );
  expect(end.ending.error?.message).toContain("a and b update it in one step: give it a reducer");
});

test("a rule whose task may not fork has a join only when its edges show that it forks", () => {
  const chosen = new StateGraph(State)
    .addNode("a", () => ({}))
    .addNode("b", () => ({}))
    .addEdge(START, "a")
    .addConditionalEdges("a", ({ n }) => (n > 0 ? ["b", "a"] : END))
    .compile();
  const rule = ruleOf(chosen, ["a", "b"], false);
  expect(rule.join).toBeUndefined();
  const run = (n: number) =>
    walk({ orchestrator: rule, roles: new Set(["a", "b"]), maxHops: 9 }, { a: () => 1 }, { n });
  expect(run(0).ending.status).toBe("ok");
  expect(run(1).ending.error?.message).toContain("forks, but the orchestrator has no join()");
  const inner = new StateGraph(State)
    .addNode(
      "team",
      three(() => ({})),
    )
    .addEdge(START, "team")
    .compile();
  expect(ruleOf(inner, ROLES, false).join).toBeDefined();
});

test("a graph that goes several ways for ever ends at max_hops", async () => {
  const graph = new StateGraph(State)
    .addNode("a", () => ({}))
    .addNode("b", () => ({}))
    .addEdge(START, "a")
    .addEdge("a", "a")
    .addEdge("a", "b")
    .compile();
  const rule = { orchestrator: ruleOf(graph, ["a", "b"]), roles: new Set(["a", "b"]), maxHops: 10 };
  const { ending, task } = walk(rule, { a: () => 1, b: () => 2 });
  expect(ending.error).toMatchObject({ code: "max_hops" });
  // One alone, then two at once; a sixth pair would be one too many.
  expect(task.history).toHaveLength(9);
});

test("messages keep their kind from hop to hop, and the same task gets the same ids", async () => {
  const kinds: string[] = [];
  const graph = new StateGraph(MessagesAnnotation)
    .addNode("a", () => ({ messages: [new HumanMessage("hi"), { role: "user", content: "ho" }] }))
    .addNode("b", ({ messages }) => {
      for (const message of messages) kinds.push(message.getType());
      return { messages: [new AIMessage({ content: "x", tool_calls: [{ name: "f", args: {} }] })] };
    })
    .addEdge(START, "a")
    .addEdge("a", "b")
    .compile();
  const stateOf = async (seed: number) => {
    const states: Json[] = [];
    const answer = (_: string, state: Json) => {
      states.push(state);
      return null;
    };
    const rule = ruleOf(graph, ["a", "b"]);
    await play(rule, ["a", "b"], { messages: [["human", "first"]] }, { seed, answer });
    return (states[1] as { messages: { kwargs: JsonObject }[] }).messages;
  };
  const messages = await stateOf(1);
  expect(kinds).toEqual(["human", "human", "human"]);
  expect(messages.map(({ kwargs }) => kwargs["content"])).toEqual(["first", "hi", "ho"]);
  expect(new Set(messages.map(({ kwargs }) => kwargs["id"])).size).toBe(3);
  expect(await stateOf(2)).toEqual(messages);
});
