// Decides from the beats of an event loop that it is blocked, and what is said about it. Time in
// which the whole process did not run (it was stopped, or the machine slept) does not count.

import type { ReadSteps } from "./steps.ts";

/** Interval of looks. */
export const LOOK_MS = 1000;
/** A loop that is blocked for longer is spoken of, and the signals of the user end the process. */
const SAY_MS = 10_000;
/** Processor time that a host of a cluster may burn without a beat. */
const BURNED_MS_MAX = 30_000;

export interface Look {
  readonly beats: number;
  /** Any clock that never goes back. */
  readonly nowMs: number;
  /** Processor time of the process. */
  readonly cpuMs: number;
}

/** `blocked`, `burned` and `again` are each said once for one block; `still` is said in between. */
export type Verdict = "beats" | "blocked" | "still" | "burned" | "again";

export class BlockedLoop {
  #last: Look | null = null;
  #silentMs = 0;
  #burnedMs = 0;

  /** Time without a beat, in which this process ran. */
  get silentMs(): number {
    return this.#silentMs;
  }

  /** Other threads burn processor time too, but the loop no more than the time that passes. */
  get #ownBurnedMs(): number {
    return Math.min(this.#silentMs, this.#burnedMs);
  }

  look(look: Look): Verdict {
    const last = this.#last;
    this.#last = look;
    if (last === null || look.beats !== last.beats) {
      const wasBlocked = this.#silentMs >= SAY_MS;
      this.#silentMs = 0;
      this.#burnedMs = 0;
      return wasBlocked ? "again" : "beats";
    }
    const before = { silentMs: this.#silentMs, burnedMs: this.#ownBurnedMs };
    // A look that comes late tells that this process did not run meanwhile.
    this.#silentMs += Math.min(look.nowMs - last.nowMs, 2 * LOOK_MS);
    this.#burnedMs += look.cpuMs - last.cpuMs;
    if (before.silentMs < SAY_MS && this.#silentMs >= SAY_MS) return "blocked";
    if (before.burnedMs < BURNED_MS_MAX && this.#ownBurnedMs >= BURNED_MS_MAX) return "burned";
    return "still";
  }
}

/** Names the code that blocks the loop, as well as it is known. */
export function describeBlocker({ running, waiting, further }: ReadSteps): string {
  if (running !== null) return running;
  const others = further === 0 ? [] : [`one of ${further} others`];
  const [first = "code that belongs to no step", ...rest] = [...waiting, ...others];
  return rest.length === 0 ? first : `one of these steps: ${[first, ...rest].join("; ")}`;
}
