// The parts of a compiled LangGraph.js StateGraph that a rule reads. These members are the same in
// every 1.x release. LangGraph itself never runs here, and the binary needs it only for the user's
// module to import.

import { MatrixError } from "../error.ts";
import type { JsonObject } from "../task/json.ts";

/** Names of the two ends of a graph, as LangGraph spells them. */
export const START = "__start__";
export const END = "__end__";

/** A function of the user's graph, as LangGraph keeps it. */
export interface Callable {
  readonly func?: (state: JsonObject, config: unknown) => unknown;
}

export interface Node {
  readonly runnable: Callable;
  readonly metadata?: { readonly inline?: unknown } | undefined;
  readonly subgraphs?: readonly unknown[] | undefined;
}

/** A conditional edge. */
export interface Condition {
  readonly path: Callable;
  /**
   * The node that each answer of the condition leads to. Without it, answers are names of nodes.
   */
  readonly ends?: Readonly<Record<string, string>> | undefined;
}

/** One value of the state, with the rule by which updates change it. */
export interface Channel {
  fromCheckpoint(checkpoint: unknown): Channel;
  update(values: readonly unknown[]): boolean;
  isAvailable(): boolean;
  get(): unknown;
  checkpoint(): unknown;
}

export interface StateGraph {
  readonly nodes: Readonly<Record<string, Node>>;
  readonly edges: Iterable<readonly [from: string, to: string]>;
  /** Edges that wait for several nodes. */
  readonly waitingEdges: Iterable<unknown>;
  readonly branches: Readonly<Record<string, Readonly<Record<string, Condition>>>>;
  readonly channels: Readonly<Record<string, Channel | { readonly lg_is_channel?: false }>>;
}

const MEMBERS = ["nodes", "edges", "branches", "channels", "waitingEdges"] as const;

/**
 * The graph that a module exports, compiled or not. Fails with `module_invalid` when the export is
 * not a StateGraph.
 */
export function graphOf(exported: unknown, path: string): StateGraph {
  const graph = (exported as { builder?: unknown } | null | undefined)?.builder ?? exported;
  if (typeof graph === "object" && graph !== null && MEMBERS.every((member) => member in graph))
    return graph as StateGraph;
  throw new MatrixError("module_invalid", `${path} does not give a StateGraph`, {
    hint:
      'set orchestrator.graph = "graph.ts#build" and ' +
      "export function build() { return new StateGraph(…)….compile(); }",
  });
}

/** True for a node that is not a role: its function runs where the task passes by. */
export function isInline(node: Node | undefined): boolean {
  return node?.metadata?.inline === true;
}

/** An answer by which a node chooses its successor itself. */
export interface Command {
  readonly update?: unknown;
  readonly goto?: unknown;
}

export function isCommand(answer: unknown): answer is Command {
  return (
    typeof answer === "object" &&
    answer !== null &&
    (answer as { lg_name?: unknown }).lg_name === "Command"
  );
}

/** The name of a node in a message. */
export function nameOf(node: string): string {
  return node === START ? "the start" : node;
}
