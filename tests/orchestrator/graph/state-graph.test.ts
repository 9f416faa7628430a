import { expect, test } from "bun:test";
import { Annotation, Command, END, START, StateGraph } from "@langchain/langgraph";
import * as stateGraph from "../../../src/orchestrator/graph/state-graph.ts";

const { graphOf, isCommand, isInline, nameOf } = stateGraph;
const builder = new StateGraph(Annotation.Root({ n: Annotation<number> }))
  .addNode("a", () => ({}), { metadata: { inline: true } })
  .addNode("b", () => ({}), { metadata: { inline: "yes" } })
  .addEdge(START, "a")
  .addEdge("a", "b");

test("the names of a graph's two ends are those of LangGraph", () => {
  expect<string>(stateGraph.START).toBe(START);
  expect<string>(stateGraph.END).toBe(END);
});

test("a graph is taken compiled or not", () => {
  expect<unknown>(graphOf(builder, "g.ts")).toBe(builder);
  expect<unknown>(graphOf(builder.compile(), "g.ts")).toBe(builder);
});

const MEMBERS = { nodes: {}, edges: [], branches: {}, channels: {}, waitingEdges: [] };

test("an object with all members of a graph is a graph", () => {
  expect<unknown>(graphOf(MEMBERS, "g.ts")).toBe(MEMBERS);
});

test.each(Object.keys(MEMBERS))("an object without %s is not a graph", (member) => {
  const { [member as "nodes"]: _, ...rest } = MEMBERS;
  expect(() => graphOf(rest, "g.ts")).toThrow("g.ts does not give a StateGraph");
});

test.each([null, undefined, "graph", 3])("%p is not a graph", (value) => {
  expect(() => graphOf(value, "g.ts")).toThrow("g.ts does not give a StateGraph");
});

test("a node is inline only when its metadata says so with true", () => {
  const { nodes } = graphOf(builder, "g.ts");
  expect([isInline(nodes["a"]), isInline(nodes["b"]), isInline(undefined)]).toEqual([
    true,
    false,
    false,
  ]);
});

test("a command is told apart from an update of the state", () => {
  expect(isCommand(new Command({ goto: "a" }))).toBe(true);
  expect([{ goto: "a" }, null, undefined, "Command", { lg_name: "Send" }].map(isCommand)).toEqual([
    false,
    false,
    false,
    false,
    false,
  ]);
});

test("messages call the start of a graph by words, and any other node by its name", () => {
  expect(nameOf(START)).toBe("the start");
  expect(nameOf("a")).toBe("a");
});
