// The check of a graph before a run: everything in it that no task could walk. A task is in one
// place at a time, so a graph that goes to several nodes at once, or waits for several, is refused.

import { MatrixError } from "../error.ts";
import { isInline, nameOf, type StateGraph } from "./state-graph.ts";

/** Fails with `module_invalid` and one problem for each fault. */
export function checkGraph(graph: StateGraph, roles: readonly string[], path: string): void {
  const faults = faultsOf(graph, roles);
  if (faults.length === 0) return;
  const problems = faults.map((message) => ({ key: "orchestrator.graph", message }));
  throw new MatrixError(
    "module_invalid",
    `no task can walk the graph of ${path}: ${faults.join("; ")}`,
    { problems },
  );
}

function faultsOf(graph: StateGraph, roles: readonly string[]): string[] {
  return [
    ...roleFaults(graph, roles),
    ...nodeFaults(graph),
    ...edgeFaults(graph),
    ...channelFaults(graph),
  ];
}

/** Nodes and roles must be the same, but for inline nodes. */
function roleFaults({ nodes }: StateGraph, roles: readonly string[]): string[] {
  const ofRoles = Object.keys(nodes).filter((name) => !isInline(nodes[name]));
  return [
    ...ofRoles
      .filter((name) => !roles.includes(name))
      .map((name) => `its node ${name} is no role of the recipe: ${roles.join(", ")}`),
    ...roles
      .filter((role) => !ofRoles.includes(role))
      .map((role) => `no task ever comes to the role ${role}: it has no such node`),
  ];
}

function nodeFaults({ nodes }: StateGraph): string[] {
  const names = Object.keys(nodes);
  return [
    ...names
      .filter((name) => (nodes[name]?.subgraphs ?? []).length > 0)
      .map((name) => `its node ${name} is a graph of its own, which is not walked`),
    ...names
      .filter((name) => nodes[name]?.runnable.func === undefined)
      .map((name) => `its node ${name} is no plain function`),
  ];
}

function edgeFaults({ edges, branches, waitingEdges }: StateGraph): string[] {
  const plain = [...edges].map(([from]) => from);
  const doubled = new Set(plain.filter((from, index) => plain.indexOf(from) !== index));
  return [
    ...Object.entries(branches).flatMap(([from, conditions]) =>
      Object.entries(conditions)
        .filter(([, { path }]) => path.func === undefined)
        .map(([name]) => `the condition ${name} after ${nameOf(from)} is no plain function`),
    ),
    ...[...doubled].map(
      (from) => `${nameOf(from)} leads to several nodes at once; a task goes to one at a time`,
    ),
    ...([...waitingEdges].length > 0
      ? ["an edge of it waits for several nodes; a task goes to one at a time"]
      : []),
  ];
}

function channelFaults({ channels }: StateGraph): string[] {
  return Object.keys(channels)
    .filter((name) => !("fromCheckpoint" in (channels[name] ?? {})))
    .map((name) => `state.${name} is a value that LangGraph's own runtime keeps`);
}
