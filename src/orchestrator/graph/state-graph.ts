// The parts of a compiled LangGraph.js StateGraph that a rule reads. These members are the same in
// every 1.x release. LangGraph itself never runs here, and the binary needs it only for the user's
// module to import.

import { MatrixError } from "../../error.ts";
import type { JsonObject } from "../../task/json.ts";

/** Names of the two ends of a graph, as LangGraph spells them. */
export const START = "__start__";
export const END = "__end__";
/** The graph of a command that is meant for the graph around a subgraph. */
export const PARENT = "__parent__";

/** A function of the user's graph, as LangGraph keeps it. */
export interface Callable {
  readonly func?: (state: unknown, config: unknown) => unknown;
}

export interface Node {
  /** A function, or the compiled graph of a subgraph. */
  readonly runnable: Callable;
  readonly metadata?: { readonly inline?: unknown } | undefined;
  readonly subgraphs?: readonly unknown[] | undefined;
  /** The schema of the channels that the node reads: a key of `_schemaDefinitions`. */
  readonly input?: object | undefined;
  /** True for a node that runs when nothing else is left to run. */
  readonly defer?: boolean | undefined;
  readonly isErrorHandler?: boolean | undefined;
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
  readonly lc_graph_name?: string;
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
  readonly waitingEdges: Iterable<readonly [from: readonly string[], to: string]>;
  readonly branches: Readonly<Record<string, Readonly<Record<string, Condition>>>>;
  readonly channels: Readonly<Record<string, Channel | { readonly lg_is_channel?: false }>>;
  /** The channels of each schema. A graph of an older release has none of these members. */
  readonly _schemaDefinitions?: ReadonlyMap<object, JsonObject>;
  readonly _inputDefinition?: object;
  readonly _outputDefinition?: object;
}

/** Settings with which a graph was compiled. */
export interface CompileOptions {
  readonly interruptBefore?: readonly string[] | "*";
  readonly interruptAfter?: readonly string[] | "*";
  readonly checkpointer?: unknown;
}

const MEMBERS = ["nodes", "edges", "branches", "channels", "waitingEdges"] as const;

/**
 * The graph that a module exports, compiled or not. Fails with `module_invalid` when the export is
 * not a StateGraph.
 */
export function graphOf(exported: unknown, path: string): StateGraph {
  const graph = (exported as { builder?: unknown } | null | undefined)?.builder ?? exported;
  if (isGraph(graph)) return graph;
  throw new MatrixError("module_invalid", `${path} does not give a StateGraph`, {
    hint:
      'set orchestrator.graph = "graph.ts#build" and ' +
      "export function build() { return new StateGraph(…)….compile(); }",
  });
}

function isGraph(value: unknown): value is StateGraph {
  return typeof value === "object" && value !== null && MEMBERS.every((member) => member in value);
}

/** The graph that stands in a node; null for a node with a function. */
export function subgraphOf({ runnable }: Node): StateGraph | null {
  const graph = (runnable as { builder?: unknown }).builder;
  return isGraph(graph) ? graph : null;
}

/** True for a node that is not a role: its function runs where the task passes by. */
export function isInline(node: Node | undefined): boolean {
  return node?.metadata?.inline === true;
}

/** The names of the channels of a schema; all channels for a graph that has no schemas. */
export function channelsOf(graph: StateGraph, schema: object | undefined): readonly string[] {
  const channels = schema === undefined ? undefined : graph._schemaDefinitions?.get(schema);
  return Object.keys(channels ?? graph.channels);
}

/** An answer by which a node chooses its successors itself. */
export interface Command {
  readonly graph?: unknown;
  readonly update?: unknown;
  readonly goto?: unknown;
}

export function isCommand(answer: unknown): answer is Command {
  return isNamed(answer, "Command");
}

/** A node to go to, with a state of its own in place of the graph's. */
export interface Send {
  readonly node: string;
  readonly args: unknown;
}

export function isSend(answer: unknown): answer is Send {
  return isNamed(answer, "Send");
}

function isNamed(value: unknown, name: string): boolean {
  return (
    typeof value === "object" && value !== null && (value as { lg_name?: unknown }).lg_name === name
  );
}

/** The name of a node in a message. Names of nodes in subgraphs begin with those around them. */
export function nameOf(path: string): string {
  if (path === START) return "the start";
  const around = path.endsWith(`/${START}`) ? path.slice(0, -START.length - 1) : null;
  return around === null ? path : `the start of ${around}`;
}
