import { expect, test } from "bun:test";
import type { MatrixError } from "../../../src/error.ts";
import { checkGraph } from "../../../src/orchestrator/graph/check.ts";
import {
  type Channel,
  START,
  type StateGraph,
} from "../../../src/orchestrator/graph/state-graph.ts";

const PLAIN = { runnable: { func: () => ({}) } };
const SOUND: StateGraph = {
  nodes: { a: PLAIN, b: PLAIN },
  edges: [
    [START, "a"],
    ["a", "b"],
  ],
  waitingEdges: [],
  branches: { b: { again: { path: { func: () => "a" } } } },
  channels: { n: { fromCheckpoint: () => null } as unknown as Channel },
};

function refusalOf(changes: Partial<StateGraph>, roles = ["a", "b"]): MatrixError | null {
  try {
    checkGraph({ ...SOUND, ...changes }, { roles, path: "g.ts" });
    return null;
  } catch (thrown) {
    return thrown as MatrixError;
  }
}

function faultsOf(changes: Partial<StateGraph>, roles?: string[]): readonly string[] {
  return refusalOf(changes, roles)?.problems.map(({ message }) => message) ?? [];
}

test("a graph whose nodes are the roles is sound", () => {
  expect(refusalOf({})).toBeNull();
});

test("an inline node need not be a role, and a role cannot be an inline node", () => {
  const inline = { ...PLAIN, metadata: { inline: true } };
  expect(faultsOf({ nodes: { ...SOUND.nodes, c: inline } })).toEqual([]);
  expect(faultsOf({ nodes: { a: PLAIN, b: inline } })).toEqual([
    "role b has no node, so no task comes to it",
  ]);
});

test.each<[changes: Partial<StateGraph>, roles: string[], fault: string]>([
  [{}, ["a"], "node b is not a role of the recipe; roles: a"],
  [{}, ["a", "b", "c"], "role c has no node, so no task comes to it"],
  [
    { nodes: { a: PLAIN, b: { ...PLAIN, subgraphs: [{}] } } },
    ["a", "b"],
    "node b calls a graph in its function; make the compiled graph the node itself",
  ],
  [{ nodes: { a: PLAIN, b: { runnable: {} } } }, ["a", "b"], "node b is not a plain function"],
  [
    { branches: { [START]: { first: { path: {} } } } },
    ["a", "b"],
    "the condition first after the start is not a plain function",
  ],
  [
    { channels: { left: { lg_is_channel: false } } },
    ["a", "b"],
    "state.left is a managed value, which exists only in LangGraph's own runtime",
  ],
])("a graph with one fault, %#, is refused with it alone", (changes, roles, fault) => {
  expect(faultsOf(changes, roles)).toEqual([fault]);
});

test("a node without subgraphs is not its own graph", () => {
  expect(faultsOf({ nodes: { a: PLAIN, b: { ...PLAIN, subgraphs: [] } } })).toEqual([]);
});

test("a refused graph names its module, all faults, and the key of the recipe", () => {
  expect(refusalOf({ nodes: { a: { runnable: {} } } })).toMatchObject({
    code: "module_invalid",
    message:
      "no task can walk the graph of g.ts: role b has no node, so no task comes to it; " +
      "node a is not a plain function",
    problems: [{ key: "orchestrator.graph" }, { key: "orchestrator.graph" }],
  });
});
