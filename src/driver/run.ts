// A run as the driver sees it: admission at one end, the sink at the other, and the tasks in flight
// between them. What carries the tasks is a fabric: one host in this process, or many over the
// network. The run ends when every task is recorded, when it is told to stop, or when the output
// can no longer be written.

import type { RowStream } from "../dataset/open.ts";
import { type MatrixError, messageOf } from "../error.ts";
import type { Rule } from "../orchestrator/advance.ts";
import type { HostId, Load, RoleLoad } from "../peer/member.ts";
import { parseKey, type TaskKey } from "../peer/parcel.ts";
import type { Receiver, Transport } from "../peer/transport.ts";
import type { Beginning } from "../records/superseded.ts";
import type { Clock } from "../task/clock.ts";
import type { Later } from "../task/later.ts";
import type { EndMessage, Message, Task } from "../task/task.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import { type AdmissionOptions, admitTasks } from "./admission.ts";
import { checkedEnd } from "./arrived-record.ts";
import type { EarlyStop } from "./early-stop.ts";
import { InFlight } from "./in-flight.ts";
import { type RecordKeeper, Sink } from "./sink.ts";
import { Tokens } from "./tokens.ts";

/** The driver's way to send messages and to say which ends are recorded. */
export interface DriverTransport extends Transport {
  /** No process need keep these ends any more. */
  release(ends: readonly EndMessage[]): void;
}

/** A host of the run, as the driver knows it. */
export interface HostState {
  readonly name: string;
  /** True while it hands over its messages and takes no new ones. */
  readonly leaving: boolean;
  readonly load: Load;
}

/** The fabric carries tasks from admission through their roles to the sink. */
export interface Fabric {
  /** The load of each role, summed over all hosts. */
  readonly roles: readonly RoleLoad[];
  /** The hosts that are present. */
  readonly present: readonly HostState[];
  /** Bytes of request bodies that peers have sent to each other; null in one process. */
  readonly wireBytes: number | null;
  /** False when there is no host that could do a step of any task. */
  readonly canFinish: boolean;
  /** Resolves when the first task may be admitted. */
  readonly ready: Promise<void>;
  /** Begins to carry messages. */
  begin(): void;
  /** Called when a task has its record, so that its hosts drop what they keep for it. */
  settle(rowId: string, trial: number): void;
  /** Shuts out the host of this id, which handed over something that is not a record. */
  shutOut(host: HostId): void;
  /** `isComplete` is false when another driver may go on with the run. */
  stop(isComplete: boolean): Promise<void>;
}

/** The operations on tasks that the coordinator of a run on many hosts needs. */
export interface DriverTasks {
  /** Keys of the tasks in flight. */
  keys(): Iterable<TaskKey>;
  /**
   * Takes over a task that hosts hold for an earlier driver. Returns false for a task that this
   * driver already has.
   */
  adopt(key: TaskKey, attempt: number): boolean;
  /** Handles a task that no process holds any more. Returns false when it has ended meanwhile. */
  orphan(key: TaskKey): boolean;
}

/** Notes of the tasks that have left the driver (src/records/admissions.ts). */
export interface AdmissionNotes {
  /** The attempt with which an earlier driver sent the task out; 0 when none did. */
  attemptBefore(rowId: string, trial: number): number;
  /** Returns when the notes survive this process. Fails with `storage_failed`. */
  note(tasks: readonly Pick<Task, "rowId" | "trial" | "attempt">[]): void;
}

