// Graphs that are drawn at random: several edges, conditions that return nodes and Sends, waiting
// edges, loops, deferred and inline nodes, commands, and subgraphs of the same kind. Functions
// follow from the state, which counts the steps so that each graph ends.

import { Annotation, Command, END, Send, START, StateGraph } from "@langchain/langgraph";
import { createRandom } from "../../../src/task/seed.ts";
import { resultIn } from "./play.ts";

const STEPS_MAX = 8;
const DEPTH_MAX = 2;

const State = Annotation.Root({
  n: Annotation<number>({ reducer: (sum, more) => sum + more, default: () => 0 }),
  item: Annotation<unknown>,
  trail: Annotation<string[]>({
    reducer: (all, more) => all.concat(more).slice(0, 100),
    default: () => [],
  }),
});
type S = typeof State.State;
type Config = { configurable?: Record<string, unknown> };

export function drawGraph(seed: number): unknown {
  const random = createRandom(seed);
  return new Drawer(random).graph("", 0);
}

class Drawer {
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  graph(prefix: string, depth: number) {
    const names = Array.from(
      { length: 1 + this.#below(depth === 0 ? 5 : 3) },
      (_, index) => `${prefix}${index}`,
    );
    const made = new StateGraph(State) as unknown as StateGraph<S, S, Partial<S>, string>;
    for (const name of names) this.#addNode(made, name, names, depth);
    for (const name of [START, ...names]) this.#addWays(made, name, names);
    if (names.length > 2 && this.#is(0.5)) {
      const [first = "", second = "", third = ""] = this.#shuffled(names).slice(0, 3).sort();
      made.addEdge([first, second], third);
    }
    // LangGraph refuses nodes that no edge leads to.
    const [first = ""] = names;
    for (const name of names) made.addEdge(name === first || this.#is(0.5) ? START : first, name);
    return made.compile();
  }

  #addNode(
    made: StateGraph<S, S, Partial<S>, string>,
    name: string,
    names: readonly string[],
    depth: number,
  ): void {
    if (depth < DEPTH_MAX && this.#is(0.15)) {
      made.addNode(name, this.graph(`${name}_`, depth + 1) as never);
      return;
    }
    const options = {
      ends: [...names],
      ...(this.#is(0.15) && { defer: true }),
      ...(this.#is(0.15) && { metadata: { inline: true } }),
    };
    const ways = this.#ways(names);
    const commands = this.#is(0.2);
    const act = (state: S, config: Config) => {
      const said = "metadata" in options ? `${name} ${state.n}` : resultIn(config, name, state);
      const update = { trail: [said], n: 1 };
      return commands ? new Command({ update, goto: ways(state) as string[] }) : update;
    };
    made.addNode(name, act as never, options);
  }

  #addWays(
    made: StateGraph<S, S, Partial<S>, string>,
    from: string,
    names: readonly string[],
  ): void {
    // Plain edges lead forward: a loop ends by its condition.
    const further = names.slice(names.indexOf(from) + 1);
    if (further.length > 0 && this.#is(0.3)) made.addEdge(from as typeof START, this.#one(further));
    if (!this.#is(0.6)) return;
    const ways = this.#ways(names);
    made.addConditionalEdges(from as typeof START, ways as never);
  }

  /** A pure function of the state that leads nowhere after enough steps. */
  #ways(names: readonly string[]): (state: S) => unknown {
    const choices = Array.from({ length: 3 }, () => this.#some(names));
    return ({ n = 0, trail = [] }) => {
      if (n > STEPS_MAX || trail.length > STEPS_MAX) return END;
      const chosen = choices[(n + trail.length) % 3] ?? [];
      return chosen.map(({ name, item }) =>
        item === null ? name : new Send(name, { item, n: n + 1, trail: [] }),
      );
    };
  }

  /** Up to two nodes; those with an item are reached by a Send. */
  #some(names: readonly string[]): readonly { name: string; item: number | null }[] {
    return Array.from({ length: this.#below(3) }, (_, index) => ({
      name: this.#one(names),
      item: this.#is(0.3) ? index : null,
    }));
  }

  #shuffled(names: readonly string[]): readonly string[] {
    return names
      .map((name) => [this.#random(), name] as const)
      .sort(([a], [b]) => a - b)
      .map(([, name]) => name);
  }

  #one(names: readonly string[]): string {
    return names[this.#below(names.length)] ?? "";
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #is(probability: number): boolean {
    return this.#random() < probability;
  }
}
