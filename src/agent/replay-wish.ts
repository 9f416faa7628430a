// The choice of the steps of a replay that ask their models anew. Every other step of an llm role
// takes the answer of the record.

import { addSpent, NOTHING_SPENT, type Spent } from "../task/spent.ts";
import type { Hop, Task } from "../task/task.ts";

export interface ReplayWish {
  /** The llm roles of the recipe. */
  readonly roles: readonly string[];
  /** Roles that ask anew, wherever they act. */
  readonly ask: readonly string[];
  /** From this hop on, or from the first step of this role on, every role asks anew. */
  readonly from: string | number | null;
  /** Steps from `from` on draw their requests' seeds from it, or the same answers would come. */
  readonly salt: number;
}

/** The steps that a task has made. */
type Steps = Pick<Task, "history">;

/** True when a step may ask a model. */
export function asksAny({ ask, from }: ReplayWish): boolean {
  return ask.length > 0 || from !== null;
}

/** The roles that may ask their models in some step. */
export function askedRoles({ roles, ask, from }: ReplayWish): readonly string[] {
  return from === null ? ask : roles;
}

/** True when the role asks its model in the next step of the task. */
export function isAsked(wish: ReplayWish, role: string, task: Steps): boolean {
  return wish.ask.includes(role) || isAnew(wish, role, task);
}

/** True when the next step of the task, which the role does, lies beyond `from`. */
export function isAnew({ from }: ReplayWish, role: string, task: Steps): boolean {
  if (from === null) return false;
  if (typeof from === "number") return task.history.length >= from;
  return role === from || task.history.some((hop) => hop.role === from);
}

/** Usage and cost of the hops that were taken from the record. */
export function reusedIn(wish: ReplayWish, history: readonly Hop[]): Spent {
  let sum = NOTHING_SPENT;
  for (const { hop, before } of stepsOf(history)) {
    if (hop.usage === undefined || !wish.roles.includes(hop.role)) continue;
    if (isAsked(wish, hop.role, before)) continue;
    sum = addSpent(sum, { ...NOTHING_SPENT, ...hop.usage, cost: hop.cost ?? 0 });
  }
  return sum;
}

/**
 * Each hop with the history that its task had before it. A branch had the hops before its fork and
 * its own, and not those of its siblings, which stand in the record before it.
 */
export function* stepsOf(history: readonly Hop[]): Generator<{ hop: Hop; before: Steps }> {
  let fork = 0;
  for (const [index, hop] of history.entries()) {
    const { branch } = hop;
    if (branch === undefined) fork = index + 1;
    const own = history.slice(fork, index).filter((other) => other.branch === branch);
    const before =
      branch === undefined ? history.slice(0, index) : [...history.slice(0, fork), ...own];
    yield { hop, before: { history: before } };
  }
}
