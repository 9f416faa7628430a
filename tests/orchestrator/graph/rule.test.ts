// LangGraph.js graphs as rules, and the paper's graph beside the paper's update(). Coral's graph
// beside the dialogue pattern is in tests/e2e/orchestrator/graph.test.ts.

import { expect, test } from "bun:test";
import { Annotation, Command, END, interrupt, START, StateGraph } from "@langchain/langgraph";
import { done, type Orchestrator, to } from "../../../src/orchestrator/contract.ts";
import { createGraph } from "../../../src/orchestrator/graph/rule.ts";
import { compileExpression } from "../../../src/recipe/expression/expression.ts";
import type { Json, JsonObject } from "../../../src/task/json.ts";
import { createRandom } from "../../../src/task/seed.ts";
import { type Walked, walkOrchestrator } from "../walk.ts";
import { classes } from "./play.ts";

/** Walks a task with roles that all answer by one function; its `turn` counts hops from 0. */
function walk(
  orchestrator: Orchestrator,
  roles: readonly string[],
  answer: (role: string, turn: number) => Json,
  row: JsonObject = {},
): Walked {
  let hops = 0;
  const script = Object.fromEntries(roles.map((role) => [role, () => answer(role, hops++)]));
  return walkOrchestrator(orchestrator, script, row);
}

function ruleOf(
  graph: unknown,
  roles: readonly string[],
  score?: string,
  canFork = true,
): Orchestrator {
  const compiled = score === undefined ? null : compileExpression(score);
  return createGraph(graph, {
    path: "graph.ts",
    roles,
    score: compiled,
    classes,
    canFork,
  });
}

const TAU2_ROLES = ["user_simulator", "llm_agent", "remote_env", "remote_reward"];

interface Step {
  readonly stop: boolean;
  readonly calls: boolean;
}

/** The paper's build_tau2_graph, with the edges of llm_agent that its figure has. */
function buildTau2Graph() {
  const Tau2State = Annotation.Root({
    should_stop: Annotation<boolean>,
    has_tool_calls: Annotation<boolean>,
    last_non_env_agent: Annotation<"user_simulator" | "llm_agent">,
  });
  const note = (
    state: Partial<typeof Tau2State.State>,
    config: { readonly configurable?: Record<string, unknown> },
  ) => {
    const result = config.configurable?.["result"] as Step;
    return { ...state, should_stop: result.stop, has_tool_calls: result.calls };
  };
  const graph = new StateGraph(Tau2State)
    .addNode("user_simulator", (_, config) =>
      note({ last_non_env_agent: "user_simulator" }, config),
    )
    .addNode("llm_agent", (_, config) => note({ last_non_env_agent: "llm_agent" }, config))
    .addNode("remote_env", (_, config) => note({}, config))
    .addNode("remote_reward", () => ({}));
  graph.setEntryPoint("user_simulator");
  graph.addConditionalEdges("user_simulator", (s) =>
    s.should_stop ? "remote_reward" : s.has_tool_calls ? "remote_env" : "llm_agent",
  );
  graph.addConditionalEdges("llm_agent", (s) =>
    s.should_stop ? "remote_reward" : s.has_tool_calls ? "remote_env" : "user_simulator",
  );
  graph.addConditionalEdges("remote_env", (s) =>
    s.should_stop ? "remote_reward" : s.last_non_env_agent,
  );
  graph.addEdge("remote_reward", END);
  return graph.compile();
}

/** The paper's update(). */
const update: Orchestrator<string> = {
  start: () => to<string>("user_simulator", ""),
  next: (last, result, { role }) => {
    const { stop, calls } = result as unknown as Step;
    if (role === "remote_reward") return done({ outcome: result as JsonObject });
    if (stop) return to<string>("remote_reward", last);
    const speaker = role === "remote_env" ? last : (role ?? "");
    if (role === "remote_env") return to<string>(last, last);
    if (calls) return to<string>("remote_env", speaker);
    return to<string>(role === "user_simulator" ? "llm_agent" : "user_simulator", speaker);
  },
};

