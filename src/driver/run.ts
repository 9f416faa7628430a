// One run: admission, the sink, and between them a fabric of hosts: one in this process, or others over the network. It ends
// when every task is written, when it is told to stop, or when the output can no longer be written.

import type { RowStream } from "../dataset/open.ts";
import { LOST_PLACE, type MatrixError, messageOf } from "../error.ts";
import { type Rule, startTask } from "../orchestrator/advance.ts";
import type { RoleLoad } from "../peer/member.ts";
import { keyOf, type TaskKey } from "../peer/parcel.ts";
import type { Transport } from "../peer/transport.ts";
import type { Clock } from "../task/clock.ts";
import { failTask } from "../task/failure.ts";
import type { Counts, RecordHead, RecordLine } from "../task/record.ts";
import type { Message } from "../task/task.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import { admitTasks } from "./admission.ts";
import { InFlight, type InFlightTask } from "./in-flight.ts";
import { Sink } from "./sink.ts";
import { Tokens } from "./tokens.ts";

/** What carries tasks from admission through their roles to the sink. */
export interface Fabric {
  readonly transport: Transport;
  /** How busy each role is, over all hosts. */
  readonly roles: readonly RoleLoad[];
  /** From now on ends may come: whoever connected it is there to take them. */
  begin(): void;
  /** Resolves when the first task may be admitted. */
  readonly ready: Promise<void>;
  /** The records of these ends are written. */
  written(ends: readonly Message[]): void;
  stop(): Promise<void>;
}

/** What a fabric is given by the run. */
export interface FabricParts {
  readonly inFlight: InFlight;
  /** Takes ends. */
  readonly sink: (ends: readonly Message[]) => void;
  /** A task that hosts hold for the driver before this one was found. */
  readonly onAdopted: () => void;
  /** Nobody has this task any more. */
  readonly onMissing: (key: TaskKey, task: InFlightTask) => void;
  /** No host will ever do the work: the run must stop. */
  readonly onFailure: (error: MatrixError) => void;
}

export interface RunOptions {
  readonly rows: RowStream;
  readonly trials: number;
  readonly seed: number;
  /** Tasks in flight. */
  readonly concurrency: number;
  readonly delivery: "retry" | "at-most-once";
  /** Starts of a row that loses its sandbox. */
  readonly maxAttempts: number;
  readonly rule: Rule;
  readonly isRecorded: (rowId: string, trial: number) => boolean;
  readonly append: (lines: readonly RecordLine[], counts: Counts) => Promise<void>;
  readonly connect: (parts: FabricParts) => Fabric | Promise<Fabric>;
  readonly onRecord: (record: RecordHead, hops: number) => void;
  /** See AdmissionOptions. */
  readonly hasRoom: (inFlight: number) => boolean;
  /** See SinkOptions. */
  readonly hold: () => Promise<void> | null;
  readonly clock: Clock;
  readonly tracing: Tracing | null;
  /** First: admit no more and let what is in flight finish. */
  readonly drain: AbortSignal;
  /** Then: stop at once. */
  readonly halt: AbortSignal;
}

/** How a run ended. What was still in flight is not recorded; a continued run starts it again. */
export interface RunEnd {
  readonly complete: boolean;
  readonly abandoned: number;
  readonly error: Error | null;
}

export interface Run {
  readonly inFlight: number;
  /** How busy each role is, over all hosts. */
  readonly roles: readonly RoleLoad[];
  readonly ended: Promise<RunEnd>;
}

export async function startRun(options: RunOptions): Promise<Run> {
  const { drain, halt } = options;
  const tokens = new Tokens(options.concurrency);
  const inFlight = new InFlight();
  const stopped = Promise.withResolvers<RunEnd>();
  const stopNow = (error: MatrixError | null) =>
    stopped.resolve({ complete: false, abandoned: inFlight.size, error });
  const isHalted = onAbort(halt, () => stopNow(null));
  const isDrained = onAbort(drain, () => tokens.wake());

  const sink = new Sink({
    ...options,
    inFlight,
    tokens,
    onWritten: (ends) => fabric.written(ends),
    onFailure: stopNow,
  });
  const startAgain = (_key: TaskKey, task: InFlightTask): void => {
    const message = nextLife(task, options);
    if (message === null) return;
    if (message.kind === "end") sink.receive([message]);
    else fabric.transport.submit(message);
  };
  /** False for an end that is to be recorded. */
  const isStartedAgain = (end: Message): boolean => {
    if (
      end.kind !== "end" ||
      options.delivery !== "retry" ||
      !LOST_PLACE.has(end.ending.error?.code ?? "")
    )
      return false;
    const task = inFlight.get(keyOf(end.task));
    if (task === undefined || end.task.attempt >= options.maxAttempts) return false;
    // An end of an earlier start was answered then.
    if (end.task.attempt < task.attempt) return true;
    if (task.admitted === null) task.isMissing = true;
    else startAgain(keyOf(end.task), task);
    return true;
  };
  const takeEnds = (ends: readonly Message[]): void => {
    const again = new Set(ends.filter(isStartedAgain));
    if (again.size > 0) fabric.written([...again]);
    sink.receive(again.size === 0 ? ends : ends.filter((end) => !again.has(end)));
  };
  const fabric = await options.connect({
    inFlight,
    sink: takeEnds,
    onAdopted: () => tokens.takeAnyway(),
    onMissing: startAgain,
    onFailure: stopNow,
  });

  fabric.begin();

  const toTheEnd = async (): Promise<RunEnd> => {
    let complete = false;
    let error: Error | null = null;
    try {
      await Promise.race([fabric.ready, isDrained]);
      complete = await admitTasks({
        ...options,
        tokens,
        inFlight,
        onMissing: startAgain,
        transport: fabric.transport,
        signal: drain,
      });
    } catch (thrown) {
      // The rest of the dataset cannot be read; what is in flight can still finish.
      error = thrown instanceof Error ? thrown : new Error(messageOf(thrown));
    }
    await tokens.allBack();
    return { complete, abandoned: 0, error };
  };
  const ended = Promise.race([
    toTheEnd(),
    stopped.promise,
    isHalted.then(() => stopped.promise),
  ]).finally(() => fabric.stop());
  return {
    get inFlight() {
      return inFlight.size;
    },
    get roles() {
      return fabric.roles;
    },
    ended,
  };
}

/** Acts at once when it was aborted before. Resolves when it has acted. */
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

/** What becomes of a task that nobody has: its row starts again, or it is recorded as lost. Null while its row was not read. */
function nextLife(task: InFlightTask, { delivery, rule }: RunOptions): Message | null {
  if (task.admitted === null) return null;
  task.isMissing = false;
  if (delivery === "retry") {
    task.attempt++;
    task.admitted = { ...task.admitted, attempt: task.attempt };
    return startTask(rule, task.admitted);
  }
  const error = {
    code: "host_lost",
    message: "the host that held this task died (run.delivery)",
    role: null,
    hop: null,
  };
  const failed = failTask({ ...task.admitted, role: "", state: null, history: [] }, error);
  return { ...failed, ending: { ...failed.ending, status: "lost", stopReason: "lost" } };
}
