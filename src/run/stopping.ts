// Stops a run before it is complete: at the wish of the user, because its budget is used up, or
// early, because no row can succeed. First no further task begins; tasks in flight get time to
// finish, unless no host is left that could finish them.

import type { EarlyStop } from "../driver/early-stop.ts";
import { onAbort } from "../driver/run.ts";
import { MatrixError, messageOf } from "../error.ts";
import { masked } from "../known-secrets.ts";
import type { Stopped } from "../records/manifest.ts";
import type { Log } from "../telemetry/log.ts";
import type { RunContext } from "./settings.ts";

/** A run that is to stop looks this often whether any host is left that could finish its tasks. */
const HOSTS_LOOK_MS = 250;

export interface StoppingOptions {
  /** The signals of the user. */
  readonly wishes: Pick<RunContext, "drain" | "halt">;
  /** Milliseconds that tasks in flight have. */
  readonly graceMs: number;
  /** Aborted when the budget is used up. */
  readonly spentUp: AbortSignal;
  /** The part of the budget that is used up, in words; null while there is room. */
  readonly usedUp: () => string | null;
  readonly earlyStop: Pick<EarlyStop, "reason" | "signal">;
  readonly log: Log;
  /** False once no host is left that could finish a task. */
  readonly canFinish: () => boolean;
}

export class Stopping {
  /** Aborted: no further task begins. */
  readonly drain: AbortSignal;
  /** Aborted: the run stops at once. */
  readonly halt: AbortSignal;
  readonly #options: StoppingOptions;
  readonly #graceOver = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #looks: NodeJS.Timeout | undefined;

  constructor(options: StoppingOptions) {
    const { wishes, spentUp, earlyStop } = options;
    const { drain = NEVER, halt = NEVER } = wishes;
    this.#options = options;
    this.drain = AbortSignal.any([drain, spentUp, earlyStop.signal]);
    this.halt = AbortSignal.any([halt, this.#graceOver.signal]);
    this.#heed(drain);
  }

  /** Why the run stopped. `error` is what ended it; null when it was told to stop. */
  reason(error: Error | null): Stopped {
    const { usedUp, earlyStop } = this.#options;
    if (error !== null) return { why: whyOf(error), message: masked(messageOf(error)) };
    if (earlyStop.reason !== null) return { why: "early_stop", message: masked(earlyStop.reason) };
    const used = usedUp();
    return used === null
      ? { why: "signal", message: "the run was told to stop" }
      : { why: "budget", message: `run.budget is used up: ${used}` };
  }

  /** Ends the grace time's timers. */
  close(): void {
    clearTimeout(this.#timer);
    clearInterval(this.#looks);
  }

  #heed(asked: AbortSignal): void {
    const { spentUp, usedUp, earlyStop, graceMs, log } = this.#options;
    void onAbort(asked, () => {
      const within = `tasks in flight may finish within ${graceMs / 1000} s`;
      log.write("warning", `stopping: ${within}; a second signal stops at once`);
      this.#giveGrace();
    });
    void onAbort(earlyStop.signal, () => {
      log.write("error", `the run stops early: ${earlyStop.reason}`);
      this.#giveGrace();
    });
    void onAbort(spentUp, () =>
      log.write(
        "warning",
        `run.budget is used up (${usedUp()}): no further task begins, tasks in flight may finish`,
      ),
    );
  }

  #giveGrace(): void {
    if (this.#timer !== undefined) return;
    const { canFinish, graceMs } = this.#options;
    const end = (): void => this.#graceOver.abort();
    this.#timer = setTimeout(end, graceMs);
    this.#looks = setInterval(() => {
      if (!canFinish()) end();
    }, HOSTS_LOOK_MS);
  }
}

/** A full disk and a storage that is gone can be mended from outside, and then the run goes on. */
function whyOf(error: Error): "disk" | "error" {
  return error instanceof MatrixError && error.code === "storage_failed" ? "disk" : "error";
}

export const NEVER = new AbortController().signal;
