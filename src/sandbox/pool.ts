// A pool assigns tasks to the sandboxes of one name on one host. A sandbox serves many tasks as
// sessions, or one task. A task stays with its sandbox, because its state is there. When the
// sandbox goes, a task with state in it fails with `sandbox_lost`, and a task without moves to
// another sandbox. Calls of a stateful sandbox are fenced.

import { createHash } from "node:crypto";
import { MatrixError } from "../error.ts";
import { SharedTexts } from "./changes/shared-texts.ts";
import { type Tree, takeTree } from "./changes/tree.ts";
import type { Channel } from "./channel.ts";
import type { Sandbox } from "./contract.ts";
import { type Call, judge } from "./fence.ts";
import type { AgentOptions, Seat } from "./seat.ts";
import { Seats, type SeatsOptions } from "./seats.ts";

export interface PoolOptions extends SeatsOptions {
  /** True when a task leaves state in its sandbox between calls. */
  readonly stateful: boolean;
  /** True when a role may ask what a task changed. Then the files are read when a task begins. */
  readonly watches: boolean;
  /** Longest life of a task. A session that was silent for longer has no task any more. */
  readonly taskMs: number;
}

/** The task that calls, in its attempt and at its hop. */
export interface Caller {
  readonly rowId: string;
  readonly trial: number;
  readonly attempt: number;
  readonly hop: number;
  /** Number of this try of the hop, from 1. */
  readonly tries: number;
  /** True when this attempt has called before, so that its session must exist. */
  readonly continues: boolean;
}

/** The sandbox of a call. */
export interface Place {
  readonly sandbox: Sandbox;
  /** Name of the task's session in the sandbox, another one for each attempt. */
  readonly session: string;
  /**
   * The files of the working directory before the task's first call, by any role. Fails with
   * `agent_failed` when they could not be read.
   */
  before(): Promise<Tree>;
  /** The channel to an agent in the sandbox, which is started at its first use. */
  channel(agent: AgentOptions): Promise<Channel>;
}

/** Number of times that a call moves to another sandbox after its own was lost. */
const MOVES_MAX = 2;
/** A task that was silent for this long loses its sandbox when other tasks wait for one. */
const SILENCE_MS = 60_000;
const SWEEP_EVERY_MS = 5000;
const SESSION_CHARS = 16;
/** Longest time in which the files of a beginning task are read. */
const BEFORE_MS = 60_000;

interface Session {
  readonly key: string;
  /** The name of the session that agents get. */
  readonly told: {
    readonly session: string;
    readonly id: string;
    readonly trial: number;
    readonly attempt: number;
  };
  /** Set at the first call, before it has a seat, so that the same call never begins twice. */
  readonly seat: Promise<Seat>;
  /** The files before the first call; null in a pool that does not watch. */
  readonly before: Promise<Tree> | null;
  last: Call;
  /** Answer of the last call. */
  answer: Promise<unknown>;
  /** Calls in progress. */
  busy: number;
  usedAt: number;
}

