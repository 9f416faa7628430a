// The orchestrator: the rule that routes. `start` and `next` are pure: same input, same output, no clock, no I/O, no
// memory of other tasks. That is what lets any host evaluate them, and lets a recorded history be replayed through them.

import type { Json, JsonObject } from "../task/json.ts";
import {
  type Hop,
  STOP_REASONS,
  type StopReason,
  type Task,
  type Unanswered,
} from "../task/task.ts";

/** What a rule may look at besides its own state and the last result. */
export interface RouteContext {
  readonly row: JsonObject;
  readonly id: string;
  readonly trial: number;
  readonly seed: number;
  /** The role whose result `next` is given; null in `start`. */
  readonly role: string | null;
  /** Every finished hop; in `next` the last one is the result's. */
  readonly history: readonly Hop[];
}

/** Where a task goes: to a role with new state, several ways at once, or to its end. */
export type Route<S extends Json = Json> = ToRole<S> | Fork<S> | Done;

/** Several branches at once, each a task of its own with what this one is; it waits for their ends. */
export interface Fork<S extends Json = Json> {
  readonly fork: readonly ToRole<S>[];
  /** What `join` is given. */
  readonly state: S;
}

export interface ToRole<S extends Json = Json> {
  readonly to: string;
  readonly state: S;
}

export interface Done {
  readonly done: EndReason;
  readonly score: number | null;
  readonly outcome: JsonObject | null;
}

/** The reasons that a rule can give; the others are the runtime's. */
export type EndReason = Exclude<StopReason, "error" | "timeout" | "max_hops" | "lost">;
export const END_REASONS: readonly EndReason[] = STOP_REASONS.filter(
  (reason): reason is EndReason => !["error", "timeout", "max_hops", "lost"].includes(reason),
);

export interface Orchestrator<S extends Json = Json> {
  start(row: JsonObject, context: RouteContext): Route<S>;
  next(state: S, result: Json, context: RouteContext): Route<S>;
  /** Instead of `next` where a role's model gave no whole answer; without it the task ends, with that reason and no score. */
  unanswered?(state: S, reason: Unanswered, context: RouteContext): Route<S>;
  /**
   * After a branch has ended: where the task goes, or null to wait for more of them. `ended` has null for those that have not.
   * A branch that fails ends the task. The history is the task's own and that of the branches that have ended, in their order.
   */
  join?(state: S, ended: readonly (Done | null)[], context: RouteContext): Route<S> | null;
}

export function to<S extends Json = null>(
  role: string,
  ...state: S extends null ? [state?: S] : [state: S]
): ToRole<S> {
  return { to: role, state: (state[0] ?? null) as S };
}

export function fork<S extends Json>(branches: readonly ToRole<S>[], state: S): Fork<S> {
  return { fork: branches, state };
}

export interface DoneOptions {
  /** Default: completed. */
  readonly reason?: EndReason;
  readonly score?: number | null;
  readonly outcome?: JsonObject | null;
}

export function done({
  reason = "completed",
  score = null,
  outcome = null,
}: DoneOptions = {}): Done {
  return { done: reason, score, outcome };
}

/** The context of a route decision for a task as it stands. Row and history are read from their bytes when a rule asks. */
export function contextOf(task: Task, role: string | null): RouteContext {
  return new TaskContext(task, role);
}

class TaskContext implements RouteContext {
  readonly id: string;
  readonly trial: number;
  readonly seed: number;
  readonly role: string | null;
  readonly #task: Task;

  constructor(task: Task, role: string | null) {
    this.id = task.rowId;
    this.trial = task.trial;
    this.seed = task.seed;
    this.role = role;
    this.#task = task;
  }

  get row(): JsonObject {
    return this.#task.row;
  }

  get history(): readonly Hop[] {
    return this.#task.history;
  }
}
