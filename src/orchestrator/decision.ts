// The check of a rule's decision. A rule is user code and may return anything, so its decision is
// checked before the task moves.

import { isJsonObject, type Json } from "../task/json.ts";
import { END_REASONS } from "./contract.ts";

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
  const { to, done, fork, score, outcome } = decided as { readonly [name: string]: Json };
  if (typeof done === "string") return problemOfEnd(done, score ?? null, outcome ?? null, where);
  if (fork !== undefined) return problemOfFork(fork, where, ways);
  if (typeof to !== "string")
    return `${where} returned an object that to(role, state), fork() or done() did not make`;
  return ways.roles.has(to)
    ? null
    : `${where} routes to "${to}", which is not a role of the recipe; roles: ${namesOf(ways)}`;
}

/** A record holds nothing else: a score that is text would make a report of wrong numbers. */
function problemOfEnd(reason: string, score: Json, outcome: Json, where: string): string | null {
  if (!END_REASONS.some((one) => one === reason))
    return `${where} ends the task as "${reason}"; allowed: ${END_REASONS.join(", ")}`;
  const isScore = score === null || typeof score === "boolean" || Number.isFinite(score);
  if (!isScore)
    return `${where} gives the score ${shortOf(score)}; a score is a number, true, false or null`;
  if (outcome === null || isJsonObject(outcome)) return null;
  return `${where} gives the outcome ${shortOf(outcome)}; an outcome is an object or null, so name the value, as in { answer: … }`;
}

function shortOf(value: Json): string {
  // JSON has no NaN.
  const text = typeof value === "number" ? String(value) : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

function problemOfFork(fork: Json, where: string, ways: Ways): string | null {
  if (!Array.isArray(fork) || fork.length === 0) return `${where} forks into no branches`;
  if (ways.isBranch) return `${where} forks in a branch, and a branch cannot fork again`;
  if (!ways.canJoin) return `${where} forks, but the orchestrator has no join()`;
  const wrong = fork.findIndex((branch) => {
    const to = toOf(branch);
    return typeof to !== "string" || !ways.roles.has(to);
  });
  if (wrong === -1) return null;
  const found = toOf(fork[wrong]);
  if (found === undefined)
    return `${where} has a branch ${shortOf(fork[wrong] ?? null)} that to(role, state) did not make`;
  return `${where} has a branch to ${shortOf(found)}, which is not a role of the recipe; roles: ${namesOf(ways)}`;
}

/** The role of a branch; undefined for anything that is no branch. */
function toOf(branch: Json | undefined): Json | undefined {
  return isJsonObject(branch) ? branch["to"] : undefined;
}

function namesOf({ roles }: Ways): string {
  return [...roles].join(", ");
}
