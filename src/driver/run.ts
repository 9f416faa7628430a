// One run in one process: admission, a host with every role, and the sink, joined by the in-memory transport. It ends when
// every task is written, when it is told to stop, or when the output can no longer be written.

import type { RowStream } from "../dataset/open.ts";
import type { MatrixError } from "../error.ts";
import { messageOf } from "../error.ts";
import type { Rule } from "../orchestrator/advance.ts";
import { MemoryTransport } from "../peer/memory.ts";
import type { Receiver, Transport } from "../peer/transport.ts";
import type { Clock } from "../task/clock.ts";
import type { RecordHead, RecordLine } from "../task/record.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import { admitTasks } from "./admission.ts";
import { InFlight } from "./in-flight.ts";
import { type Counts, Sink } from "./sink.ts";
import { Tokens } from "./tokens.ts";

export interface RunOptions {
  readonly rows: RowStream;
  readonly trials: number;
  readonly seed: number;
  /** Tasks in flight. */
  readonly concurrency: number;
  readonly rule: Rule;
  readonly simulatedModels: ReadonlySet<string>;
  readonly isRecorded: (rowId: string, trial: number) => boolean;
  readonly append: (lines: readonly RecordLine[], counts: Counts) => Promise<void>;
  readonly createHost: (transport: Transport) => Receiver & { stop(): void };
  readonly onRecord: (record: RecordHead, hops: number) => void;
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
  readonly ended: Promise<RunEnd>;
}

export function startRun(options: RunOptions): Run {
  const tokens = new Tokens(options.concurrency);
  const inFlight = new InFlight();
  const stopped = Promise.withResolvers<RunEnd>();
  const stopNow = (error: MatrixError | null) => stopped.resolve({ complete: false, abandoned: inFlight.size, error });
  options.drain.addEventListener("abort", () => tokens.wake(), { once: true });
  options.halt.addEventListener("abort", () => stopNow(null), { once: true });

  let stopHost = (): void => undefined;
  const transport = new MemoryTransport((self) => {
    const host = options.createHost(self);
    stopHost = () => host.stop();
    return { host, sink: new Sink({ ...options, inFlight, tokens, onFailure: stopNow }) };
  });

  const toTheEnd = async (): Promise<RunEnd> => {
    let complete = false;
    let error: Error | null = null;
    try {
      complete = await admitTasks({ ...options, tokens, inFlight, onMissing: () => undefined, transport, signal: options.drain });
    } catch (thrown) {
      // The rest of the dataset cannot be read; what is in flight can still finish.
      error = thrown instanceof Error ? thrown : new Error(messageOf(thrown));
    }
    await tokens.allBack();
    return { complete, abandoned: 0, error };
  };
  const ended = Promise.race([toTheEnd(), stopped.promise]).finally(() => stopHost());
  return {
    get inFlight() {
      return inFlight.size;
    },
    ended,
  };
}
