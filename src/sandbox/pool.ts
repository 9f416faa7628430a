// The running sandboxes of one name on one host, and which task has which. A sandbox serves many tasks as sessions, or one.
// A task stays with its sandbox, for that is where its state is; when the sandbox goes, what had state in it is lost and says
// so, and what had none goes to another. Calls of a stateful sandbox are fenced.

import { createHash } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { MatrixError } from "../error.ts";
import type { Log } from "../telemetry/log.ts";
import type { Channel } from "./channel.ts";
import type { Sandbox, Sandboxes, SandboxSpec } from "./contract.ts";
import { type Call, judge } from "./fence.ts";
import { type AgentOptions, Seat } from "./seat.ts";
import type { Starts } from "./starts.ts";

export interface PoolOptions {
  readonly spec: SandboxSpec;
  /** Made ready at the first start: the engine found, the image built or pulled. */
  readonly ready: () => Promise<{ readonly sandboxes: Sandboxes; readonly image: string }>;
  readonly serves: "many" | "one";
  /** Sandboxes at once. */
  readonly count: number;
  /** Sandboxes that are started before anybody asks. */
  readonly warm: number;
  /** Something of a task stays in its sandbox between calls. */
  readonly stateful: boolean;
  /** A task lives no longer than this: a session that was silent for as long is nobody's. */
  readonly taskMs: number;
  /** How long a task waits for an engine that starts none, before it hears of it. */
  readonly patienceMs: number;
  readonly starts: Starts;
  readonly log: Log;
}

/** Whose call it is: a task's, in its attempt, at its hop. */
export interface Caller {
  readonly rowId: string;
  readonly trial: number;
  readonly attempt: number;
  readonly hop: number;
  /** This attempt has called before, so its session must be there. */
  readonly continues: boolean;
}

/** What a call works with. */
export interface Place {
  readonly sandbox: Sandbox;
  /** Names the task's session in the sandbox: one for each attempt. */
  readonly session: string;
  /** The channel to an agent in the sandbox, started at its first use. */
  channel(agent: AgentOptions): Promise<Channel>;
}

/** A start that failed is tried again after a while, and then after longer ones. */
const START_PAUSE_MS = { first: 250, max: 5000 } as const;
/** How often a call whose sandbox went is made again elsewhere. */
const MOVES_MAX = 2;
/** Where others wait for a sandbox, a task that was silent for this long has lost its own. */
const SILENCE_MS = 60_000;
const SWEEP_MS = 5000;

interface Session {
  readonly key: string;
  /** As the agents in the sandbox know it. */
  readonly told: {
    readonly session: string;
    readonly id: string;
    readonly trial: number;
    readonly attempt: number;
  };
  /** There from the first call on, so that the same call never begins twice. */
  readonly seat: Promise<Seat>;
  last: Call;
  /** Of the last call. */
  answer: Promise<unknown>;
  /** Of calls in progress. */
  busy: number;
  usedAt: number;
}

