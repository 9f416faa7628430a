// Graphs in Python that no task can walk, and faults of them that show only in a task.

import { expect, test } from "bun:test";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { MatrixError } from "../../../src/error.ts";
import type { Done, RemoteOrchestrator } from "../../../src/orchestrator/contract.ts";
import { createPythonGraph } from "../../../src/orchestrator/graph/python-graph.ts";
import { PythonFiles } from "../../../src/python/files.ts";
import type { JsonObject } from "../../../src/task/json.ts";
import { play } from "../../orchestrator/graph/play.ts";
import { withFolder } from "../../parts/folder.ts";
import { langgraphPython } from "../../parts/langgraph-python.ts";

const HEAD = `import operator
from typing import Annotated, TypedDict
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send, interrupt
class State(TypedDict, total=False):
    n: int
    bag: object
    all: Annotated[list, operator.add]
def two(a=lambda s: {}):
    graph = StateGraph(State)
    graph.add_node("a", a)
    graph.add_node("b", lambda s: {})
    graph.add_edge(START, "a")
    return graph
`;
const TOLD = { name: "build", roles: ["a", "b"], canFork: true };

async function open(
  folder: string,
  source: string,
  { settings = {}, ...more }: Partial<typeof TOLD> & { settings?: JsonObject } = {},
): Promise<RemoteOrchestrator> {
  const path = join(folder, "route.py");
  await writeFile(path, HEAD + source);
  const files = new PythonFiles({ command: [langgraphPython ?? ""], processes: 1 });
  const graph = { ...TOLD, path: "route.py#build", ...more };
  return createPythonGraph(await files.open({ kind: "graph", path, settings, graph }), null);
}

const problemOf = (source: string, more: Parameters<typeof open>[2] = {}) =>
  withFolder(async (folder) => {
    const thrown = (await open(folder, source, more).catch((error) => error)) as MatrixError;
    const [problem] = thrown.problems;
    return { line: problem?.line, message: problem?.message };
  });

const CALLS = "calls interrupt(), but no person waits for a task; let a role answer instead";

const REFUSED: readonly (readonly [source: string, line: number | undefined, fault: string])[] = [
  [
    `import langgraph.types as types
def ask(s):
    return types.interrupt("who?")
def build():
    return two(ask).compile()`,
    16,
    `node a ${CALLS}`,
  ],
  [
    `def ask(s):
    from langgraph.types import interrupt as wait
    return wait("who?")
def build():
    return two(ask).compile()`,
    15,
    `node a ${CALLS}`,
  ],
  [
    `import functools
def ask(who, s):
    return interrupt(who)
def build():
    return two(functools.partial(ask, "who?")).compile()`,
    undefined,
    `node a ${CALLS}`,
  ],
  [
    `class Ask:
    def run(self, s): return self.more()
    def more(self): return interrupt("who?")
def build():
    return two(Ask().run).compile()`,
    16,
    `node a ${CALLS}`,
  ],
  [
    `class Ask:
    def __call__(self, s): return interrupt("who?")
def build():
    return two(Ask()).compile()`,
    undefined,
    `node a ${CALLS}`,
  ],
  [
    `from langgraph.errors import NodeInterrupt
def ask(s):
    raise NodeInterrupt("who?")
def build():
    return two(ask).compile()`,
    16,
    "node a raises NodeInterrupt, but no person waits for a task; let a role answer instead",
  ],
  [
    `def choose(s):
    return interrupt("who?")
def build():
    graph = two()
    graph.add_conditional_edges("a", choose)
    return graph.compile()`,
    15,
    `the condition choose after a ${CALLS}`,
  ],
  [
    `def ask(s):
    return interrupt("who?")
def build():
    return two(ask).compile()`,
    15,
    `node a ${CALLS}`,
  ],
  [
    `def ask(s):
    return deeper()
def deeper():
    return interrupt("who?")
build = two(ask).compile()`,
    15,
    `node a ${CALLS}`,
  ],
  [
    `inner = two().compile()
def call(s):
    return inner.invoke(s)
build = two(call).compile()`,
    16,
    "node a calls a graph in its function; make the compiled graph the node itself",
  ],
  [
    `def build():
    return two().compile(interrupt_before=["b"])`,
    undefined,
    "the graph is compiled to stop before node b, and no person waits for a task",
  ],
  [
    `def keep(s, *, store):
    return {}
build = two(keep).compile()`,
    15,
    "node a takes a store, and a task has only its state: keep there what it needs",
  ],
  [
    `from langgraph.managed import IsLastStep
class Managed(State):
    last: IsLastStep
def build():
    graph = StateGraph(Managed)
    graph.add_node("a", lambda s: {})
    graph.add_node("b", lambda s: {})
    graph.add_edge(START, "a")
    return graph.compile()`,
    undefined,
    "state.last is a managed value, which exists only in LangGraph's own runtime",
  ],
  [
    `def build():
    graph = two()
    graph.add_node("c", lambda s: {})
    graph.add_edge("b", "c")
    return graph.compile()`,
    17,
    "node c is not a role of the recipe; roles: a, b",
  ],
  [
    `def build():
    graph = StateGraph(State)
    graph.add_node("a", two().compile(checkpointer=True))
    graph.add_node("b", lambda s: {})
    graph.add_edge(START, "a")
    return graph.compile()`,
    undefined,
    "node a is a graph that remembers its earlier runs (checkpointer=True); keep what it needs in the state of the graph around it",
  ],
];