test("the paper's graph takes the route of the paper's update(), for any answers", () => {
  const graph = ruleOf(buildTau2Graph(), TAU2_ROLES);
  for (let seed = 0; seed < 200; seed++) {
    const random = createRandom(seed);
    const answers = Array.from({ length: 60 }, (_, turn) => ({
      stop: random() < 0.1 || turn > 40,
      calls: random() < 0.5,
      turn,
    }));
    const answer = (_: string, turn: number): Json => answers[turn] ?? null;
    const [byGraph, byModule] = [
      walk(graph, TAU2_ROLES, answer),
      walk(update as unknown as Orchestrator, TAU2_ROLES, answer),
    ];
    expect({ seed, route: byGraph.route, ending: byGraph.ending }).toEqual({
      seed,
      route: byModule.route,
      ending: byModule.ending,
    });
  }
});

test("a graph keeps its state in channels, with defaults, reducers and fields of the row", () => {
  const State = Annotation.Root({
    topic: Annotation<string>,
    notes: Annotation<string[]>({
      reducer: (all, more) => [...all, ...more],
      default: () => ["begun"],
    }),
    unset: Annotation<number>,
  });
  const graph = new StateGraph(State)
    .addNode("a", ({ topic }, { configurable }) => ({
      notes: [`${topic} ${JSON.stringify(configurable?.["row"])} ${configurable?.["result"]}`],
    }))
    .addNode("b", () => ({}))
    .addEdge(START, "a")
    .addEdge("a", "b")
    .compile();
  const { route, state, ending } = walk(
    ruleOf(graph, ["a", "b"]),
    ["a", "b"],
    (role) => ({ a: 1, b: { score: 0.5 } })[role] ?? null,
    {
      topic: "tea",
      n: 7,
      other: true,
    },
  );
  expect({ route, state }).toEqual({
    route: ["a", "b"],
    state: { topic: "tea", notes: ["begun", 'tea {"topic":"tea","n":7,"other":true} 1'] },
  });
  expect(ending).toMatchObject({ stopReason: "completed", score: 0.5, outcome: { score: 0.5 } });
});

test("a graph routes by a path map, by a command, and from the start by a condition", () => {
  const State = Annotation.Root({
    n: Annotation<number>,
    score: Annotation<number>,
    stop_reason: Annotation<string>,
  });
  const graph = new StateGraph(State)
    .addNode("odd", ({ n }) => ({ n: n + 1 }))
    .addNode(
      "even",
      ({ n }) => new Command({ update: { n: n + 3, score: n }, goto: n > 4 ? "last" : "odd" }),
      { ends: ["odd", "last"] },
    )
    .addNode("last", () => ({ stop_reason: "stopped" }))
    .addConditionalEdges(START, ({ n }) => (n % 2 === 0 ? "yes" : "no"), {
      yes: "even",
      no: "odd",
    })
    .addConditionalEdges("odd", ({ n }) => String(n > 0), { true: "even", false: END })
    .compile();
  const roles = ["odd", "even", "last"];
  const { route, ending } = walk(ruleOf(graph, roles), roles, () => null, { n: 1 });
  expect(route).toEqual(["odd", "even", "odd", "even", "last"]);
  expect(ending).toMatchObject({ stopReason: "stopped", score: 6, outcome: { result: null } });
});

test("a graph runs an inline node where the task passes by, without a hop", () => {
  const State = Annotation.Root({ n: Annotation<number> });
  const inline = { metadata: { inline: true } };
  const graph = new StateGraph(State)
    .addNode(
      "begin",
      (_, { configurable }) => ({ n: Object.keys(configurable?.["row"] as object).length }),
      inline,
    )
    .addNode("work", ({ n }) => ({ n: n + 10 }))
    .addNode("count", ({ n }) => ({ n: n + 1 }), inline)
    .addEdge(START, "begin")
    .addEdge("begin", "work")
    .addEdge("work", "count")
    .addConditionalEdges("count", ({ n }) => (n < 20 ? "work" : n < 25 ? "count" : END))
    .compile();
  const { route, ending } = walk(ruleOf(graph, ["work"], "n"), ["work"], () => null, {
    a: 1,
    b: 2,
  });
  expect({ route, score: ending.score }).toEqual({ route: ["work", "work"], score: 25 });
  const round = new StateGraph(State)
    .addNode("a", () => ({}), inline)
    .addEdge(START, "a")
    .addEdge("a", "a")
    .compile();
  expect(walk(ruleOf(round, []), ["b"], () => null).ending.error?.message).toBe(
    "after the start inline nodes form an endless loop, and a is one of them",
  );
});