export class SandboxPool implements AsyncDisposable {
  readonly #options: PoolOptions;
  readonly #seats = new Set<Seat>();
  readonly #sessions = new Map<string, Session>();
  /** Who waits until a seat comes or is free. */
  readonly #waiting: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] =
    [];
  readonly #sweep: NodeJS.Timeout;
  #starting = 0;
  #stopped = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#sweep = setInterval(() => this.#evict(), SWEEP_MS);
    this.#sweep.unref();
    for (let index = 0; index < Math.min(options.warm, options.count); index++) void this.#start();
  }

  /** Sandboxes that run. */
  get size(): number {
    return this.#seats.size;
  }

  /**
   * Does one call in the task's sandbox. `digest` stands for what is asked: of a stateful sandbox, the same call again is
   * answered from memory, an older one fails with `sandbox_fenced`, and one whose session is gone with `sandbox_lost`.
   * Fails with `sandbox_unavailable` where none can be started.
   */
  async call<T>(
    caller: Caller,
    digest: string,
    work: (place: Place) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const key = `${caller.rowId}\0${caller.trial}`;
    const call: Call = { attempt: caller.attempt, hop: caller.hop, digest };
    for (let moves = 0; ; moves++) {
      const first = !this.#sessions.has(key) && !caller.continues;
      try {
        return await this.#callOnce(key, call, caller, work, signal);
      } catch (thrown) {
        const lost = thrown instanceof MatrixError && thrown.code === "sandbox_lost";
        // Nothing had been kept in it: another one does as well.
        if (!lost || moves === MOVES_MAX || !(first || !this.#options.stateful) || signal.aborted)
          throw thrown;
        const session = this.#sessions.get(key);
        if (session !== undefined) this.#end(session);
      }
    }
  }

  /** The task is over, here: its sandbox serves others, or ends when it was the task's own. */
  release(rowId: string, trial: number): void {
    const session = this.#sessions.get(`${rowId}\0${trial}`);
    if (session !== undefined) this.#end(session);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#sweep);
    this.#sessions.clear();
    for (const { reject } of this.#waiting.splice(0)) reject(this.#lost("the run was stopped"));
    await Promise.all([...this.#seats].map((seat) => seat.stop()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #callOnce<T>(
    key: string,
    call: Call,
    caller: Caller,
    work: (place: Place) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const known = this.#sessions.get(key);
    const verdict = this.#options.stateful
      ? judge(known?.last ?? null, call)
      : known === undefined
        ? "begin"
        : "go-on";
    if (verdict === "repeat" && known !== undefined) return known.answer as Promise<T>;
    if (verdict === "refuse")
      throw new MatrixError(
        "sandbox_fenced",
        `sandbox ${this.#options.spec.name} has gone on with this task: call ${call.attempt}.${call.hop} comes after ${known?.last.attempt}.${known?.last.hop}`,
      );
    if (verdict === "begin" && known !== undefined) this.#end(known);
    if (verdict === "begin" && caller.continues && this.#options.stateful)
      throw this.#lost(
        "the sandbox that had the state of this task is gone, and the row must start again",
      );
    const session =
      verdict === "go-on" && known !== undefined ? known : this.#begin(key, call, caller, signal);
    session.last = call;
    const answer = this.#work(session, work);
    session.answer = answer;
    return answer;
  }

  #begin(
    key: string,
    call: Call,
    { rowId: id, trial, attempt }: Caller,
    signal: AbortSignal,
  ): Session {
    const seat = this.#seat(signal);
    const told = {
      session: createHash("sha256").update(`${key}\0${attempt}`).digest("hex").slice(0, 16),
      id,
      trial,
      attempt,
    };
    const session: Session = {
      key,
      told,
      seat,
      last: call,
      answer: seat,
      busy: 0,
      usedAt: performance.now(),
    };
    this.#sessions.set(key, session);
    seat.catch(() => this.#forget(session));
    return session;
  }

  async #work<T>(session: Session, work: (place: Place) => Promise<T>): Promise<T> {
    session.busy++;
    try {
      const seat = await session.seat;
      if (seat.gone !== null) {
        this.#forget(session);
        throw this.#lost(seat.gone);
      }
      return await work({
        sandbox: seat.sandbox,
        session: session.told.session,
        channel: (agent) => seat.channel(agent),
      }).catch((thrown: unknown) => {
        // The engine may tell later that it ended: until then rows would start again in it, and lose it again.
        if (thrown instanceof MatrixError && thrown.code === "sandbox_lost")
          this.#condemn(seat, thrown.message);
        throw thrown;
      });
    } finally {
      session.busy--;
      session.usedAt = performance.now();
      const { stateful, serves } = this.#options;
      // Nothing ties its next call to this sandbox: that goes wherever there is least to do.
      if (
        !stateful &&
        serves === "many" &&
        session.busy === 0 &&
        this.#sessions.get(session.key) === session
      )
        this.#end(session);
    }
  }

  /** The seat with the fewest tasks, once there is one with room, taken for one more. */
  async #seat(signal: AbortSignal): Promise<Seat> {
    for (;;) {
      if (this.#stopped) throw this.#lost("the run was stopped");
      const { serves, count } = this.#options;
      const free = [...this.#seats].filter(
        ({ sessions, gone }) => gone === null && (serves === "many" || sessions === 0),
      );
      const best = free.reduce<Seat | null>(
        (best, seat) => (best === null || seat.sessions < best.sessions ? seat : best),
        null,
      );
      const wanted = best === null || best.sessions > 0;
      if (
        wanted &&
        this.#seats.size + this.#starting < count &&
        this.#starting < this.#waiting.length + 1
      )
        void this.#start();
      if (best !== null) {
        best.sessions++;
        return best;
      }
      await this.#wait(signal);
    }
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

  /** Never fails: who waits is told. */
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
      // While others run or start, who waits gets one of them.
      if (this.#seats.size + this.#starting > 1) return;
      for (const { reject } of this.#waiting.splice(0)) reject(thrown as Error);
    } finally {
      this.#starting--;
    }
  }

  /** Engines come back: a start that may succeed another time is tried for as long as patience lasts. */
  async #startSandbox(): Promise<Sandbox> {
    const { starts, ready, spec, log, patienceMs } = this.#options;
    const deadline = performance.now() + patienceMs;
    for (
      let pauseMs: number = START_PAUSE_MS.first;
      ;
      pauseMs = Math.min(START_PAUSE_MS.max, 2 * pauseMs)
    ) {
      try {
        return await starts.run(async () => {
          const { sandboxes, image } = await ready();
          return sandboxes.start({ ...spec, image });
        });
      } catch (thrown) {
        if (
          !(thrown instanceof MatrixError) ||
          thrown.code !== "sandbox_unavailable" ||
          this.#stopped
        )
          throw thrown;
        const nextMs = Math.max(pauseMs, thrown.retryAfterMs ?? 0);
        if (performance.now() + nextMs > deadline) throw thrown;
        log.write("warning", thrown.message, { sandbox: spec.name });
        await pause(nextMs);
      }
    }
  }

  #condemn(seat: Seat, why: string): void {
    seat.gone ??= why;
    this.#leave(seat);
    void seat.stop();
  }

  /** A seat is gone: its sessions have lost their state, and who waits may start another. */
  #leave(seat: Seat): void {
    this.#seats.delete(seat);
    if (!this.#stopped) this.#wake();
  }

  #forget(session: Session): void {
    if (this.#sessions.get(session.key) === session) this.#sessions.delete(session.key);
  }

  #end(session: Session): void {
    this.#forget(session);
    session.seat.then(
      (seat) => {
        // Nothing of a task was kept where nothing is stateful.
        if (this.#options.stateful) seat.end(session.told);
        this.#free(seat);
      },
      () => undefined,
    );
  }

  #free(seat: Seat): void {
    seat.sessions--;
    if (this.#options.serves === "many" || seat.gone !== null) return;
    // What one task left behind is not for the next.
    this.#seats.delete(seat);
    void seat.stop().then(() => this.#wake());
    if (this.#seats.size + this.#starting < this.#options.warm && !this.#stopped)
      void this.#start();
  }

  #wake(): void {
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  /** Tasks end elsewhere too, and nobody tells. Where others wait for a sandbox, the one that was silent longest gives its own up. */
  #evict(): void {
    const now = performance.now();
    const silent = [...this.#sessions.values()].filter(
      ({ busy, usedAt }) => busy === 0 && now - usedAt > SILENCE_MS,
    );
    for (const session of silent.filter(({ usedAt }) => now - usedAt > this.#options.taskMs))
      this.#end(session);
    if (this.#waiting.length === 0 || this.#options.serves === "many") return;
    const oldest = silent.reduce<Session | null>(
      (oldest, one) => (oldest === null || one.usedAt < oldest.usedAt ? one : oldest),
      null,
    );
    if (oldest !== null) this.#end(oldest);
  }

  #lost(why: string): MatrixError {
    return new MatrixError("sandbox_lost", `sandbox ${this.#options.spec.name}: ${why}`);
  }
}