test.if(langgraphPython !== null)(
  "a graph in Python that no task can walk is refused by the name and the line of its node",
  async () => {
    for (const [source, line, fault] of REFUSED)
      expect({ source, ...(await problemOf(source)) }).toEqual({
        source,
        line,
        message: `GraphError: no task can walk the graph of route.py#build: ${fault}`,
      });
  },
);

test.if(langgraphPython !== null)("a file in Python without a graph says so", async () => {
  expect((await problemOf("")).message).toBe(
    "LookupError: the file has no build: name the graph after a #",
  );
  expect((await problemOf("", { name: "default" })).message).toBe(
    "LookupError: the file has no graph and no build: name the graph after a #",
  );
  expect((await problemOf("build = 5")).message).toBe(
    "GraphError: route.py#build gives a int and no StateGraph: return graph.compile()",
  );
  expect(await problemOf("def build(:")).toMatchObject({ line: 15 });
});

const playIn = (source: string, row: JsonObject = {}, more: Parameters<typeof open>[2] = {}) =>
  withFolder(async (folder) => {
    const rule = await open(folder, source, more);
    const { end, route } = await play(rule, TOLD.roles, row);
    const { error, ...ending } = end.ending;
    return { ...ending, route, error };
  });

test.if(langgraphPython !== null)(
  "a graph in Python takes settings, reads the task, and says how its record ends",
  async () => {
    const source = `
class Ending(State):
    score: float
    stop_reason: str
    outcome: dict
def build(settings):
    def a(state, config):
        told = config["configurable"]
        seen = {key: told[key] for key in ("result", "role", "id", "trial", "seed", "row")}
        return {"n": state["n"] + settings["more"], "outcome": {**seen, "hops": len(told["history"])}}
    graph = StateGraph(Ending)
    graph.add_node("a", a)
    graph.add_node("b", lambda s: {"score": s["n"] / 2, "stop_reason": "stopped"})
    graph.add_edge(START, "a")
    graph.add_edge("a", "b")
    return graph.compile()
`;
    expect(await playIn(source, { n: 3, q: "x" }, { settings: { more: 4 } })).toMatchObject({
      status: "ok",
      stopReason: "stopped",
      score: 3.5,
      outcome: {
        ...{ result: "a(3)", role: "a", id: "7", trial: 2, seed: 11 },
        ...{ row: { n: 3, q: "x" }, hops: 1 },
      },
      route: [["a"], ["b"]],
    });
  },
);

const FAILURES: readonly (readonly [body: string, message: string])[] = [
  [`return {"bag": object()}`, "TypeError: state.bag is a object, which JSON cannot carry"],
  [`return {"bag": {1: 2}}`, "TypeError: state.bag has the key 1; keys of the state are text"],
  [
    `return {"bag": [{2}]}`,
    "TypeError: state.bag[0] is a set, which JSON cannot carry: use sorted(...), or declare the channel as a set",
  ],
  [`return "b"`, "TypeError: an update of the state is a dict of its channels, not 'b'"],
  [`return Command(goto="c")`, "ValueError: a leads to 'c', which is not the name of a node"],
  [
    `return Command(goto="b", graph="other")`,
    "ValueError: node a commands the graph other; only PARENT is known",
  ],
  [
    `return Command(goto="b", graph=Command.PARENT)`,
    "_ToParent: node a commands a parent graph, but its graph has no parent",
  ],
  [`raise KeyError("no")`, "KeyError: 'no'"],
];

