// The records of a replay as a host has them: it asks the driver for the record of a task, once,
// and keeps it for the task's further steps while there is room.

import type { Recorded, RecordedTasks } from "../../agent/recorded.ts";
import { MatrixError } from "../../error.ts";
import type { DriverCalls } from "../../host/driver-calls.ts";
import type { Control } from "../../peer/control.ts";
import { taskName } from "../../records/superseded.ts";
import { markedJson, parseMarked } from "../../task/exact.ts";
import type { Hop, Task } from "../../task/task.ts";

const CALL_TIMEOUT_MS = 20_000;
/** Pause before the driver is asked again. It may be away. */
const PAUSE_MS = 250;
const KEPT_BYTES_MAX = 64 * 2 ** 20;

interface Kept {
  readonly recorded: Recorded | null;
  readonly redraws: number;
  readonly bytes: number;
}

export class RemoteSource implements RecordedTasks {
  readonly #driver: Pick<DriverCalls, "call">;
  readonly #bytesMax: number;
  /** The task that was looked at longest ago comes first. */
  readonly #kept = new Map<string, Kept>();
  #bytes = 0;

  constructor(driver: Pick<DriverCalls, "call">, bytesMax = KEPT_BYTES_MAX) {
    this.#driver = driver;
    this.#bytesMax = bytesMax;
  }

  find(task: Task, signal: AbortSignal): Recorded | null | Promise<Recorded | null> {
    const kept = this.#touch(task);
    if (kept !== null) return kept.recorded;
    return this.#ask(task, signal).then(({ recorded }) => recorded);
  }

  async redraws(task: Task, signal: AbortSignal): Promise<number> {
    return (this.#touch(task) ?? (await this.#ask(task, signal))).redraws;
  }

  #touch({ rowId, trial }: Task): Kept | null {
    const name = taskName(rowId, trial);
    const kept = this.#kept.get(name);
    if (kept === undefined) return null;
    this.#kept.delete(name);
    this.#kept.set(name, kept);
    return kept;
  }

  async #ask({ rowId, trial }: Task, signal: AbortSignal): Promise<Kept> {
    for (;;) {
      signal.throwIfAborted();
      const question = { row: rowId, trial };
      const heard = await this.#driver
        .call("recorded", "recorded", question, "recording", CALL_TIMEOUT_MS)
        .catch((thrown: unknown) => {
          // A driver that is away comes back. Nothing else about the call can change.
          if (thrown instanceof MatrixError && thrown.code === "peer_failed") return null;
          throw thrown;
        });
      if (heard !== null) return this.#keep(taskName(rowId, trial), heard);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  #keep(name: string, { redraws, record }: Control<"recording">): Kept {
    const kept = {
      recorded:
        record === null
          ? null
          : { ...record, history: parseMarked(decoder.decode(record.history)) as Hop[] },
      redraws,
      bytes: record?.history.length ?? 0,
    };
    this.#bytes += kept.bytes - (this.#kept.get(name)?.bytes ?? 0);
    this.#kept.delete(name);
    this.#kept.set(name, kept);
    for (const [oldest, { bytes }] of this.#kept) {
      if (this.#bytes <= this.#bytesMax || oldest === name) break;
      this.#kept.delete(oldest);
      this.#bytes -= bytes;
    }
    return kept;
  }
}

const decoder = new TextDecoder();

/** The driver's answer to a host that asks for a record: the hops that the replay may repeat. */
export async function recordingOf(
  source: RecordedTasks,
  roles: readonly string[],
  { row, trial }: Control<"recorded">,
): Promise<Control<"recording">> {
  const task = { rowId: row, trial } as Task;
  const signal = new AbortController().signal;
  const recorded = await source.find(task, signal);
  const redraws = await source.redraws(task, signal);
  if (recorded === null) return { redraws, record: null };
  // Other hops only show where branches begin, so their results are left out.
  const history = recorded.history.map((hop) =>
    roles.includes(hop.role) ? hop : { ...hop, result: null },
  );
  const bytes = encoder.encode(markedJson(history));
  return { redraws, record: { ...recorded, history: bytes } };
}

const encoder = new TextEncoder();