export class SandboxPool implements AsyncDisposable {
  readonly #options: PoolOptions;
  readonly #seats: Seats;
  readonly #sessions = new Map<string, Session>();
  readonly #sweep: NodeJS.Timeout;
  readonly #texts = new SharedTexts();

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#seats = new Seats(options);
    this.#sweep = setInterval(() => this.evict(), SWEEP_EVERY_MS);
    this.#sweep.unref();
  }

  /** Sandboxes that run. */
  get size(): number {
    return this.#seats.size;
  }

  /**
   * Makes one call in the task's sandbox. `digest` identifies what the call asks. In a stateful
   * sandbox, the same call again gets the answer from memory, an older call fails with
   * `sandbox_fenced`, and a call whose session is gone fails with `sandbox_lost`. Fails with
   * `sandbox_unavailable` when no sandbox can be started.
   */
  async call<T>(
    caller: Caller,
    digest: string,
    use: (place: Place) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const key = keyOf(caller.rowId, caller.trial);
    const { attempt, hop, tries } = caller;
    const call: Call = { attempt, hop, tries, digest };
    for (let moves = 0; ; moves++) {
      const isFirst = !this.#sessions.has(key) && !caller.continues;
      try {
        return await this.#callOnce(key, call, caller, use, signal);
      } catch (thrown) {
        const canMove = isFirst || !this.#options.stateful;
        if (!isLost(thrown) || !canMove || moves === MOVES_MAX || signal.aborted) throw thrown;
        this.#endIfAny(key);
      }
    }
  }

  /**
   * Ends the task's session. Its sandbox serves other tasks, or ends when it served this one alone.
   */
  release(rowId: string, trial: number): void {
    this.#endIfAny(keyOf(rowId, trial));
  }

  /**
   * Ends the sessions of tasks that are over. Tasks also end on other hosts, and this host may
   * never hear of it. While other tasks wait for their own sandbox, the task that was silent
   * longest gives its sandbox up.
   */
  evict(): void {
    const now = this.#options.clock();
    const silent = [...this.#sessions.values()]
      .filter(({ busy, usedAt }) => busy === 0 && now - usedAt > SILENCE_MS)
      .sort((a, b) => a.usedAt - b.usedAt);
    for (const session of silent)
      if (now - session.usedAt > this.#options.taskMs) this.#end(session);
    if (this.#seats.waiting === 0 || this.#options.serves === "many") return;
    const [oldest] = silent;
    if (oldest !== undefined && this.#isCurrent(oldest)) this.#end(oldest);
  }

  async stop(): Promise<void> {
    clearInterval(this.#sweep);
    this.#sessions.clear();
    await this.#seats.stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #callOnce<T>(
    key: string,
    call: Call,
    caller: Caller,
    use: (place: Place) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const known = this.#sessions.get(key);
    const { stateful } = this.#options;
    const free = known === undefined ? "begin" : "go-on";
    const verdict = stateful ? judge(known?.last ?? null, call) : free;
    if (verdict === "repeat" && known !== undefined) return known.answer as Promise<T>;
    if (verdict === "refuse") throw this.#fenced(call, known?.last ?? null);
    if (verdict === "begin") {
      if (known !== undefined) this.#end(known);
      if (caller.continues && stateful)
        throw this.#seats.lost(
          "the sandbox with the state of this task is gone, so the row must start again",
        );
    }
    const session =
      verdict === "go-on" && known !== undefined ? known : this.#begin(key, call, caller, signal);
    session.last = call;
    const answer = this.#use(session, use);
    session.answer = answer;
    return answer;
  }

  #begin(
    key: string,
    call: Call,
    { rowId: id, trial, attempt }: Caller,
    signal: AbortSignal,
  ): Session {
    const digest = createHash("sha256").update(`${key}\0${attempt}`).digest("hex");
    const told = { session: digest.slice(0, SESSION_CHARS), id, trial, attempt };
    const seat = this.#seats.take(signal);
    const usedAt = this.#options.clock();
    const before = this.#options.watches ? seat.then((own) => this.#filesOf(own)) : null;
    // Only a role that asks for changes hears of it.
    before?.catch(() => undefined);
    const session: Session = { key, told, seat, before, last: call, answer: seat, busy: 0, usedAt };
    this.#sessions.set(key, session);
    seat.catch(() => this.#forget(session));
    return session;
  }

  #filesOf({ sandbox }: Seat): Promise<Tree> {
    return takeTree(sandbox, ".", { timeoutMs: BEFORE_MS, keep: this.#texts.keep });
  }

  async #use<T>(session: Session, use: (place: Place) => Promise<T>): Promise<T> {
    session.busy++;
    try {
      const seat = await session.seat;
      if (seat.gone !== null) {
        this.#forget(session);
        throw this.#seats.lost(seat.gone);
      }
      await session.before?.catch(() => undefined);
      return await use({
        sandbox: seat.sandbox,
        session: session.told.session,
        before: () => session.before ?? Promise.reject(new Error("bug: this pool does not watch")),
        channel: (agent) => seat.channel(agent),
      }).catch((thrown: unknown) => {
        // Until the engine reports the end, rows would start again in this sandbox and be lost
        // again.
        if (isLost(thrown)) this.#seats.condemn(seat, thrown.message);
        throw thrown;
      });
    } finally {
      session.busy--;
      session.usedAt = this.#options.clock();
      const { stateful, serves } = this.#options;
      const isTied = stateful || serves === "one";
      // Without a tie, the next call goes to the sandbox that has least to do.
      if (!isTied && session.busy === 0 && this.#isCurrent(session)) this.#end(session);
    }
  }

  #isCurrent(session: Session): boolean {
    return this.#sessions.get(session.key) === session;
  }

  #forget(session: Session): void {
    if (this.#isCurrent(session)) this.#sessions.delete(session.key);
  }

  #endIfAny(key: string): void {
    const session = this.#sessions.get(key);
    if (session !== undefined) this.#end(session);
  }

  #end(session: Session): void {
    this.#forget(session);
    session.seat.then(
      (seat) => {
        // Agents of a sandbox without state hold nothing of a task.
        if (this.#options.stateful) seat.end(session.told);
        this.#seats.free(seat);
      },
      () => undefined,
    );
  }

  #fenced(call: Call, last: Call | null): MatrixError {
    return new MatrixError(
      "sandbox_fenced",
      `sandbox ${this.#options.spec.name} has gone on with this task: call ${call.attempt}.${call.hop} comes after ${last?.attempt}.${last?.hop}`,
    );
  }
}

function keyOf(rowId: string, trial: number): string {
  return `${rowId}\0${trial}`;
}

function isLost(thrown: unknown): thrown is MatrixError {
  if (!(thrown instanceof MatrixError)) return false;
  return thrown.code === "sandbox_lost" || thrown.code === "program_failed";
}