test("a graph is scored by the recipe's expression over its state and the last result", () => {
  const State = Annotation.Root({ n: Annotation<number> });
  const graph = new StateGraph(State)
    .addNode("a", () => ({ n: 4 }))
    .addEdge(START, "a")
    .compile();
  expect(walk(ruleOf(graph, ["a"], "n + result"), ["a"], () => 2).ending.score).toBe(6);
});

const State = Annotation.Root({ n: Annotation<number>, bag: Annotation<unknown> });
const refusal = (graph: unknown, roles: readonly string[]): string => {
  try {
    ruleOf(graph, roles);
    return "nothing";
  } catch (thrown) {
    expect(thrown).toMatchObject({ code: "module_invalid" });
    return (thrown as Error).message;
  }
};
const two = () =>
  new StateGraph(State)
    .addNode("a", () => ({}))
    .addNode("b", () => ({}))
    .addEdge(START, "a");

test("a graph that no task can walk is refused when it is loaded, with every fault", () => {
  const split = two()
    .addNode("c", () => interrupt("who?"))
    .addEdge("a", "b")
    .addEdge("b", "c")
    .compile({ interruptBefore: ["b"] });
  const message = refusal(split, ["a", "b", "d"]);
  expect(message).toContain("node c is not a role of the recipe; roles: a, b, d");
  expect(message).toContain("role d has no node, so no task comes to it");
  expect(message).toContain("node c calls interrupt(), but no person waits for a task");
  expect(message).toContain("the graph is compiled to stop before node b");
  expect(refusal({ nodes: 1 }, [])).toContain("graph.ts does not give a StateGraph");
  expect(refusal(null, [])).toContain("graph.ts does not give a StateGraph");
  const inner = new StateGraph(State)
    .addNode("a", two().addEdge("a", "b").compile({ checkpointer: true }))
    .addNode("c", () => ({}), { subgraphs: [two().addEdge("a", "b").compile() as never] })
    .addEdge(START, "a")
    .addEdge("a", "c")
    .compile();
  expect(refusal(inner, ["a"])).toBe(
    "no task can walk the graph of graph.ts: node c is not a role of the recipe; roles: a; " +
      "node a/b is not a role b of the recipe; roles: a; " +
      "node c calls a graph in its function; make the compiled graph the node itself; " +
      "node a is a graph that remembers its earlier runs (checkpointer: true); " +
      "keep what it needs in the state of the graph around it",
  );
});

test("a fault of a graph that shows only in a task fails the task", () => {
  const failure = (
    answer: (state: typeof State.State) => unknown,
    condition: (state: typeof State.State) => unknown = () => "b",
  ) => {
    const graph = new StateGraph(State)
      .addNode("a", answer as never)
      .addNode("b", () => ({}))
      .addEdge(START, "a")
      .addConditionalEdges("a", condition as never)
      .compile();
    const { ending } = walk(ruleOf(graph, ["a", "b"]), ["a", "b"], () => null);
    return `${ending.error?.code}: ${ending.error?.message}`;
  };
  expect(failure(async () => ({ n: 1 }))).toBe(
    "orchestrator_failed: node a returned a promise; it must be pure and answer at once",
  );
  expect(
    failure(
      () => ({}),
      async () => "b",
    ),
  ).toContain("the condition condition after a returned a promise");
  expect(
    failure(
      () => ({}),
      () => "c",
    ),
  ).toContain('a leads to "c", which is not the name of a node');
  expect(
    failure(
      () => ({}),
      () => 7,
    ),
  ).toContain("a leads to 7, which is not the name of a node");
  expect(failure(() => ({ bag: { when: new Date(0) } }))).toContain(
    "state.bag.when is a Date, which JSON cannot carry",
  );
  expect(failure(() => "b")).toContain(
    'an update of the state is an object of its channels, not "b"',
  );
});

