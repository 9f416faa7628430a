// Graphs of each kind that LangGraph has, with the rows that enter them. LangGraph itself and our
// rule play them side by side. tests/parts/graphs.py has the same ones in Python.

import { AIMessage, HumanMessage, RemoveMessage } from "@langchain/core/messages";
import {
  Annotation,
  BaseChannel,
  Command,
  EmptyChannelError,
  END,
  MessagesAnnotation,
  Overwrite,
  Send,
  START,
  StateGraph,
} from "@langchain/langgraph";
import type { JsonObject } from "../../../src/task/json.ts";
import { resultIn } from "./play.ts";

export interface Entry {
  readonly build: () => unknown;
  readonly rows?: readonly JsonObject[];
}

const State = Annotation.Root({
  n: Annotation<number>,
  limit: Annotation<number>,
  item: Annotation<unknown>,
  items: Annotation<unknown[]>,
  last: Annotation<string>,
  trail: Annotation<string[]>({ reducer: (all, more) => all.concat(more), default: () => [] }),
  sum: Annotation<number>({ reducer: (sum, more) => sum + more, default: () => 0 }),
});
type S = typeof State.State;
type Config = { configurable?: Record<string, unknown> };
type Node = (state: S, config: Config) => object;

/** A node that writes the answer of its role to the trail, and more. */
const by =
  (name: string, more: (state: S) => object = () => ({})): Node =>
  (state, config) => ({ trail: [resultIn(config, name, state)], sum: 1, ...more(state) });

/** A graph of nodes that leave their trail. */
function graph(...names: string[]) {
  const made = new StateGraph(State) as unknown as StateGraph<S, S, Partial<S>, string>;
  for (const name of names) made.addNode(name, by(name) as never);
  return made;
}

const inline = { metadata: { inline: true } };

/** A subgraph of two nodes in a row, then two side by side. */
function team() {
  return graph("lead", "left", "right")
    .addEdge(START, "lead")
    .addEdge("lead", "left")
    .addEdge("lead", "right")
    .compile();
}

/** A channel that keeps its value for one step. */
class Once extends BaseChannel<string> {
  override lc_graph_name = "Once";
  value: string[] = [];

  override fromCheckpoint(saved?: string): this {
    const made = new Once();
    if (saved !== undefined) made.value = [saved];
    return made as this;
  }
  override update(values: string[]): boolean {
    const had = this.value.length > 0;
    this.value = values.slice(-1);
    return had || values.length > 0;
  }
  override get(): string {
    const [value] = this.value;
    if (value === undefined) throw new EmptyChannelError();
    return value;
  }
  override checkpoint(): string {
    return this.get();
  }
  override isAvailable(): boolean {
    return this.value.length > 0;
  }
}

const Inner = Annotation.Root({ topic: Annotation<string>, found: Annotation<string[]> });

