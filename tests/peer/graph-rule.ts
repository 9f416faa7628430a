// A graph for the simulation. In each round node a goes to node b, to two Sends of node c, and to
// a subgraph of two nodes. The graph fails when its state is not that of LangGraph.

import { Annotation, END, Send, START, StateGraph } from "@langchain/langgraph";
import { importMessages } from "../../src/orchestrator/graph/messages.ts";
import { createGraph } from "../../src/orchestrator/graph/rule.ts";

const State = Annotation.Root({
  hops: Annotation<number>,
  rounds: Annotation<number>({ reducer: (sum, more) => sum + more, default: () => 0 }),
  trail: Annotation<string[]>({ reducer: (all, more) => [...all, ...more], default: () => [] }),
});
const Trail = Annotation.Root({ trail: Annotation<string[]> });
const Inner = Annotation.Root({
  hops: Annotation<number>,
  trail: Annotation<string[]>({ reducer: (all, more) => [...all, ...more], default: () => [] }),
});
/** The part of the trail that a round adds: nodes by name, then Sends by their order. */
const ROUND = ["a", "b", "inner a", "inner c", "c0", "c1"];

const inner = new StateGraph({
  stateSchema: Inner,
  input: Annotation.Root({ hops: Inner.spec.hops }),
  output: Trail,
} as never)
  .addNode("a", () => ({ trail: ["inner a"] }) as never)
  .addNode("c", () => ({ trail: ["inner c"] }) as never)
  .addEdge(START, "a")
  .addEdge("a", "c")
  .compile();

const graph = new StateGraph(State)
  .addNode("a", () => ({ trail: ["a"], rounds: 1 }))
  .addNode("b", () => ({ trail: ["b"] }))
  .addNode("c", (state) => ({ trail: [`c${(state as unknown as { index: number }).index}`] }))
  .addNode("team", inner as never)
  .addNode("check", check, { metadata: { inline: true } })
  .addEdge(START, "a")
  .addConditionalEdges("a", ({ rounds, hops }) =>
    rounds > hops
      ? "check"
      : ["b", "team", new Send("c", { index: 0 }), new Send("c", { index: 1 })],
  )
  .addEdge(["b", "team"], "a")
  .addEdge("check", END)
  .compile();

function check({ hops, trail }: typeof State.State) {
  const wanted = [...Array.from({ length: hops }, () => ROUND).flat(), "a"];
  if (trail.join() === wanted.join()) return {};
  throw new Error(`the trail of ${hops} rounds is ${trail.join()}`);
}

/** A round has six hops: that of a, of b, two of c, and two in the subgraph. */
export const GRAPH = {
  orchestrator: createGraph(graph, {
    path: "graph.ts",
    roles: ["a", "b", "c"],
    score: null,
    classes: await importMessages(),
    canFork: true,
  }),
  hopsOf: (rounds: number): number => 6 * rounds + 1,
};