test("a graph that ends with an unknown stop reason fails the task", () => {
  const Ending = Annotation.Root({ stop_reason: Annotation<string> });
  const graph = new StateGraph(Ending)
    .addNode("a", () => ({ stop_reason: "bored" }))
    .addEdge(START, "a")
    .compile();
  const { ending } = walk(ruleOf(graph, ["a"]), ["a"], () => null);
  expect(ending.error?.message).toContain('stop_reason is "bored"; allowed: completed, agreed');
});

test.each<[passes: number, status: string]>([
  [999, "ok"],
  [1000, "failed"],
])("a task that passes inline nodes %p times between two roles is %s", (passes, status) => {
  const State = Annotation.Root({ n: Annotation<number> });
  const graph = new StateGraph(State)
    .addNode("a", ({ n }) => ({ n: n + 1 }), { metadata: { inline: true } })
    .addEdge(START, "a")
    .addConditionalEdges("a", ({ n }) => (n < passes ? "a" : END))
    .compile();
  expect(walk(ruleOf(graph, []), [], () => null, { n: 0 }).ending.status).toBe(status as "ok");
});

test("a graph's functions see the result, the role, and the task's identity and content", () => {
  const State = Annotation.Root({ seen: Annotation<unknown[]> });
  const graph = new StateGraph(State)
    .addNode("a", (_, { configurable = {} }) => {
      const { result, role, id, trial, seed, row, history } = configurable;
      return { seen: [result, role, id, trial, seed, row, (history as unknown[]).length] };
    })
    .addEdge(START, "a")
    .addConditionalEdges("a", (_, { configurable }) => (configurable?.["trial"] === 2 ? END : "a"))
    .compile();
  const rule = ruleOf(graph, ["a"], "size(seen)");
  expect(walk(rule, ["a"], () => ({ role: "x", seen: 1 })).ending.score).toBe(7);
  const shown = new StateGraph(Annotation.Root({ outcome: Annotation<unknown> }))
    .addNode("a", (_, { configurable = {} }) => ({ outcome: { ...configurable } }))
    .addEdge(START, "a")
    .compile();
  expect(walk(ruleOf(shown, ["a"]), ["a"], () => 5, { q: 1 }).ending.outcome).toMatchObject({
    result: 5,
    role: "a",
    id: "7",
    trial: 2,
    seed: 11,
    row: { q: 1 },
    history: [{ role: "a", result: 5 }],
  });
});

test("a graph ends with the reason, score and outcome of its state, or of the last result", () => {
  const State = Annotation.Root({
    stop_reason: Annotation<string>,
    score: Annotation<number>,
    outcome: Annotation<unknown>,
  });
  const endOf = (update: object, result: Json, score?: string) => {
    const graph = new StateGraph(State)
      .addNode("a", () => update)
      .addEdge(START, "a")
      .compile();
    const {
      stopReason,
      score: scored,
      outcome,
    } = walk(ruleOf(graph, ["a"], score), ["a"], () => result).ending;
    return [stopReason, scored, outcome] as unknown[];
  };
  expect(endOf({}, { score: 2 })).toEqual(["completed", 2, { score: 2 }]);
  expect(endOf({ score: 1 }, { score: 2 })).toEqual(["completed", 1, { score: 2 }]);
  expect(endOf({ stop_reason: "agreed", outcome: { x: 1, score: 3 } }, { score: 2 })).toEqual([
    "agreed",
    3,
    { x: 1, score: 3 },
  ]);
  expect(endOf({ outcome: "text" }, 4)).toEqual(["completed", null, { result: 4 }]);
  expect(endOf({ score: 1 }, 4, "result * 2")).toEqual(["completed", 8, { result: 4 }]);
});

test("an update of undefined or null leaves a graph's state as it is", () => {
  const State = Annotation.Root({ n: Annotation<number> });
  for (const update of [undefined, null]) {
    const graph = new StateGraph(State)
      .addNode("a", () => update as never)
      .addEdge(START, "a")
      .compile();
    expect(walk(ruleOf(graph, ["a"], "n"), ["a"], () => null, { n: 4 }).ending.score).toBe(4);
  }
});
