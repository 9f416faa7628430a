// The check of a rule's decision. A rule is user code and may return anything, so what it returned
// is looked at before a task moves.

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
  if (typeof decided !== "object" || decided === null || decided instanceof Promise) {
    const found =
      decided instanceof Promise
        ? "a promise; it must be pure and answer at once"
        : String(decided);
    return `${where} returned ${found}, not to(role, state) or done()`;
  }
  const { to, done, fork } = decided as { to?: Json; done?: Json; fork?: Json };
  if (typeof done === "string") return null;
  if (fork !== undefined) return problemOfFork(fork, where, ways);
  if (typeof to !== "string") return `${where} returned neither to(role, state) nor done()`;
  return ways.roles.has(to)
    ? null
    : `${where} routes to "${to}", which is no role of the recipe: ${[...ways.roles].join(", ")}`;
}

function problemOfFork(
  fork: Json,
  where: string,
  { roles, canJoin, isBranch }: Ways,
): string | null {
  if (!Array.isArray(fork) || fork.length === 0)
    return `${where} goes several ways at once, but names none`;
  if (isBranch) return `${where} goes several ways at once in a branch, which goes one way`;
  if (!canJoin) return `${where} goes several ways at once, and the orchestrator has no join()`;
  const unknown = fork
    .map((branch) => (branch as { to?: Json } | null)?.to)
    .find((to) => typeof to !== "string" || !roles.has(to));
  return unknown === undefined
    ? null
    : `${where} has a branch to ${JSON.stringify(unknown)}, which is no role of the recipe: ${[...roles].join(", ")}`;
}