test.if(langgraphPython !== null)(
  "a fault of a graph in Python that shows only in a task fails the task, with its role and hop",
  async () => {
    for (const [body, message] of FAILURES) {
      const source = `
def a(state):
    ${body}
build = two(a).compile()
`;
      expect({ body, ...(await playIn(source)).error }).toMatchObject({
        ...{ body, code: "orchestrator_failed", message, role: "a", hop: 0 },
      });
    }
  },
);

test.if(langgraphPython !== null)(
  "the function of a node that fails in a branch names the role, and stops the others",
  async () => {
    const source = `
def b(state):
    raise ValueError("no b")
def build():
    graph = StateGraph(State)
    graph.add_node("a", lambda s: {})
    graph.add_node("b", b)
    graph.add_edge(START, "a")
    graph.add_edge(START, "b")
    return graph.compile()
`;
    const { error } = await playIn(source);
    expect(error).toMatchObject({ message: "ValueError: no b", role: "b", hop: 0 });
    expect(error?.stack).not.toContain("matrix_graph.py");
    expect(error?.stack).toContain('route.py", line 17, in b');
  },
);

test.if(langgraphPython !== null)(
  "a graph in Python goes several ways only where the recipe allows it",
  async () => {
    const source = `
def build():
    graph = two()
    graph.add_conditional_edges("a", lambda s: ["b", "a"] if s["n"] else END)
    return graph.compile()
`;
    const refused = await playIn(source, { n: 1 }, { canFork: false });
    expect(refused.error?.message).toContain("forks, but the orchestrator has no join()");
    expect((await playIn(source, { n: 0 }, { canFork: false })).status).toBe("ok");
    const parallel = `
def build():
    graph = two()
    graph.add_edge(START, "b")
    return graph.compile()
`;
    await withFolder(async (folder) => {
      // The recipe is refused for a rule that has a join.
      expect((await open(folder, parallel, { canFork: false })).join).toBeDefined();
      expect((await open(folder, source, { canFork: false })).join).toBeUndefined();
    });
  },
);

test.if(langgraphPython !== null)(
  "a graph goes on to the same end when its interpreter dies at each of its functions",
  async () => {
    const source = `
import os
def once(name):
    def node(state, config):
        marker = os.path.join(os.path.dirname(__file__), name)
        if not os.path.exists(marker):
            open(marker, "w").close()
            os.kill(os.getpid(), 9)
        return {"all": [name, config["configurable"]["result"]]}
    return node
class Outcome(State):
    outcome: dict
def build():
    graph = StateGraph(Outcome)
    for name in ("a", "b", "c"):
        graph.add_node(name, once(name))
    graph.add_node("end", lambda s: {"outcome": {"all": s["all"]}}, metadata={"inline": True})
    graph.add_edge(START, "a")
    graph.add_edge(START, "b")
    graph.add_edge(["a", "b"], "c")
    graph.add_edge("c", "end")
    return graph.compile()
`;
    await withFolder(async (folder) => {
      const roles = ["a", "b", "c"];
      const rule = await open(folder, source, { roles });
      const { end } = await play(rule, roles, { n: 1 });
      expect(end.ending).toMatchObject({
        status: "ok",
        outcome: { all: ["a", "a(1)", "b", "b(1)", "c", "c(1)"] },
      });
      expect((await readdir(folder)).filter((name) => roles.includes(name))).toHaveLength(3);
    });
  },
);

test.if(langgraphPython !== null)(
  "a missing answer in a branch of a graph in Python ends the task with its reason",
  () =>
    withFolder(async (folder) => {
      const source = `
def build():
    graph = two()
    graph.add_edge(START, "b")
    return graph.compile()
`;
      const { join } = await open(folder, source);
      const missing: Done = { done: "cut", score: null, outcome: { role: "b" } };
      const context = { row: {}, id: "7", trial: 2, seed: 11, role: null, history: [] };
      expect(await join?.({}, [null, null], context)).toBeNull();
      expect(await join?.({}, [null, missing], context)).toEqual(missing);
    }),
);