export const CATALOGUE: Readonly<Record<string, Entry>> = {
  "a row of nodes": {
    build: () => graph("a", "b").addEdge(START, "a").addEdge("a", "b").addEdge("b", END).compile(),
  },
  "two nodes at once": {
    build: () => graph("b", "a").addEdge(START, "b").addEdge(START, "a").compile(),
  },
  "a diamond": {
    build: () =>
      graph("a", "c", "b", "d")
        .addEdge(START, "a")
        .addEdge("a", "c")
        .addEdge("a", "b")
        .addEdge("b", "d")
        .addEdge("c", "d")
        .compile(),
  },
  "a diamond with sides of two lengths, so that the end runs twice": {
    build: () =>
      graph("a", "b", "c", "c2", "d")
        .addEdge(START, "a")
        .addEdge("a", "b")
        .addEdge("a", "c")
        .addEdge("c", "c2")
        .addEdge("b", "d")
        .addEdge("c2", "d")
        .compile(),
  },
  "a waiting edge after sides of two lengths": {
    build: () =>
      graph("a", "b", "c", "c2", "d")
        .addEdge(START, "a")
        .addEdge("a", "b")
        .addEdge("a", "c")
        .addEdge("c", "c2")
        .addEdge(["b", "c2"], "d")
        .compile(),
  },
  "waiting edges in a loop": {
    build: () =>
      (graph("a", "b") as StateGraph<S, S, Partial<S>, string>)
        .addNode("join", by("join", ({ n = 0 }) => ({ n: n + 1 })) as never)
        .addEdge(START, "a")
        .addEdge(START, "b")
        .addEdge(["a", "b"], "join")
        .addConditionalEdges("join", ({ n, limit }) => (n < limit ? ["a", "b"] : END))
        .compile(),
    rows: [{ limit: 3 }, { limit: 0 }],
  },
  "a map-reduce by Send": {
    build: () =>
      graph("draw", "work", "reduce")
        .addEdge(START, "draw")
        .addConditionalEdges("draw", ({ items }) => items.map((item) => new Send("work", { item })))
        .addEdge("work", "reduce")
        .compile(),
    rows: [{ items: ["x", "y", "z"] }, { items: ["one"] }, { items: [] }],
  },
  "a Send from the start whose argument is no object": {
    build: () =>
      (graph() as StateGraph<S, S, Partial<S>, string>)
        .addNode("work", ((item: unknown, config: Config) => ({
          trail: [resultIn(config, "work", item)],
        })) as never)
        .addConditionalEdges(START, ({ items }) => items.map((item) => new Send("work", item)))
        .compile(),
    rows: [{ items: [1, "two", [3], null] }, { items: [5] }],
  },
  "Sends beside an edge, and conditions after a Send": {
    build: () =>
      graph("a", "b", "work", "odd", "even")
        .addEdge(START, "a")
        .addEdge("a", "b")
        .addConditionalEdges("a", () => [
          new Send("work", { item: 1, n: 1 }),
          new Send("work", { item: 2, n: 2 }),
        ])
        .addConditionalEdges("work", ({ sum }) => (sum % 2 === 1 ? "odd" : "even"), {
          odd: "odd",
          even: "even",
        })
        .compile(),
  },
  "conditions that return several nodes, by a map": {
    build: () =>
      graph("a", "b", "c", "d")
        .addEdge(START, "a")
        .addConditionalEdges("a", ({ n }) => (n > 1 ? ["x", "y"] : "x"), { x: "b", y: "c" })
        .addConditionalEdges("b", ({ sum }) => (sum > 1 ? "d" : END))
        .addEdge("c", "d")
        .compile(),
    rows: [{ n: 1 }, { n: 2 }],
  },
  "a condition that sees the updates of its own node alone": {
    build: () =>
      graph("a", "b", "many", "few")
        .addEdge(START, "a")
        .addEdge(START, "b")
        .addConditionalEdges("a", ({ sum, trail }) =>
          sum === 1 && trail.length === 1 ? "few" : "many",
        )
        .compile(),
  },
  "a loop around two nodes at once": {
    build: () =>
      (graph("b", "c") as StateGraph<S, S, Partial<S>, string>)
        .addNode("a", by("a", ({ n = 0 }) => ({ n: n + 1 })) as never)
        .addEdge(START, "a")
        .addConditionalEdges("a", ({ n, limit }) => (n <= limit ? ["b", "c"] : END))
        .addEdge("b", "a")
        .addEdge("c", "a")
        .compile(),
    rows: [{ limit: 0 }, { limit: 2 }],
  },
  "a subgraph between two nodes": {
    build: () =>
      graph("a", "z")
        .addNode("team", team())
        .addEdge(START, "a")
        .addEdge("a", "team")
        .addEdge("team", "z")
        .compile(),
  },
  "a subgraph beside a node, so that branches begin within a branch": {
    build: () =>
      graph("a", "z")
        .addNode("team", team())
        .addEdge(START, "a")
        .addEdge(START, "team")
        .addEdge(["a", "team"], "z")
        .compile(),
  },
  "two subgraphs at once, each with a loop of another length": {
    build: () => {
      const loop = (name: string, turns: number) =>
        (graph() as StateGraph<S, S, Partial<S>, string>)
          .addNode(name, by(name, ({ n = 0 }) => ({ n: n + 1 })) as never)
          .addEdge(START, name)
          .addConditionalEdges(name, ({ n }) => (n < turns ? name : END));
      const Output = Annotation.Root({ trail: State.spec.trail });
      const closed = (name: string, turns: number) => {
        const inner = new StateGraph({
          stateSchema: State,
          output: Output,
        } as never) as never as StateGraph<S, S, Partial<S>, string>;
        const { nodes } = loop(name, turns) as never as {
          nodes: Record<string, { runnable: { func: never } }>;
        };
        return inner
          .addNode(name, nodes[name]?.runnable.func as never)
          .addEdge(START, name)
          .addConditionalEdges(name, ({ n }) => (n < turns ? name : END))
          .compile();
      };
      return graph("a", "z")
        .addNode("short", closed("s", 2))
        .addNode("long", closed("l", 4))
        .addEdge(START, "short")
        .addEdge(START, "long")
        .addEdge(START, "a")
        .addEdge(["short", "long", "a"], "z")
        .compile();
    },
    rows: [{ n: 0 }],
  },
  "a subgraph in a subgraph, with channels of its own": {
    build: () => {
      const inner = new StateGraph(Inner)
        .addNode("find", ({ topic }, config) => ({
          found: [`${topic} ${resultIn(config, "find", { n: topic })}`],
        }))
        .addEdge(START, "find")
        .compile();
      const Outer = Annotation.Root({
        topic: Annotation<string>,
        found: Annotation<string[]>({
          reducer: (all, more) => all.concat(more),
          default: () => [],
        }),
      });
      const middle = new StateGraph(Outer)
        .addNode("inner", inner)
        .addNode("check", (_, config) => ({ found: [resultIn(config, "check", {})] }))
        .addEdge(START, "inner")
        .addEdge("inner", "check")
        .compile();
      return new StateGraph(Outer)
        .addNode("middle", middle)
        .addConditionalEdges(START, ({ topic }) => [
          new Send("middle", { topic: `${topic} 1` }),
          new Send("middle", { topic: `${topic} 2` }),
        ])
        .compile();
    },
    rows: [{ topic: "tea" }],
  },
  "commands that update and go to one, to several, and to a Send": {
    build: () =>
      (graph("b", "c", "d", "e") as StateGraph<S, S, Partial<S>, string>)
        .addNode(
          "a",
          ((state: S, config: Config) =>
            new Command({
              update: { trail: [resultIn(config, "a", state)], n: (state.n ?? 0) + 1 },
              goto: state.n === 7 ? ["b", new Send("c", { item: "sent" })] : "d",
            })) as never,
          { ends: ["b", "c", "d"] },
        )
        .addEdge(START, "a")
        .addEdge("a", "e")
        .compile(),
    rows: [{ n: 7 }, { n: 1 }],
  },
  "a list of commands and updates": {
    build: () =>
      (graph("b", "c") as StateGraph<S, S, Partial<S>, string>)
        .addNode(
          "a",
          (() => [
            new Command({ update: { trail: ["one"] }, goto: "b" }),
            { trail: ["two"], sum: 5 },
            new Command({ goto: ["c", END] }),
          ]) as never,
          { ends: ["b", "c"] },
        )
        .addEdge(START, "a")
        .compile(),
  },
  "a command to the graph around, which ends its subgraph": {
    build: () => {
      const inner = (graph("after") as StateGraph<S, S, Partial<S>, string>)
        .addNode(
          "leave",
          ((state: S, config: Config) =>
            new Command({
              graph: Command.PARENT,
              update: { trail: [resultIn(config, "leave", state)] },
              goto: "b",
            })) as never,
          { ends: ["after"] },
        )
        .addEdge(START, "leave")
        .addEdge("leave", "after")
        .compile();
      return graph("a", "b")
        .addNode("inner", inner, { ends: ["b"] })
        .addEdge(START, "inner")
        .addEdge("inner", "a")
        .compile();
    },
  },
  "a deferred node, which runs when the others are done": {
    build: () =>
      (graph("a", "b", "b2", "b3") as StateGraph<S, S, Partial<S>, string>)
        .addNode("z", by("z") as never, { defer: true })
        .addEdge(START, "a")
        .addEdge("a", "z")
        .addEdge(START, "b")
        .addEdge("b", "b2")
        .addEdge("b2", "b3")
        .addEdge("b3", "z")
        .compile(),
  },
  "a deferred node behind a waiting edge and a Send": {
    build: () =>
      (graph("a", "b", "work") as StateGraph<S, S, Partial<S>, string>)
        .addNode("z", by("z") as never, { defer: true })
        .addEdge(START, "a")
        .addEdge(START, "b")
        .addConditionalEdges("b", () => [new Send("work", { item: 1 })])
        .addEdge(["a", "b"], "z")
        .compile(),
  },
  "inline nodes beside roles and in subgraphs": {
    build: () => {
      const inner = (graph("c") as StateGraph<S, S, Partial<S>, string>)
        .addNode("add", (() => ({ trail: ["inner add"], sum: 10 })) as never, inline)
        .addEdge(START, "add")
        .addEdge("add", "c")
        .compile();
      return (graph("a", "b") as StateGraph<S, S, Partial<S>, string>)
        .addNode("note", (({ n }: S) => ({ trail: [`note ${n}`] })) as never, inline)
        .addNode("inner", inner)
        .addEdge(START, "note")
        .addEdge(START, "a")
        .addEdge(START, "inner")
        .addEdge("note", "b")
        .compile();
    },
    rows: [{ n: 1 }],
  },
  "messages with ids, coerced, replaced and removed": {
    build: () =>
      new StateGraph(MessagesAnnotation)
        .addNode("a", () => ({
          messages: [new HumanMessage("hi"), { role: "user", content: "ho", id: "8" }],
        }))
        .addNode("b", () => ({ messages: [new AIMessage({ content: "kept", id: "7" })] }))
        .addNode("c", ({ messages }) => ({
          messages: [
            new RemoveMessage({ id: messages[0]?.id as string }),
            new AIMessage({
              content: `of ${messages.length} ${messages.map((m) => m.getType())}`,
              id: "7",
            }),
          ],
        }))
        .addEdge(START, "a")
        .addEdge(START, "b")
        .addEdge(["a", "b"], "c")
        .addConditionalEdges("a", ({ messages }) => (messages.length > 5 ? "c" : END))
        .compile(),
    rows: [
      { messages: [{ role: "user", content: "first" }] },
      { messages: [{ role: "user", content: "first", id: "9" }] },
      {},
    ],
  },
  "the same message from two nodes at once, each with a condition": {
    build: () =>
      new StateGraph(MessagesAnnotation)
        .addNode("a", () => ({ messages: [new HumanMessage("hi")] }))
        .addNode("b", () => ({ messages: [new HumanMessage("hi")] }))
        .addEdge(START, "a")
        .addEdge(START, "b")
        .addConditionalEdges("a", () => END)
        .addConditionalEdges("b", () => END)
        .compile(),
  },
  "a node with a private input, and a private channel": {
    build: () => {
      const Private = Annotation.Root({ secret: Annotation<string>, n: Annotation<number> });
      return (graph("c") as StateGraph<S, S, Partial<S>, string>)
        .addNode("a", (({ n }: S) => ({ trail: [`a ${n}`], secret: `s${n}` })) as never)
        .addNode(
          "b",
          ((state: object) => ({ trail: [Object.keys(state).sort().join()] })) as never,
          { input: Private } as never,
        )
        .addEdge(START, "a")
        .addEdge("a", "b")
        .addEdge("a", "c")
        .compile();
    },
    rows: [{ n: 3, item: "seen by c" }],
  },
  "an input and an output schema": {
    build: () => {
      const Input = Annotation.Root({ n: Annotation<number> });
      const made = new StateGraph({
        stateSchema: State,
        input: Input,
      } as never) as never as StateGraph<S, S, Partial<S>, string>;
      return made
        .addNode("a", by("a", ({ last = "none" }) => ({ last: `${last}!` })) as never)
        .addEdge(START, "a")
        .compile();
    },
    rows: [{ n: 3, last: "not an input" }],
  },
  "an overwrite beside updates": {
    build: () =>
      (graph("b", "z") as StateGraph<S, S, Partial<S>, string>)
        .addNode("a", (() => ({ trail: new Overwrite(["new"]), sum: 2 })) as never)
        .addEdge(START, "a")
        .addEdge(START, "b")
        .addEdge("a", "z")
        .compile(),
    rows: [{ trail: ["old"] }],
  },
  "two nodes that update a channel without a reducer": {
    build: () =>
      (graph() as StateGraph<S, S, Partial<S>, string>)
        .addNode("a", by("a", () => ({ last: "a" })) as never)
        .addNode("b", by("b", () => ({ last: "b" })) as never)
        .addEdge(START, "a")
        .addEdge(START, "b")
        .compile(),
  },
  "a channel that keeps its value for one step": {
    build: () => {
      const Brief = Annotation.Root({ once: () => new Once(), trail: State.spec.trail } as never);
      const note = (state: object) => ({ trail: [`${(state as { once?: string }).once}`] });
      return (
        new StateGraph(Brief as unknown as typeof State) as unknown as StateGraph<
          S,
          S,
          Partial<S>,
          string
        >
      )
        .addNode("a", (() => ({ once: "here" })) as never)
        .addNode("b", note as never)
        .addNode("c", note as never)
        .addEdge(START, "a")
        .addEdge("a", "b")
        .addEdge("b", "c")
        .compile();
    },
  },
  "nothing at all": {
    build: () =>
      graph("a")
        .addConditionalEdges(START, ({ n }) => (n > 0 ? "a" : END))
        .compile(),
    rows: [{ n: 0 }, { n: 1 }],
  },
};
