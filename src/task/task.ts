// A task: one (row, trial) in flight. It carries its own state and control, so any host that holds
// the message can go on with it. Tasks are immutable: a hop makes a new task, which shares the row
// and the older history with the one before.

import type { Json, JsonObject } from "./json.ts";

/**
 * Requests and tokens of model calls. The names are those of the OpenAI API. An optional member
 * that is unset is 0.
 */
export interface Usage {
  readonly requests: number;
  /** All tokens of the prompts, cached ones included. */
  readonly prompt_tokens: number;
  /** All tokens of the answers, reasoning included. */
  readonly completion_tokens: number;
  /** The part of `prompt_tokens` that the provider read from its cache. */
  readonly cached_tokens?: number;
  /** The part of `prompt_tokens` that the provider wrote to its cache. */
  readonly cache_write_tokens?: number;
  /** The part of `completion_tokens` that the model spent on reasoning. */
  readonly reasoning_tokens?: number;
  /** Requests that failed: another try followed, or the answer that was paid for was no use. */
  readonly failed_requests?: number;
  /** Requests whose tokens are estimates, because the endpoint did not count them. */
  readonly estimated_requests?: number;
  /** The part of the cost that the provider stated. The rest comes from the recipe's prices. */
  readonly stated_cost?: number;
}

/**
 * One finished hop, spelled as in the record. Times are in milliseconds, rounded to the
 * microsecond.
 */
export interface Hop {
  /** Its index in the history, from 0. */
  readonly hop: number;
  readonly role: string;
  /** The index of the branch that made the hop, from 0; unset for a hop outside any branch. */
  readonly branch?: number;
  readonly host: string;
  /** The start of the agent, RFC 3339 in UTC. */
  readonly at: string;
  /** Time from the arrival at the host to the start of the agent. */
  readonly queue_ms: number;
  readonly run_ms: number;
  /** Set for hops that asked a model. */
  readonly model?: string;
  readonly usage?: Usage;
  /** In the currency of the recipe's prices; set for models that have a price. */
  readonly cost?: number;
  /** Number of tries of the step (`roles.NAME.retries`); unset for one. */
  readonly tries?: number;
  /** Answers of the model that were paid for and not used, in order; unset for none. */
  readonly missed?: readonly MissedAnswer[];
  /** Set for the last hop of a failed task whose step failed: the code of the error. */
  readonly error?: string;
  /**
   * A chat message in the OpenAI shape for an LLM role, any JSON for another; null for a step that
   * failed.
   */
  readonly result: Json;
}

/** An answer that a step could not use. Its usage and cost are a part of the hop's. */
export interface MissedAnswer {
  /** The fault of the answer, in words. */
  readonly problem: string;
  readonly usage: Usage;
  readonly cost?: number;
  readonly result: Json;
}

export interface Task {
  readonly rowId: string;
  /** The index of this independent attempt at the row, from 0. */
  readonly trial: number;
  readonly row: JsonObject;
  /** Derived from (run seed, row id, trial). */
  readonly seed: number;
  /** Number of the start of the row, from 1. */
  readonly attempt: number;
  /**
   * The role that does the next step; empty before the first one, and while the task waits for
   * its branches.
   */
  readonly role: string;
  /** The orchestrator's state. The orchestrator alone writes it. */
  readonly state: Json;
  readonly history: readonly Hop[];
  /** Milliseconds since the epoch. */
  readonly admittedAt: number;
  /** W3C trace context (`traceparent`) of the task's span; null when no traces are exported. */
  readonly trace: string | null;
  /** Set for a branch: its task waits for it and for its siblings. */
  readonly branch?: Branch;
  /**
   * True when another process may have done some of the next steps before, because one that had the
   * task was given up. What comes of the task inherits this.
   */
  readonly mayRepeat?: boolean;
}

/** The identity of a branch in the run, and the process whose task waits for it. */
export interface Branch {
  /** The identity of the process, which a restarted process does not have again. */
  readonly of: string;
  /** The number of the branch in that process, which is never used again. */
  readonly id: number;
  /** The share of the branch in its task's limit; unset without a limit. */
  readonly limit?: TaskLimit;
}

/** The most that one task may use. A member that is unset does not limit. */
export interface TaskLimit {
  /** Tokens of prompts and answers together. */
  readonly tokens?: number | undefined;
  readonly cost?: number | undefined;
  /** Requests that were answered. Failed tries are not the task's doing. */
  readonly calls?: number | undefined;
}

/**
 * A task on the wire: a step for a role to do, a fork whose branches a host waits for, or an end.
 * An end travels to the sink or, for a branch, to the process that waits for it.
 */
export type Message = StepMessage | ForkMessage | EndMessage;

export interface StepMessage {
  readonly kind: "step";
  readonly task: Task;
}

/**
 * A task that goes several ways at once. Any host can send out its branches and wait for them
 * (src/host/forks.ts).
 */
export interface ForkMessage {
  readonly kind: "fork";
  readonly task: Task;
}

export interface EndMessage {
  readonly kind: "end";
  readonly task: Task;
  readonly ending: Ending;
}

/**
 * Reasons why a model gave no whole answer. Such an answer is an outcome of the task: it is never
 * tried again and never scored.
 */
export const UNANSWERED = [
  "context_length", // the prompt is longer than the model takes
  "refused", // the model declined
  "content_filtered", // the endpoint held the answer back
  "cut", // the answer reached its token limit
] as const;
export type Unanswered = (typeof UNANSWERED)[number];

export function isUnanswered(reason: string): reason is Unanswered {
  return (UNANSWERED as readonly string[]).includes(reason);
}

/** Reasons why a task ended. The list is closed, so that reports and filters can rely on it. */
export const STOP_REASONS = [
  "completed", // the route came to its end
  "agreed", // a dialogue's condition held
  "max_turns", // a dialogue or tool loop used up its turns
  "filtered", // a pipeline stage dropped the row
  "stopped", // a tool loop's speaker called no tool, or its `until` held
  ...UNANSWERED,
  "error", // the record's `error` says which
  "timeout",
  "max_hops",
  "task_limit", // the task has used what run.task_limit allows
  "lost", // only with delivery = "at-most-once"
] as const;
export type StopReason = (typeof STOP_REASONS)[number];

export interface TaskError {
  readonly code: string;
  readonly message: string;
  /** Role and index of the hop in which it happened; null outside any hop. */
  readonly role: string | null;
  readonly hop: number | null;
  /** The stack of user code that threw. */
  readonly stack?: string;
}

export interface Ending {
  readonly status: "ok" | "failed" | "lost";
  readonly stopReason: StopReason;
  /** Null for a task that was not scored, and for every failed task. */
  readonly score: number | null;
  /** The orchestrator's result for the whole task. */
  readonly outcome: JsonObject | null;
  readonly error: TaskError | null;
}
