// LangGraph.js graphs as rules: the paper's graph beside the paper's update(), Coral's graph beside the pattern, and what a graph
// may not be.

import { describe, expect, test } from "bun:test";
import { Annotation, Command, END, START, StateGraph } from "@langchain/langgraph";
import { nextMessage, type Rule, startTask } from "../../src/orchestrator/advance.ts";
import { done, type Orchestrator, to } from "../../src/orchestrator/contract.ts";
import { createGraph } from "../../src/orchestrator/graph.ts";
import { compileExpression } from "../../src/recipe/expression.ts";
import type { Json, JsonObject } from "../../src/task/json.ts";
import { createRandom } from "../../src/task/seed.ts";
import type { Ending } from "../../src/task/task.ts";

interface Walked {
  readonly route: readonly string[];
  readonly ending: Ending;
  readonly state: Json;
}

/** Walks a task to its end, its state carried as JSON between hops. */
function walk(
  orchestrator: Orchestrator,
  roles: readonly string[],
  answer: (role: string, turn: number) => Json,
  row: JsonObject = {},
): Walked {
  const rule: Rule = { orchestrator, roles: new Set(roles), maxHops: 50 };
  const route: string[] = [];
  let state: Json = null;
  let message = startTask(rule, {
    rowId: "1",
    trial: 0,
    row,
    seed: 1,
    attempt: 1,
    admittedAt: 0,
    trace: null,
  });
  while (message.kind === "step") {
    const task = JSON.parse(JSON.stringify(message.task)) as typeof message.task;
    state = task.state;
    const result = answer(task.role, route.length);
    route.push(task.role);
    message = nextMessage(rule, task, {
      hop: route.length - 1,
      role: task.role,
      host: "h",
      at: "",
      queue_ms: 0,
      run_ms: 0,
      result,
    });
  }
  if (message.kind === "fork") throw new Error("the task went several ways at once");
  return { route, ending: message.ending, state };
}

function ruleOf(graph: unknown, roles: readonly string[], score?: string): Orchestrator {
  const compiled = score === undefined ? null : compileExpression(score);
  return createGraph(graph, {
    path: "graph.ts",
    roles,
    score: compiled,
  }) as unknown as Orchestrator;
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

describe("a graph", () => {
  test("of the paper takes the way that the paper's update takes, whatever the roles answer", () => {
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

  test("keeps its state by its channels: defaults, reducers, and fields of the row that are named like them", () => {
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

  test("routes by a path map, by a command, and from the start by a condition", () => {
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

  test("runs nodes that are marked inline where the task passes by, as no role and no hop", () => {
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
    expect(walk(ruleOf(round, []), ["b"], () => null).ending.error?.message).toContain(
      "inline nodes go round for ever",
    );
  });

  test("is scored by the recipe's expression over its state", () => {
    const State = Annotation.Root({ n: Annotation<number> });
    const graph = new StateGraph(State)
      .addNode("a", () => ({ n: 4 }))
      .addEdge(START, "a")
      .compile();
    expect(walk(ruleOf(graph, ["a"], "n + result"), ["a"], () => 2).ending.score).toBe(6);
  });
});

describe("a graph that no task can walk", () => {
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

  test("is refused when it is loaded, with everything that is wrong", () => {
    const split = two()
      .addEdge(START, "b")
      .addNode("c", () => ({}))
      .addEdge(["a", "b"], "c")
      .compile();
    const message = refusal(split, ["a", "b", "d"]);
    expect(message).toContain("its node c is no role of the recipe: a, b, d");
    expect(message).toContain("no task ever comes to the role d");
    expect(message).toContain("the start leads to several nodes at once");
    expect(message).toContain("waits for several nodes");
    expect(refusal({ nodes: 1 }, [])).toContain("graph.ts gives no StateGraph");
    expect(refusal(null, [])).toContain("graph.ts gives no StateGraph");
    const inner = new StateGraph(State)
      .addNode("a", two().addEdge("a", "b").compile())
      .addEdge(START, "a")
      .compile();
    expect(refusal(inner, ["a"])).toContain("a graph of its own");
  });

  test("fails the task where it shows only then", () => {
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
        () => ["a", "b"],
      ),
    ).toContain("a leads to a and b; a task goes to one at a time");
    expect(
      failure(
        () => ({}),
        () => "c",
      ),
    ).toContain('routes to "c", which is no role of the recipe: a, b');
    expect(
      failure(
        () => ({}),
        () => 7,
      ),
    ).toContain("a leads to 7, which is no name of a node");
    expect(failure(() => ({ bag: { when: new Date(0) } }))).toContain(
      "state.bag.when is a Date, which JSON cannot carry",
    );
    expect(failure(() => "b")).toContain(
      'an update of the state is an object of its channels, not "b"',
    );
  });

  test("fails a task whose end is none", () => {
    const Ending = Annotation.Root({ stop_reason: Annotation<string> });
    const graph = new StateGraph(Ending)
      .addNode("a", () => ({ stop_reason: "bored" }))
      .addEdge(START, "a")
      .compile();
    const { ending } = walk(ruleOf(graph, ["a"]), ["a"], () => null);
    expect(ending.error?.message).toContain('stop_reason is "bored"; allowed: completed, agreed');
  });
});