export interface RunOptions {
  readonly rows: RowStream;
  readonly trials: number;
  readonly seed: number;
  /** Most tasks in flight. */
  readonly concurrency: number;
  readonly delivery: "retry" | "at-most-once";
  readonly maxAttempts: number;
  /** The time of a task from its admission (`run.timeout`); no limit by default. */
  readonly taskTimeoutMs?: number;
  readonly rule: Rule;
  readonly isRecorded: (rowId: string, trial: number) => boolean;
  readonly beginningOf?: (rowId: string, trial: number) => Beginning;
  /** Keeps which tasks have left the driver; null where no later driver will ask. */
  readonly admissions?: AdmissionNotes | null;
  readonly hasRoom: AdmissionOptions["hasRoom"];
  readonly keeper: RecordKeeper;
  /** Called with a task that came back spoilt, why, and the process that did it, if known. */
  readonly onSpoilt: (task: Task, problem: string, host: HostId | null) => void;
  /** Decides which ends are held back, and when the run stops early. */
  readonly earlyStop: EarlyStop;
  readonly transport: DriverTransport;
  readonly clock: Clock;
  readonly tracing: Tracing | null;
  /** Aborted: no further task is admitted, and what is in flight may finish. */
  readonly drain: AbortSignal;
  /** Aborted: the run stops at once. */
  readonly halt: AbortSignal;
}

/**
 * How a run ended. Tasks that were still in flight are not recorded; a continued run starts them.
 */
export interface RunEnd {
  readonly complete: boolean;
  /** Number of tasks that were in flight, or ended without a record because the run stopped. */
  readonly abandoned: number;
  readonly error: Error | null;
}

/** Interval at which tasks are looked for that no host has ended. */
const EXPIRE_MS = 1000;
/** Time that hosts have to end a task that is late. */
const EXPIRE_GRACE_MS = 45_000;

export class Run implements Receiver, DriverTasks {
  readonly #options: RunOptions;
  readonly #tokens: Tokens;
  readonly #inFlight: InFlight;
  readonly #sink: Sink;
  /** Aborted: no further task is admitted. */
  readonly #drain: AbortSignal;
  readonly #stopped = Promise.withResolvers<RunEnd>();
  #expiredAt: number;
  /** The time at which this process began, or last stood still. */
  #wokenAt: number;
  /** Messages that are sent out at the end of this turn. */
  #leaving: Message[] = [];

