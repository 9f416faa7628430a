// What models share with the run that asks them. Made with the models, before there is a run, and
// opened with it: until then, and where a run needs none of it, models ask freely and keep nothing.

import { addSpent, NOTHING_SPENT, type Spent } from "../task/spent.ts";
import type { Usage } from "../task/task.ts";
import type { ChatAnswer, ChatRequest } from "./contract.ts";

/**
 * Limits that hold for all hosts of a run together. Every try is a request, also one that fails.
 */
export interface Permits {
  /**
   * Resolves when a request may be sent, with the tokens that were taken for it: what is thought of
   * it when it is its turn to be asked for. Fails with the signal's reason.
   */
  take(model: string, estimate: () => number, signal: AbortSignal): Promise<number>;
  /** How many tokens it came to, once that is known. */
  settle(model: string, taken: number, used: number): void;
}

/** Answers that were paid for, by request. `model`: its id. */
export interface Answers {
  /** Null where it was not answered yet, or is not known to have been. */
  find(model: string, request: ChatRequest): Promise<ChatAnswer | null>;
  /** Resolves when the answer may be used: it will be found again, or cannot be kept. */
  keep(model: string, request: ChatRequest, answer: ChatAnswer): Promise<void>;
}

/** How one of a model's replicas stands. */
export interface ReplicaState {
  readonly replica: string;
  readonly isUp: boolean;
  readonly inFlight: number;
  /** Requests that it is given at once. */
  readonly window: number;
}

/** A model with replicas, for those who look on. */
export interface Replicated {
  readonly model: string;
  readonly replicas: readonly ReplicaState[];
  /** Requests that wait for room. */
  readonly waiting: number;
}

export class ModelSite {
  permits: Permits | null = null;
  /** Of this run (DESIGN 4). */
  journal: Answers | null = null;
  /** Of all runs that name its folder: `run.cache`. */
  cache: Answers | null = null;
  readonly models: Replicated[] = [];
  /** Tells the user what befalls endpoints; replaced by the run's log. */
  say: (level: "info" | "warning", what: string) => void = (level, what) =>
    console.error(`${level}: ${what}`);
  /** On all models; answers that were found again cost nothing. */
  total: Spent = NOTHING_SPENT;
  /** Told after each answer that was paid for. */
  onSpent: (total: Spent) => void = () => undefined;

  spend(usage: Usage, cost: number): void {
    this.total = addSpent(this.total, { ...usage, cost });
    this.onSpent(this.total);
  }
}
