// The running sandboxes of one name on one host. A task takes a seat in one of them; when none has
// room, a sandbox is started or the task waits.

import { setTimeout as sleep } from "node:timers/promises";
import { MatrixError } from "../error.ts";
import type { Log } from "../telemetry/log.ts";
import type { Mount, Sandbox, Sandboxes, SandboxSpec } from "./contract.ts";
import { Seat } from "./seat.ts";
import type { Starts } from "./starts.ts";

/** The parts of a start that are made once. */
export interface Prepared {
  readonly sandboxes: Sandboxes;
  readonly image: string;
  /** Mounts of the files that roles bring. */
  readonly mounts: readonly Mount[];
}

export interface SeatsOptions {
  readonly spec: SandboxSpec;
  /** Finds the engine, makes the image and copies the files of roles, at the first start. */
  readonly prepare: () => Promise<Prepared>;
  /** Tasks that one sandbox serves at a time. */
  readonly serves: "many" | "one";
  /** Upper bound of sandboxes. */
  readonly count: number;
  /** Sandboxes that are started before a task asks. */
  readonly warm: number;
  /** A task hears of an engine that starts no sandbox after this time. */
  readonly patienceMs: number;
  readonly starts: Starts;
  readonly log: Log;
  /** Milliseconds from any fixed point. */
  readonly clock: () => number;
  /** Default: a timer. */
  readonly pause?: (ms: number) => Promise<unknown>;
}

/** A failed start is tried again after a pause, which doubles from `first` to `max`. */
const START_PAUSE_MS = { first: 250, max: 5000 } as const;

export class Seats {
  readonly #options: SeatsOptions;
  readonly #seats = new Set<Seat>();
  /** Tasks that wait until a seat comes or is free. */
  readonly #waiting: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] =
    [];
  #starting = 0;
  #stopped = false;

  constructor(options: SeatsOptions) {
    this.#options = options;
    for (let index = 0; index < Math.min(options.warm, options.count); index++) void this.#start();
  }

  /** Sandboxes that run. */
  get size(): number {
    return this.#seats.size;
  }

  /** Tasks that wait for a seat. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Takes the seat with the fewest tasks, as soon as one has room. */
  async take(signal: AbortSignal): Promise<Seat> {
    for (;;) {
      if (this.#stopped) throw this.lost("the run was stopped");
      const best = this.#best();
      if ((best === null || best.sessions > 0) && this.#mayStart()) void this.#start();
      if (best !== null) {
        best.sessions++;
        return best;
      }
      await this.#wait(signal);
    }
  }

  /**
   * Gives a seat back. A sandbox that served one task is stopped, so that the next gets a fresh
   * one.
   */
  free(seat: Seat): void {
    seat.sessions--;
    if (this.#options.serves === "many" || seat.gone !== null) return;
    this.#seats.delete(seat);
    void seat.stop().then(() => this.#wake());
    if (this.#seats.size + this.#starting < this.#options.warm && !this.#stopped)
      void this.#start();
  }

  /** Takes a lost sandbox out at once, because its engine may report the end later. */
  condemn(seat: Seat, why: string): void {
    seat.gone ??= why;
    this.#leave(seat);
    void seat.stop();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const { reject } of this.#waiting.splice(0)) reject(this.lost("the run was stopped"));
    await Promise.all([...this.#seats].map((seat) => seat.stop()));
  }

  lost(why: string): MatrixError {
    return new MatrixError("sandbox_lost", `sandbox ${this.#options.spec.name}: ${why}`);
  }

  #best(): Seat | null {
    const { serves } = this.#options;
    let best: Seat | null = null;
    for (const seat of this.#seats) {
      const hasRoom = seat.gone === null && (serves === "many" || seat.sessions === 0);
      if (hasRoom && (best === null || seat.sessions < best.sessions)) best = seat;
    }
    return best;
  }

  /** At most one start for each waiting task and the one that asks. */
  #mayStart(): boolean {
    return (
      this.#seats.size + this.#starting < this.#options.count &&
      this.#starting < this.#waiting.length + 1
    );
  }

  async #wait(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter = { resolve, reject };
    const abort = () => reject(signal.reason as Error);
    this.#waiting.push(waiter);
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", abort);
      const index = this.#waiting.indexOf(waiter);
      if (index !== -1) this.#waiting.splice(index, 1);
    }
  }

  /** Never fails: a failure goes to the tasks that wait. */
  async #start(): Promise<void> {
    this.#starting++;
    try {
      const seat = new Seat(await this.#startSandbox(), this.#options.spec.name, this.#options.log);
      if (this.#stopped) {
        await seat.stop();
        return;
      }
      this.#seats.add(seat);
      void seat.sandbox.ended.then(() => this.#leave(seat));
      this.#wake();
    } catch (thrown) {
      // While another sandbox runs or starts, the waiting tasks get that one.
      if (this.#seats.size + this.#starting > 1) return;
      for (const { reject } of this.#waiting.splice(0)) reject(thrown as Error);
    } finally {
      this.#starting--;
    }
  }

  /** Engines come back, so a failed start is tried again for as long as patience lasts. */
  async #startSandbox(): Promise<Sandbox> {
    const { starts, prepare, spec, log, patienceMs, clock, pause = sleep } = this.#options;
    const deadline = clock() + patienceMs;
    for (let pauseMs: number = START_PAUSE_MS.first; ; pauseMs *= 2) {
      try {
        return await starts.run(async () => {
          const { sandboxes, image, mounts } = await prepare();
          return sandboxes.start({ ...spec, image, mounts: [...spec.mounts, ...mounts] });
        });
      } catch (thrown) {
        const isTransient = thrown instanceof MatrixError && thrown.code === "sandbox_unavailable";
        if (!isTransient || this.#stopped) throw thrown;
        const nextMs = Math.max(Math.min(START_PAUSE_MS.max, pauseMs), thrown.retryAfterMs ?? 0);
        if (clock() + nextMs > deadline) throw thrown;
        log.write("warning", thrown.message, { sandbox: spec.name });
        await pause(nextMs);
      }
    }
  }

  /** A waiting task may start another sandbox in the place of the one that is gone. */
  #leave(seat: Seat): void {
    this.#seats.delete(seat);
    if (!this.#stopped) this.#wake();
  }

  #wake(): void {
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }
}
