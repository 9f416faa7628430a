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

/** Faults between nodes and roles: they must be the same, except for inline nodes. */
function roleFaults({ nodes }: StateGraph, roles: readonly string[]): string[] {
  const ofRoles = Object.keys(nodes).filter((name) => !isInline(nodes[name]));
  return [
    ...ofRoles
      .filter((name) => !roles.includes(name))
      .map((name) => `node ${name} is not a role of the recipe; roles: ${roles.join(", ")}`),
    ...roles
      .filter((role) => !ofRoles.includes(role))
      .map((role) => `role ${role} has no node, so no task comes to it`),
  ];
}

function nodeFaults({ nodes }: StateGraph): string[] {
  const names = Object.keys(nodes);
  return [
    ...names
      .filter((name) => (nodes[name]?.subgraphs ?? []).length > 0)
      .map((name) => `node ${name} is a graph of its own, and subgraphs are not supported`),
    ...names
      .filter((name) => nodes[name]?.runnable.func === undefined)
      .map((name) => `node ${name} is not a plain function`),
  ];
}

function edgeFaults({ edges, branches, waitingEdges }: StateGraph): string[] {
  const plain = [...edges].map(([from]) => from);
  const doubled = new Set(plain.filter((from, index) => plain.indexOf(from) !== index));
  return [
    ...Object.entries(branches).flatMap(([from, conditions]) =>
      Object.entries(conditions)
        .filter(([, { path }]) => path.func === undefined)
        .map(([name]) => `the condition ${name} after ${nameOf(from)} is not a plain function`),
    ),
    ...[...doubled].map(
      (from) => `${nameOf(from)} leads to several nodes at once; a task goes to one at a time`,
    ),
    ...([...waitingEdges].length > 0
      ? ["an edge waits for several nodes; a task goes to one at a time"]
      : []),
  ];
}

function channelFaults({ channels }: StateGraph): string[] {
  return Object.keys(channels)
    .filter((name) => !("fromCheckpoint" in (channels[name] ?? {})))
    .map(
      (name) => `state.${name} is a managed value, which exists only in LangGraph's own runtime`,
    );
}
