// A task: one (row, trial) in flight. It carries its own state and control, so whoever holds the message can go on with it.
// Tasks are immutable: a hop makes a new one that shares the row and the older history with the last.

import type { Json, JsonObject } from "./json.ts";

/** Tokens and requests of model calls. Names as in the OpenAI API. */
export interface Usage {
  readonly requests: number;
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
}

/** One finished hop, spelled as in the record. Times in milliseconds, rounded to the microsecond. */
export interface Hop {
  /** Its index in the history, from 0. */
  readonly hop: number;
  readonly role: string;
  /** Which of several that the task took at once. */
  readonly branch?: number;
  readonly host: string;
  /** When the agent began, RFC 3339 in UTC. */
  readonly at: string;
  /** From arrival at the host to the start of the agent. */
  readonly queue_ms: number;
  readonly run_ms: number;
  /** Only of hops that asked a model. */
  readonly model?: string;
  readonly usage?: Usage;
  /** In the currency of the recipe's prices; only of priced models. */
  readonly cost?: number;
  /** A chat message in the OpenAI shape for an LLM role, any JSON for another. */
  readonly result: Json;
}

export interface Task {
  readonly rowId: string;
  /** The n-th independent attempt wanted for the row, from 0. */
  readonly trial: number;
  readonly row: JsonObject;
  /** Derived from (run seed, row id, trial). */
  readonly seed: number;
  /** How often the row was started, from 1. */
  readonly attempt: number;
  /** The role that acts next. */
  readonly role: string;
  /** The orchestrator's own; it alone writes it. */
  readonly state: Json;
  readonly history: readonly Hop[];
  /** Milliseconds since the epoch. */
  readonly admittedAt: number;
  /** W3C trace context (`traceparent`) of the task's span; null when nothing is exported. */
  readonly trace: string | null;
  /** Only of one that was sent out with others while the task itself waits for them. */
  readonly branch?: Branch;
}

/** Names a branch in the run, and says who waits for it. */
export interface Branch {
  /** The process; its identity is of one life. */
  readonly of: string;
  /** Its number there, never used again. */
  readonly id: number;
}

/** A task on the wire: a step that a role shall do, or the end on its way to the sink. */
export type Message = StepMessage | EndMessage;

export interface StepMessage {
  readonly kind: "step";
  readonly task: Task;
}

export interface EndMessage {
  readonly kind: "end";
  readonly task: Task;
  readonly ending: Ending;
}

/** Why a model gave no whole answer. That is an outcome of the task: never tried again, never scored. */
export const UNANSWERED = [
  "context_length", // what it was asked is longer than it takes
  "refused", // it would not
  "content_filtered", // its endpoint held the answer back
  "cut", // the answer came to its token limit
] as const;
export type Unanswered = (typeof UNANSWERED)[number];

export function isUnanswered(reason: string): reason is Unanswered {
  return (UNANSWERED as readonly string[]).includes(reason);
}

/** Why a task ended. The list is closed, so that reports and filters can rest on it. */
export const STOP_REASONS = [
  "completed", // the route came to its end
  "agreed", // a dialogue's condition held
  "max_turns", // a dialogue or tool loop used up its turns
  "filtered", // a pipeline stage dropped the row
  "stopped", // an agent ended the task: a tool loop's last word
  ...UNANSWERED,
  "error", // see the record's error
  "timeout",
  "max_hops",
  "lost", // only with delivery = "at-most-once"
] as const;
export type StopReason = (typeof STOP_REASONS)[number];

export interface TaskError {
  readonly code: string;
  readonly message: string;
  /** Where it happened; null outside any hop. */
  readonly role: string | null;
  readonly hop: number | null;
  /** The stack of user code that threw. */
  readonly stack?: string;
}

export interface Ending {
  readonly status: "ok" | "failed" | "lost";
  readonly stopReason: StopReason;
  /** Null where nothing was scored; always null on a failed task. */
  readonly score: number | null;
  /** What the orchestrator says of the task at its end. */
  readonly outcome: JsonObject | null;
  readonly error: TaskError | null;
}