  constructor(options: RunOptions) {
    this.#options = options;
    this.#drain = AbortSignal.any([options.drain, options.earlyStop.signal]);
    this.#tokens = new Tokens(options.concurrency);
    this.#expiredAt = options.clock();
    this.#wokenAt = this.#expiredAt;
    const { admissions } = options;
    this.#inFlight = new InFlight({
      ...options,
      ...(admissions == null
        ? {}
        : { attemptBefore: (rowId, trial) => admissions.attemptBefore(rowId, trial) }),
    });
    this.#sink = new Sink({
      ...options,
      inFlight: this.#inFlight,
      tokens: this.#tokens,
      release: (ends) => options.transport.release(ends),
      fail: (error) => this.fail(error),
    });
  }

  get inFlight(): number {
    return this.#inFlight.size;
  }

  /** Plays the run on a fabric that was made for it, and stops the fabric. */
  async play(fabric: Fabric): Promise<RunEnd> {
    const { halt } = this.#options;
    void onAbort(halt, () => this.#stop(null));
    const isDrained = onAbort(this.#drain, () => this.#tokens.wake());
    fabric.begin();
    const expiring = setInterval(() => this.expire(), EXPIRE_MS);
    const end = await Promise.race([
      this.#toTheEnd(fabric.ready, isDrained),
      this.#stopped.promise,
    ]);
    clearInterval(expiring);
    try {
      await fabric.stop(end.complete);
      return end;
    } catch (thrown) {
      // The error that ended the run says more than one that follows from it.
      return { ...end, error: end.error ?? (thrown as Error) };
    }
  }

  /** Takes ends of tasks, in the order in which they arrive. */
  receive(messages: readonly Message[]): void {
    const ends: EndMessage[] = [];
    const settled: EndMessage[] = [];
    const next: Later<Message>[] = [];
    for (const arrived of messages) {
      if (arrived.kind !== "end")
        throw new Error(`bug: a ${arrived.kind} for ${arrived.task.role} reached the sink`);
      const message = checkedEnd(arrived, this.#options.clock(), this.#options.onSpoilt);
      const state = this.#inFlight.judge(message);
      if (state === "record") ends.push(message);
      else settled.push(message);
      if (typeof state !== "string") next.push(state);
    }
    if (settled.length > 0) this.#options.transport.release(settled);
    for (const message of next) this.#dispatch(message);
    this.#sink.receive(ends);
  }

  keys(): Iterable<TaskKey> {
    return this.#inFlight.keys();
  }

  adopt(key: TaskKey, attempt: number): boolean {
    const { rowId, trial } = parseKey(key);
    if (this.#options.isRecorded(rowId, trial) || !this.#inFlight.adopt(key, attempt)) return false;
    this.#tokens.takeAnyway();
    return true;
  }

  orphan(key: TaskKey): boolean {
    if (!this.#inFlight.has(key)) return false;
    const message = this.#inFlight.orphan(key);
    if (message !== null) this.#dispatch(message);
    return true;
  }

  /** Stops the run, which can no longer go on. */
  fail(error: MatrixError): void {
    this.#stop(error);
  }

  async #toTheEnd(ready: Promise<void>, isDrained: Promise<void>): Promise<RunEnd> {
    let complete = false;
    let error: Error | null = null;
    try {
      await Promise.race([ready, isDrained]);
      complete = await admitTasks({
        ...this.#options,
        tokens: this.#tokens,
        inFlight: this.#inFlight,
        dispatch: (message) => this.#dispatch(message),
        signal: this.#drain,
      });
    } catch (thrown) {
      // The rest of the dataset cannot be read. Tasks in flight can still finish.
      error = thrown instanceof Error ? thrown : new Error(messageOf(thrown));
    }
    await this.#tokens.allBack();
    const { earlyStop } = this.#options;
    if (complete) this.#sink.finish();
    await this.#tokens.allBack();
    complete &&= earlyStop.reason === null;
    return { complete, abandoned: earlyStop.unrecorded, error };
  }

  /**
   * Ends the tasks that no host has ended long after their time. Hosts and senders do that
   * themselves (src/peer/broker.ts), so this is for tasks whose sender is gone or stuck, too.
   */
  expire(): void {
    const { clock, taskTimeoutMs = Number.POSITIVE_INFINITY } = this.#options;
    const now = clock();
    // Words of hosts that came while this process stood still are heard first.
    if (now - this.#expiredAt > 2 * EXPIRE_MS) this.#wokenAt = now;
    this.#expiredAt = now;
    if (now - this.#wokenAt < EXPIRE_GRACE_MS) return;
    const message = `no host has ended the task within ${taskTimeoutMs} ms (run.timeout)`;
    const ends = this.#inFlight.overdue(now - taskTimeoutMs - EXPIRE_GRACE_MS, message);
    if (ends.length > 0) this.#sink.receive(ends);
  }

  #dispatch(message: Later<Message>): void {
    if (message instanceof Promise) void message.then((decided) => this.#send(decided));
    else this.#send(message);
  }

  #send(message: Message): void {
    if (message.kind === "end") {
      this.#sink.receive([message]);
      return;
    }
    if (this.#options.admissions == null) {
      this.#options.transport.submit(message);
      return;
    }
    // All tasks of one turn of the event loop are noted with one write.
    if (this.#leaving.length === 0) queueMicrotask(() => this.#sendOut());
    this.#leaving.push(message);
  }

  /** A task leaves only when its admission is noted. */
  #sendOut(): void {
    const { admissions, transport } = this.#options;
    const leaving = this.#leaving;
    this.#leaving = [];
    try {
      admissions?.note(leaving.map(({ task }) => task));
    } catch (thrown) {
      this.fail(thrown as MatrixError);
      return;
    }
    for (const message of leaving) transport.submit(message);
  }

  #stop(error: MatrixError | null): void {
    const abandoned = this.#inFlight.size + this.#options.earlyStop.unrecorded;
    this.#stopped.resolve({ complete: false, abandoned, error });
  }
}

/** Calls `act` when the signal aborts, or at once when it is aborted. Resolves after that. */
export function onAbort(signal: AbortSignal, act: () => void): Promise<void> {
  return new Promise((resolve) => {
    const aborted = (): void => {
      act();
      resolve();
    };
    if (signal.aborted) aborted();
    else signal.addEventListener("abort", aborted, { once: true });
  });
}
