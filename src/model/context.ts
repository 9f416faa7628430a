// The context that models are opened with: the limits, the journal and the cache of the run that
// asks them.

import { printable } from "../task/printable.ts";
import type { Usage } from "../task/task.ts";
import { Recorder } from "../telemetry/recorder.ts";
import type { ChatAnswer, ChatRequest } from "./contract.ts";

/**
 * Limits that hold for all hosts of a run together. Every try is a request, failed ones included.
 */
export interface Permits {
  /**
   * Resolves when a request may be sent, with the number of tokens that were taken for it: the
   * estimate at the moment of asking. Fails with the signal's reason.
   */
  take(model: string, estimate: () => number, signal: AbortSignal): Promise<number>;
  /** Tells how many tokens the request came to, once that is known. */
  settle(model: string, taken: number, used: number): void;
}

/** Answers that were paid for, found by request. `model` is the model's id. */
export interface Answers {
  /** Null when no answer to this request is known. */
  find(model: string, request: ChatRequest): Promise<ChatAnswer | null>;
  /** Resolves when the answer may be used: it will be found again, or it cannot be kept. */
  keep(model: string, request: ChatRequest, answer: ChatAnswer): Promise<void>;
}

/** Windows of replicas that were found by use, kept over the starts of a run. */
export interface FoundWindows {
  /** The most requests at once that the replica took; null when that is not known. */
  find(model: string, replica: string): number | null;
  /** `size`: null when the replica no longer turns requests away. */
  note(model: string, replica: string, size: number | null): void;
}

/** Answers of one run, whose processes also know which of them makes a request now. */
export interface Journal extends Answers {
  /**
   * Waits for a process that makes this request now. With null, this process has the claim and is
   * to ask, and then to keep the answer or to drop the claim.
   */
  findOrClaim(
    model: string,
    request: ChatRequest,
    signal?: AbortSignal,
  ): Promise<ChatAnswer | null>;
  /** No answer to the claimed request will be kept. */
  drop(model: string, request: ChatRequest): void;
}

/** The parts that the models of one process share with the run that asks them. */
export interface ModelContext {
  readonly permits: Permits | null;
  /** Answers that this run has paid for. */
  readonly journal: Journal | null;
  /** Answers of all runs that share the folder `run.cache`. */
  readonly cache: Answers | null;
  readonly windows: FoundWindows | null;
  /** Tells the user what happens to endpoints. */
  say(level: "info" | "warning", what: string): void;
  /** Counts an answer that was paid for. Answers from journal or cache cost nothing. */
  spend(usage: Usage, cost: number): void;
  /** Takes the metrics of requests and answers. */
  readonly recorder: Recorder;
}

/** Models outside of any run ask without limits and keep nothing. */
export const NO_RUN: ModelContext = {
  permits: null,
  journal: null,
  cache: null,
  windows: null,
  say: (level, what) => console.error(printable(`${level}: ${what}`)),
  spend: () => undefined,
  recorder: new Recorder(),
};
