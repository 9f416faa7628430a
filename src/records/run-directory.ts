// The run directory: recipe.toml, manifest.json, trajectories.jsonl (or .jsonl.zst), logs/. It
// belongs to one recipe and one dataset, and a killed run continues from it. It is made only after
// everything else about the run was checked.

import { existsSync } from "node:fs";
import { readdir, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import { removeTemporaries, replaceFile, syncFolder } from "../durable-file.ts";
import { MatrixError, messageOf } from "../error.ts";
import { valueAt } from "../recipe/key-path.ts";
import { makeOwnFolder } from "../task/own-files.ts";
import type { Counts, RecordLine } from "../task/record.ts";
import { NOTHING_SPENT_BY_HOSTS, type SpentByHosts } from "../task/spent.ts";
import { guarded, realDisk } from "./disk.ts";
import { DRIVER_FILE } from "./driver-file.ts";
import { fenceRecords, removeUnfinishedCopy } from "./fence-records.ts";
import type { Confirm, Lock } from "./held-lock.ts";
import { DriverIndex, fenceIndex } from "./index/driver-index.ts";
import type { Recorded } from "./index/entry-table.ts";
import { FLAG_WRITTEN } from "./index/layout.ts";
import { removeJournal } from "./journal.ts";
import { clearLock, takeLock } from "./lock.ts";
import {
  MANIFEST_FILE,
  MANIFEST_FORMAT,
  type Manifest,
  type RunIdentity,
  readManifest,
  type Stopped,
  writeManifest,
} from "./manifest.ts";
import { trajectoriesPath } from "./record-file.ts";
import { RecordWriter } from "./record-writer.ts";
import { costOf, type PaidFor, type RecordedTasks, readRecordedTasks } from "./recorded-tasks.ts";
import type { RetryChoice } from "./retry-choice.ts";
import { refuseOtherRun } from "./same-run.ts";
import { prepareMove, recoverMove } from "./supersede.ts";
import { readSuperseded, type Superseded } from "./superseded.ts";

/** The manifest is written this often while records arrive. */
const CHECKPOINT_MS = 1000;

export interface OpenOptions {
  readonly identity: RunIdentity;
  readonly recipeText: string;
  /** The dataset's digest after as many rows as the earlier run had; null when it has fewer now. */
  readonly checkpointDigest: string | null;
  /** Moves an existing directory aside and starts a new run. */
  readonly fresh: boolean;
  /** Aborted: a driver that waits for a silent one on another machine gives up. */
  readonly signal?: AbortSignal;
  /** Prints a line about that wait. */
  readonly say?: (line: string) => void;
  /** Records that move to superseded.jsonl before the run goes on; null for none. */
  readonly retry?: RetryChoice | null;
  readonly paidFor?: PaidFor;
}

export class RunDirectory {
  readonly path: string;
  /** The tasks that had a record when the directory was opened. */
  readonly recorded: RecordedTasks;
  readonly superseded: Superseded;
  /** Number of records that moved to superseded.jsonl when the directory was opened. */
  readonly moved: number;
  /** Remarks for the log on what the opening found. */
  readonly notes: readonly string[];
  readonly #lock: Lock;
  readonly #writer: RecordWriter;
  readonly #index: DriverIndex;
  readonly #checkpoints: NodeJS.Timeout;
  readonly #counts: { ok: number; failed: number; lost: number };
  #manifest: Manifest;
  /** Chains the writes of the manifest, so that they never overlap. */
  #saved: Promise<void> = Promise.resolve();
  #unsaved = false;

  private constructor(
    path: string,
    lock: Lock,
    writer: RecordWriter,
    { recorded, superseded, index, moved, manifest, notes }: Opened,
  ) {
    this.path = path;
    this.recorded = recorded;
    this.superseded = superseded;
    this.moved = moved;
    this.notes = notes;
    this.#lock = lock;
    this.#writer = writer;
    this.#index = index;
    this.#counts = { ...recorded.tally.counts };
    this.#manifest = manifest;
    this.#checkpoints = setInterval(() => {
      const done = this.#unsaved ? this.#save("running") : this.#lock.confirm();
      void done.catch(() => undefined);
    }, CHECKPOINT_MS);
    this.#checkpoints.unref();
  }

  /**
   * Opens the directory for one driver. Fails, and changes nothing, when the directory belongs to
   * another run (`run_refused`) or another driver holds it (`run_busy`).
   */
  static async open(path: string, options: OpenOptions): Promise<RunDirectory> {
    const {
      identity,
      recipeText,
      checkpointDigest,
      fresh,
      retry = null,
      paidFor = costOf,
    } = options;
    await prepareFolder(path);
    let lock = await lockFolder(path, options);
    let found: Found | null = null;
    try {
      if (fresh && existsSync(join(path, MANIFEST_FILE))) {
        await moveAside(path);
        await lock.release();
        await prepareFolder(path);
        lock = await lockFolder(path, options);
      }
      const earlier = await readManifest(path);
      if (earlier === null) await refuseForeignFolder(path);
      const trajectories = trajectoriesPath(
        path,
        valueAt(identity.recipe, "run.compress") === true,
      );
      const notes = [...lock.notes, ...(await expelSilent(path, trajectories, lock))];
      found = await readFound(trajectories, paidFor, lock.confirm);
      // A start that stopped before its first record leaves nothing that another recipe could harm.
      const hasRecords = found.recorded.ids.size + found.superseded.count > 0;
      if (earlier !== null && (hasRecords || earlier.state !== "stopped"))
        refuseOtherRun(path, earlier, identity, checkpointDigest);
      const moved =
        earlier === null ? 0 : await moveRecords(trajectories, retry, earlier, lock.confirm);
      if (moved > 0) {
        await found.index.close();
        found = await readFound(trajectories, paidFor, lock.confirm);
      }
      const manifest = manifestOf(identity, found, earlier);
      // The manifest comes first: a folder with a manifest is a run directory, and any other folder
      // is refused.
      // Reading the records may have taken long: another driver may hold the directory by now.
      await writeManifest(path, manifest, lock.confirm);
      await found.index.begin();
      await makeOwnFolder(join(path, "logs"));
      await replaceFile(join(path, "recipe.toml"), recipeText, { confirm: lock.confirm });
      const writer = await RecordWriter.open(trajectories, found.recorded.bytes, lock.confirm);
      await syncFolder(path);
      return new RunDirectory(path, lock, writer, { ...found, moved, manifest, notes });
    } catch (thrown) {
      await found?.index.close();
      await lock.release();
      throw refused(path, thrown);
    }
  }

  /** Fails with `run_taken` when another driver has the directory; called before each change. */
  get confirm(): Confirm {
    return this.#lock.confirm;
  }

  /** Aborted, with the error as its reason, when another driver has taken the directory over. */
  get lost(): AbortSignal {
    return this.#lock.lost;
  }

  /** Records in the file, by status. */
  get counts(): Counts {
    return this.#counts;
  }

  /** The sum that all drivers of the run have spent, as last noted. */
  get spent(): SpentByHosts {
    return this.#manifest.spent;
  }

  /** True when any answer is known to come from a simulated model. */
  get simulated(): boolean {
    return this.#manifest.simulated;
  }

  noteSimulated(): void {
    if (!this.simulated) this.#manifest = { ...this.#manifest, simulated: true };
  }

  noteSpent(spent: SpentByHosts): void {
    if (spent.requests === this.#manifest.spent.requests) return;
    this.#manifest = { ...this.#manifest, spent: { ...spent, hosts: { ...spent.hosts } } };
    this.#unsaved = true;
  }

  /** Appends the lines of records. Resolves when the kernel has them. */
  async append(lines: readonly RecordLine[], records: readonly Recorded[]): Promise<void> {
    await this.#writer.append(lines, (n, place) => {
      const record = records[n];
      if (record !== undefined) this.#index.add(record, place, FLAG_WRITTEN);
    });
    for (const { head } of records) this.#counts[head.status]++;
    this.#unsaved = true;
  }

  /**
   * Writes the last manifest, removes the journal of a complete run and releases the lock.
   * `stopped` says why a run stopped. Fails when the records are not all on the disk; the manifest
   * then says that the run has stopped.
   */
  async close(state: "stopped" | "complete", stopped?: Stopped): Promise<void> {
    clearInterval(this.#checkpoints);
    if (stopped !== undefined) this.#manifest = { ...this.#manifest, stopped };
    try {
      await this.#writer.close();
      await this.#index.close();
      await this.#save(state);
      if (state === "complete") await removeJournal(this.path);
    } catch (failure) {
      const reason = stopped ?? { why: "error", message: messageOf(failure) };
      this.#manifest = { ...this.#manifest, stopped: reason };
      await this.#save("stopped").catch(() => undefined);
      throw failure;
    } finally {
      await this.#index.close();
      await this.#lock.release();
    }
  }

  #save(state: Manifest["state"]): Promise<void> {
    this.#unsaved = false;
    this.#manifest = {
      ...this.#manifest,
      ...this.#counts,
      state,
      updated_at: new Date().toISOString(),
    };
    const manifest = this.#manifest;
    const saved = this.#saved
      .catch(() => undefined)
      .then(() => writeManifest(this.path, manifest, this.#lock.confirm));
    this.#saved = saved;
    return saved;
  }
}

