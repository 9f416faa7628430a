// The shape of a graph: what a walk asks of each node, looked up once when the graph is loaded. A
// subgraph is the shape in its node, so that a walk takes the whole tree of graphs for one.

import {
  type Callable,
  type Channel,
  type Condition,
  channelsOf,
  isInline,
  START,
  type StateGraph,
  subgraphOf,
} from "./state-graph.ts";

export interface Shape {
  readonly nodes: ReadonlyMap<string, NodeShape>;
  /** The node or condition at which the input of the graph enters. */
  readonly start: NodeShape;
  readonly channels: readonly (readonly [name: string, channel: Channel])[];
  /** The channels that a graph gives to the graph around it. */
  readonly outputs: readonly string[];
  /** Edges that wait for several nodes. */
  readonly waits: readonly { readonly from: ReadonlySet<string>; readonly to: NodeShape }[];
}

export interface NodeShape {
  readonly name: string;
  /** The name with those of the nodes around it: `team/writer`. */
  readonly path: string;
  readonly kind: "role" | "inline" | "graph";
  readonly runnable: Callable;
  /** The graph in the node; null for a node with a function. */
  readonly graph: Shape | null;
  /** The channels that the node reads. */
  readonly inputs: readonly string[];
  /** The channels that the node may update. */
  readonly outputs: ReadonlySet<string>;
  readonly isDeferred: boolean;
  /** The ends of its plain edges. */
  readonly edges: readonly string[];
  /** The waiting edges that begin at it, by index. */
  readonly waits: readonly number[];
  readonly conditions: readonly (readonly [name: string, condition: Condition])[];
  /** The place of the node's updates among those of a superstep. */
  readonly order: string;
}

/** The shape of a graph that was found sound. `around` is the node that the graph stands in. */
export function shapeOf(graph: StateGraph, around: NodeShape | null = null): Shape {
  const waiting = [...graph.waitingEdges];
  const describe = (name: string): NodeShape => describeNode(graph, name, waiting, around);
  const nodes = new Map(Object.keys(graph.nodes).map((name) => [name, describe(name)]));
  return {
    nodes,
    start: describe(START),
    channels: Object.entries(graph.channels).filter(
      (entry): entry is [string, Channel] => "fromCheckpoint" in entry[1],
    ),
    outputs: channelsOf(graph, graph._outputDefinition),
    waits: waiting.map(([from, to]) => ({ from: new Set(from), to: nodes.get(to) as NodeShape })),
  };
}

function describeNode(
  graph: StateGraph,
  name: string,
  waiting: readonly (readonly [from: readonly string[], to: string])[],
  around: NodeShape | null,
): NodeShape {
  const node = graph.nodes[name];
  const inner = node === undefined ? null : subgraphOf(node);
  const isHere = name === START || isInline(node) || around?.kind === "inline";
  const bare: NodeShape = {
    name,
    path: around === null ? name : `${around.path}/${name}`,
    kind: isHere ? "inline" : "role",
    runnable: node?.runnable ?? {},
    graph: null,
    inputs: channelsOf(graph, node?.input),
    outputs: new Set(
      name === START ? channelsOf(graph, graph._inputDefinition) : Object.keys(graph.channels),
    ),
    isDeferred: node?.defer === true,
    edges: [...graph.edges].filter(([from]) => from === name).map(([, to]) => to),
    waits: waiting.flatMap(([from], index) => (from.includes(name) ? [index] : [])),
    conditions: Object.entries(graph.branches[name] ?? {}),
    // LangGraph sorts the paths of tasks, which go on with a comma after the name.
    order: `${name}, `,
  };
  return inner === null ? bare : { ...bare, kind: "graph", graph: shapeOf(inner, bare) };
}

/** A node in its graph. */
export interface Place {
  readonly shape: Shape;
  readonly node: NodeShape;
}

/** Each node of a graph and of its subgraphs, by its path. */
export function placesIn(shape: Shape): (readonly [path: string, place: Place])[] {
  return [...shape.nodes.values()].flatMap((node) => [
    [node.path, { shape, node }] as const,
    ...(node.graph === null ? [] : placesIn(node.graph)),
  ]);
}
