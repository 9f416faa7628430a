// The orchestrator: the rule that routes. Its functions are pure: same input, same output, no
// clock, no I/O, no memory of other tasks. So any host can evaluate them, and a recorded history
// can be replayed through them.

import type { Json, JsonObject } from "../task/json.ts";
import {
  type Hop,
  STOP_REASONS,
  type StopReason,
  type Task,
  type Unanswered,
} from "../task/task.ts";

/** The view of a task that a rule has besides its own state and the last result. */
export interface RouteContext {
  readonly row: JsonObject;
  readonly id: string;
  readonly trial: number;
  readonly seed: number;
  /** The role that gave the result; null in `start` and `join`. */
  readonly role: string | null;
  /** All finished hops. In `next` the last one gave the result. */
  readonly history: readonly Hop[];
}

/** A decision: the task goes to a role with new state, several ways at once, or to its end. */
export type Route<S extends Json = Json> = ToRole<S> | Fork<S> | Done;

/**
 * Several branches at once. Each is a task that begins with this task's row and history; this task
 * waits for their ends.
 */
export interface Fork<S extends Json = Json> {
  readonly fork: readonly ToRole<S>[];
  /** The state that `join` receives. */
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

/** Stop reasons that the runtime alone gives. */
const OWN_ENDS = ["error", "timeout", "max_hops", "task_limit", "lost"] as const;

/** The stop reasons that a rule can give. */
export type EndReason = Exclude<StopReason, (typeof OWN_ENDS)[number]>;
export const END_REASONS: readonly EndReason[] = STOP_REASONS.filter(
  (reason): reason is EndReason => !(OWN_ENDS as readonly string[]).includes(reason),
);

export interface Orchestrator<S extends Json = Json> {
  start(row: JsonObject, context: RouteContext): Route<S>;
  next(state: S, result: Json, context: RouteContext): Route<S>;
  /**
   * Called instead of `next` when a role's model gave no whole answer. Without it such a task ends
   * with that reason and no score.
   */
  unanswered?(state: S, reason: Unanswered, context: RouteContext): Route<S>;
  /**
   * Called after each end of a branch. Answers where the task goes, or null to wait for more
   * branches. `ended` has an entry for each branch, null while it is under way. A failed branch
   * ends the task before `join` is asked. The context's history is the task's own, followed by the
   * hops of the ended branches in the order of the branches.
   */
  join?(state: S, ended: readonly (Done | null)[], context: RouteContext): Route<S> | null;
}

/** A rule in another process, which decides later. It is as pure as one in this process. */
export interface RemoteOrchestrator {
  readonly isRemote: true;
  start(row: JsonObject, context: RouteContext): Promise<Route>;
  next(state: Json, result: Json, context: RouteContext): Promise<Route>;
  unanswered?(state: Json, reason: Unanswered, context: RouteContext): Promise<Route>;
  join?(state: Json, ended: readonly (Done | null)[], context: RouteContext): Promise<Route | null>;
}

/** The decision to go to a role. */
export function to<S extends Json = null>(
  role: string,
  ...state: S extends null ? [state?: S] : [state: S]
): ToRole<S> {
  return { to: role, state: (state[0] ?? null) as S };
}

/** The decision to go several ways at once. */
export function fork<S extends Json>(branches: readonly ToRole<S>[], state: S): Fork<S> {
  return { fork: branches, state };
}

export interface DoneOptions {
  /** Default: `completed`. */
  readonly reason?: EndReason;
  readonly score?: number | null;
  readonly outcome?: JsonObject | null;
}

/** The decision to end the task. */
export function done({
  reason = "completed",
  score = null,
  outcome = null,
}: DoneOptions = {}): Done {
  return { done: reason, score, outcome };
}

/**
 * The context of a decision about a task. Row and history are parsed from their bytes only when the
 * rule reads them.
 */
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
