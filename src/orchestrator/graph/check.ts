// The check of a graph before a run: everything in it that no task could walk. Each fault names its
// node, and says what to do instead.

import { MatrixError } from "../../error.ts";
import { GRAPH } from "./saved.ts";
import {
  type Callable,
  type CompileOptions,
  graphOf,
  isInline,
  type Node,
  nameOf,
  type StateGraph,
  subgraphOf,
} from "./state-graph.ts";

/** Fails with `module_invalid` and one problem for each fault. */
export function checkGraph(
  exported: unknown,
  { path, roles }: { readonly path: string; readonly roles: readonly string[] },
): void {
  const graph = graphOf(exported, path);
  const parts = [...partsOf(graph, exported as CompileOptions, "")];
  const faults = [...roleFaults(parts, roles), ...parts.flatMap(partFaults)];
  if (faults.length === 0) return;
  const problems = faults.map((message) => ({ key: "orchestrator.graph", message }));
  throw new MatrixError(
    "module_invalid",
    `no task can walk the graph of ${path}: ${faults.join("; ")}`,
    { problems },
  );
}

/** True when edges alone show that a graph, or a subgraph in it, goes several ways at once. */
export function isParallel(graph: StateGraph): boolean {
  const froms = [...graph.edges].map(([from]) => from);
  const isSplit = new Set(froms).size < froms.length || [...graph.waitingEdges].length > 0;
  return isSplit || Object.values(graph.nodes).some((node) => isParallelIn(subgraphOf(node)));
}

function isParallelIn(graph: StateGraph | null): boolean {
  return graph !== null && isParallel(graph);
}

/** A graph, or a subgraph in it. */
interface Part {
  readonly graph: StateGraph;
  readonly compiled: CompileOptions;
  /** The path of the nodes around it, with a slash at its end; empty for the outermost graph. */
  readonly prefix: string;
  readonly isInline: boolean;
}

function* partsOf(
  graph: StateGraph,
  compiled: CompileOptions,
  prefix: string,
  around = false,
): Generator<Part> {
  yield { graph, compiled, prefix, isInline: around };
  for (const [name, node] of Object.entries(graph.nodes)) {
    const inner = subgraphOf(node);
    if (inner !== null)
      yield* partsOf(
        inner,
        node.runnable as CompileOptions,
        `${prefix}${name}/`,
        around || isInline(node),
      );
  }
}

/** Faults between nodes and roles: they must be the same, except for inline nodes. */
function roleFaults(parts: readonly Part[], roles: readonly string[]): string[] {
  const nodes = parts.flatMap(({ graph, prefix, isInline: around }) =>
    Object.entries(graph.nodes)
      .filter(([, node]) => !around && !isInline(node) && subgraphOf(node) === null)
      .map(([name]) => ({ name, path: `${prefix}${name}` })),
  );
  const named = roles.length === 0 ? "none" : roles.join(", ");
  return [
    ...nodes
      .filter(({ name }) => !roles.includes(name))
      .map(({ name, path }) => {
        const role = name === path ? "" : ` ${name}`;
        return `node ${path} is not a role${role} of the recipe; roles: ${named}`;
      }),
    ...roles
      .filter((role) => !nodes.some(({ name }) => name === role))
      .map((role) => `role ${role} has no node, so no task comes to it`),
  ];
}

function partFaults(part: Part): string[] {
  return [
    ...Object.entries(part.graph.nodes).flatMap(([name, node]) =>
      nodeFaults(node).map((fault) => `node ${part.prefix}${name} ${fault}`),
    ),
    ...conditionFaults(part),
    ...channelFaults(part),
    ...compileFaults(part),
  ];
}

function nodeFaults(node: Node): string[] {
  if (node.isErrorHandler === true)
    return ["handles errors of another node; retries of a role are roles.NAME.retries"];
  if (subgraphOf(node) !== null) return [];
  if ((node.subgraphs ?? []).length > 0)
    return ["calls a graph in its function; make the compiled graph the node itself"];
  if (node.runnable.func === undefined) return ["is not a plain function"];
  return interrupts(node.runnable)
    ? ["calls interrupt(), but no person waits for a task; let a role answer instead"]
    : [];
}

/** The call of LangGraph's interrupt(), which is seen in the text of a function alone. */
function interrupts({ func }: Callable): boolean {
  return /(?<![\w$.])interrupt\s*\(/.test(String(func));
}

function conditionFaults({ graph, prefix }: Part): string[] {
  return Object.entries(graph.branches).flatMap(([from, conditions]) =>
    Object.entries(conditions)
      .filter(([, { path }]) => path.func === undefined)
      .map(
        ([name]) => `the condition ${name} after ${nameOf(prefix + from)} is not a plain function`,
      ),
  );
}

function channelFaults({ graph: { channels }, prefix }: Part): string[] {
  return Object.entries(channels).flatMap(([name, channel]) => {
    const path = `state.${prefix}${name}`;
    if (!("fromCheckpoint" in channel))
      return [`${path} is a managed value, which exists only in LangGraph's own runtime`];
    if (name === "__root__")
      return ["the state is a single value; give it names, as Annotation.Root({ … }) does"];
    if (name === GRAPH) return [`${path} has a name that is taken; choose another one`];
    const kind = UNKEPT[channel.lc_graph_name ?? ""];
    return kind === undefined ? [] : [`${path} ${kind}`];
  });
}

/** Channels whose checkpoints are not their whole value. */
const UNKEPT: Readonly<Record<string, string>> = {
  UntrackedValue: "is never kept, and a task carries its state from host to host; use Annotation",
  DeltaChannel: "keeps differences, and a task carries its whole state; use a reducer",
};

function compileFaults({ compiled, prefix }: Part): string[] {
  const { interruptBefore = [], interruptAfter = [], checkpointer } = compiled;
  const faults: string[] = [];
  for (const [when, nodes] of [
    ["before", interruptBefore],
    ["after", interruptAfter],
  ] as const)
    for (const name of nodes === "*" ? ["every node"] : nodes.map((one) => `node ${prefix}${one}`))
      faults.push(`the graph is compiled to stop ${when} ${name}, and no person waits for a task`);
  if (prefix !== "" && checkpointer === true)
    faults.push(
      `node ${prefix.slice(0, -1)} is a graph that remembers its earlier runs (checkpointer: true); ` +
        "keep what it needs in the state of the graph around it",
    );
  return faults;
}
