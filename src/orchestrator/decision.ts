// The check of a rule's decision. A rule is user code and may return anything, so its decision is
// checked before the task moves.

import type { Json } from "../task/json.ts";

/** The ways that are open to a task. */
export interface Ways {
  /** Roles of the recipe. */
  readonly roles: ReadonlySet<string>;
  /** True when the orchestrator has a `join`, so that a task may fork. */
  readonly canJoin: boolean;
  /** True for a branch, which may not fork again. */
  readonly isBranch: boolean;
}

/**
 * The problem with a decision as a sentence; null when it is sound. `role` is the role that has
 * acted; null for none.
 */
export function problemOf(decided: unknown, role: string | null, ways: Ways): string | null {
  const where = role === null ? "start()" : `next() after ${role}`;
  if (decided instanceof Promise)
    return `${where} returned a promise; a rule must be pure and answer at once`;
  if (typeof decided !== "object" || decided === null)
    return `${where} returned ${String(decided)}; it must return to(role, state), fork() or done()`;
  const { to, done, fork } = decided as { to?: Json; done?: Json; fork?: Json };
  if (typeof done === "string") return null;
  if (fork !== undefined) return problemOfFork(fork, where, ways);
  if (typeof to !== "string")
    return `${where} returned an object that to(role, state), fork() or done() did not make`;
  return ways.roles.has(to)
    ? null
    : `${where} routes to "${to}", which is not a role of the recipe; roles: ${namesOf(ways)}`;
}

function problemOfFork(fork: Json, where: string, ways: Ways): string | null {
  if (!Array.isArray(fork) || fork.length === 0) return `${where} forks into no branches`;
  if (ways.isBranch) return `${where} forks in a branch, and a branch cannot fork again`;
  if (!ways.canJoin) return `${where} forks, but the orchestrator has no join()`;
  const unknown = fork
    .map((branch) => (branch as { to?: Json } | null)?.to)
    .find((to) => typeof to !== "string" || !ways.roles.has(to));
  if (unknown === undefined) return null;
  const found = JSON.stringify(unknown);
  return `${where} has a branch to ${found}, which is not a role of the recipe; roles: ${namesOf(ways)}`;
}

function namesOf({ roles }: Ways): string {
  return [...roles].join(", ");
}