interface Found {
  readonly recorded: RecordedTasks;
  readonly superseded: Superseded;
  readonly index: DriverIndex;
}

interface Opened extends Found {
  readonly moved: number;
  readonly manifest: Manifest;
  readonly notes: readonly string[];
}

async function readFound(trajectories: string, paidFor: PaidFor, confirm: Confirm): Promise<Found> {
  const index = await DriverIndex.open(trajectories, confirm);
  try {
    return {
      recorded: await readRecordedTasks(trajectories, paidFor, index),
      superseded: await readSuperseded(trajectories, paidFor),
      index,
    };
  } catch (thrown) {
    await index.close();
    throw thrown;
  }
}

/** Moves the chosen records to superseded.jsonl, and returns their number. */
async function moveRecords(
  trajectories: string,
  choice: RetryChoice | null,
  earlier: Manifest,
  confirm: Confirm,
): Promise<number> {
  const disk = guarded(realDisk, confirm);
  if (choice === null) {
    await recoverMove(trajectories, disk);
    return 0;
  }
  const move = await prepareMove(trajectories, choice, disk);
  if (move === null) return 0;
  // A killed driver leaves this manifest. Its counts are a lower bound before and after the move.
  const { stopped: _, ...rest } = earlier;
  const manifest = { ...rest, ...move.kept, state: "running" } as const;
  await writeManifest(dirname(trajectories), manifest, confirm);
  await move.commit();
  return move.moved;
}

