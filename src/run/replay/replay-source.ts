// The records of the run that is replayed, as the tasks of the replay need them. The driver reads
// them in the order of their file, and keeps each one while its task is in flight. A task that an
// earlier driver admitted finds its record by a lookup, which is made when it is first needed.

import type { Recorded, RecordedTasks } from "../../agent/recorded.ts";
import type { ReplayWish } from "../../agent/replay-wish.ts";
import { trajectoriesPath } from "../../records/record-file.ts";
import { RecordLookup } from "../../records/record-lookup.ts";
import { readSuperseded, type Superseded, taskName } from "../../records/superseded.ts";
import type { TrajectoryRecord } from "../../task/record.ts";
import type { Task } from "../../task/task.ts";

/** The records from which a replay takes its answers, and the steps that ask instead. */
export interface Replay {
  /** The run directory of the other run. */
  readonly directory: string;
  readonly wish: ReplayWish;
  readonly source: ReplaySource;
}

type Identity = Pick<Task, "rowId" | "trial">;

export class ReplaySource implements RecordedTasks {
  readonly #directory: string;
  readonly #replayed: string;
  readonly #held = new Map<string, Recorded>();
  #lookup: Promise<RecordLookup> | null = null;
  #superseded: Promise<Superseded> | null = null;

  /** `directory`: the run directory of the replay. `replayed`: that of the other run. */
  constructor(directory: string, replayed: string) {
    this.#directory = directory;
    this.#replayed = replayed;
  }

  /** Keeps a record whose task is about to begin. */
  hold(record: TrajectoryRecord): void {
    this.#held.set(taskName(record.id, record.trial), recordedOf(record));
  }

  /** Lets go of the record of a task that has ended. */
  release(rowId: string, trial: number): void {
    this.#held.delete(taskName(rowId, trial));
  }

  find({ rowId, trial }: Identity): Recorded | Promise<Recorded | null> {
    return this.#held.get(taskName(rowId, trial)) ?? this.#findOnDisk(rowId, trial);
  }

  async redraws({ rowId, trial }: Identity): Promise<number> {
    this.#superseded ??= readSuperseded(trajectoriesPath(this.#directory));
    const { beginnings } = await this.#superseded;
    return beginnings.get(taskName(rowId, trial))?.redraws ?? 0;
  }

  async close(): Promise<void> {
    await (await this.#lookup)?.close();
  }

  async #findOnDisk(rowId: string, trial: number): Promise<Recorded | null> {
    this.#lookup ??= RecordLookup.open(this.#replayed);
    const record = await (await this.#lookup).find(rowId, trial);
    return record === null ? null : recordedOf(record);
  }
}

function recordedOf({ seed, history, error }: TrajectoryRecord): Recorded {
  return { seed, history, error: error?.message ?? null };
}