function manifestOf(
  identity: RunIdentity,
  { recorded: { tally, simulated }, superseded: { count: superseded } }: Found,
  earlier: Manifest | null,
): Manifest {
  const now = new Date().toISOString();
  return {
    format: MANIFEST_FORMAT,
    ...identity,
    ...tally.counts,
    ...(superseded === 0 ? {} : { superseded }),
    simulated: identity.simulated || simulated,
    spent: earlier?.spent ?? { ...NOTHING_SPENT_BY_HOSTS },
    state: "running",
    created_at: earlier?.created_at ?? now,
    updated_at: now,
  };
}

async function prepareFolder(path: string): Promise<void> {
  try {
    await makeOwnFolder(path);
  } catch (cause) {
    if (cause instanceof MatrixError) throw cause;
    const what =
      (cause as { code?: unknown }).code === "EEXIST" ? "it is a file" : messageOf(cause);
    throw new MatrixError("run_refused", `cannot make the run directory ${path}: ${what}`, {
      cause,
      hint: "choose another with -o",
    });
  }
}

/**
 * Keeps a driver that may come to life again from writing: what it has open is not the run's any
 * more.
 */
async function expelSilent(
  path: string,
  trajectories: string,
  { isFromSilent }: Lock,
): Promise<readonly string[]> {
  const names = await readdir(path);
  for (const file of [MANIFEST_FILE, DRIVER_FILE, "recipe.toml"])
    await removeTemporaries(join(path, file), names);
  await removeUnfinishedCopy(trajectories);
  if (!isFromSilent) return [];
  await fenceIndex(path);
  return await fenceRecords(trajectories);
}

async function lockFolder(path: string, { signal, say }: OpenOptions): Promise<Lock> {
  try {
    return await takeLock(path, {
      ...(signal === undefined ? {} : { signal }),
      ...(say === undefined ? {} : { say }),
    });
  } catch (thrown) {
    throw refused(path, thrown);
  }
}

/** Refuses a folder that has files but no manifest: it belongs to the user. */
async function refuseForeignFolder(path: string): Promise<void> {
  const others = (await readdir(path)).filter(
    (name) => !name.startsWith("lock") && !name.startsWith(MANIFEST_FILE),
  );
  if (others.length === 0) return;
  const shown = others.slice(0, 3).join(", ");
  throw new MatrixError(
    "run_refused",
    `${path} is not a run directory: it has no ${MANIFEST_FILE}, but ${shown}`,
    {
      hint: "choose another with -o",
    },
  );
}

/** Renames DIR to DIR.1, or to the next number that is free. */
async function moveAside(path: string): Promise<void> {
  for (let number = 1; ; number++) {
    const aside = `${path}.${number}`;
    if (existsSync(aside)) continue;
    await rename(path, aside);
    await clearLock(aside);
    return;
  }
}

function refused(path: string, thrown: unknown): unknown {
  if (thrown instanceof MatrixError) return thrown;
  return new MatrixError("run_refused", `cannot write into ${path}: ${messageOf(thrown)}`, {
    cause: thrown,
    hint: "choose another with -o",
  });
}
