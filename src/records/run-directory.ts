// The run directory: recipe.toml, manifest.json, trajectories.jsonl (or .jsonl.zst), logs/. It
// belongs to one recipe and one dataset, and a killed run continues from it. It is made only after
// everything else about the run was checked.

import { existsSync } from "node:fs";
import { mkdir, readdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { MatrixError, messageOf } from "../error.ts";
import { valueAt } from "../recipe/key-path.ts";
import type { Counts, RecordLine } from "../task/record.ts";
import { NOTHING_SPENT_BY_HOSTS, type SpentByHosts } from "../task/spent.ts";
import { clearLock, type Lock, takeLock } from "./lock.ts";
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
import { type RecordedTasks, readRecordedTasks } from "./recorded-tasks.ts";
import { refuseOtherRun } from "./same-run.ts";

/** The manifest is written this often while records arrive. */
const CHECKPOINT_MS = 1000;

export interface OpenOptions {
  readonly identity: RunIdentity;
  readonly recipeText: string;
  /** The dataset's digest after as many rows as the earlier run had; null when it has fewer now. */
  readonly checkpointDigest: string | null;
  /** Moves an existing directory aside and starts a new run. */
  readonly fresh: boolean;
}

export class RunDirectory {
  readonly path: string;
  /** The tasks that had a record when the directory was opened. */
  readonly recorded: RecordedTasks;
  readonly #lock: Lock;
  readonly #writer: RecordWriter;
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
    recorded: RecordedTasks,
    manifest: Manifest,
  ) {
    this.path = path;
    this.recorded = recorded;
    this.#lock = lock;
    this.#writer = writer;
    this.#counts = { ...recorded.counts };
    this.#manifest = manifest;
    this.#checkpoints = setInterval(() => {
      if (this.#unsaved) void this.#save("running").catch(() => undefined);
    }, CHECKPOINT_MS);
    this.#checkpoints.unref();
  }

  /**
   * Opens the directory for one driver. Fails with `run_refused`, and changes nothing, when the
   * directory belongs to another run or another driver holds it.
   */
  static async open(
    path: string,
    { identity, recipeText, checkpointDigest, fresh }: OpenOptions,
  ): Promise<RunDirectory> {
    await prepareFolder(path);
    let lock = await lockFolder(path);
    try {
      if (fresh && existsSync(join(path, MANIFEST_FILE))) {
        await moveAside(path);
        await lock.release();
        await prepareFolder(path);
        lock = await lockFolder(path);
      }
      const earlier = await readManifest(path);
      if (earlier === null) await refuseForeignFolder(path);
      const trajectories = trajectoriesPath(
        path,
        valueAt(identity.recipe, "run.compress") === true,
      );
      const recorded = await readRecordedTasks(trajectories);
      // A start that stopped before its first record leaves nothing that another recipe could harm.
      if (earlier !== null && (recorded.ids.size > 0 || earlier.state !== "stopped"))
        refuseOtherRun(path, earlier, identity, checkpointDigest);
      const manifest = manifestOf(identity, recorded, earlier);
      // The manifest comes first: a folder with a manifest is a run directory, and any other folder
      // is refused.
      await writeManifest(path, manifest);
      await mkdir(join(path, "logs"), { recursive: true });
      await writeFile(join(path, "recipe.toml"), recipeText);
      const writer = await RecordWriter.open(trajectories, recorded.bytes);
      return new RunDirectory(path, lock, writer, recorded, manifest);
    } catch (thrown) {
      await lock.release();
      throw refused(path, thrown);
    }
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

  /** Appends records; `added` counts them by status. Resolves when the kernel has them. */
  async append(lines: readonly RecordLine[], added: Counts): Promise<void> {
    await this.#writer.append(lines);
    this.#counts.ok += added.ok;
    this.#counts.failed += added.failed;
    this.#counts.lost += added.lost;
    this.#unsaved = true;
  }

  /**
   * Writes the last manifest and releases the lock. `stopped` says why a run stopped. When the
   * storage failed during the run, this may fail again with the same error, which the caller has
   * reported already.
   */
  async close(state: "stopped" | "complete", stopped?: Stopped): Promise<void> {
    clearInterval(this.#checkpoints);
    if (stopped !== undefined) this.#manifest = { ...this.#manifest, stopped };
    try {
      await this.#writer.close();
      await this.#save(state);
    } finally {
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
    const saved = this.#saved.catch(() => undefined).then(() => writeManifest(this.path, manifest));
    this.#saved = saved;
    return saved;
  }
}

function manifestOf(
  identity: RunIdentity,
  { counts, simulated }: RecordedTasks,
  earlier: Manifest | null,
): Manifest {
  const now = new Date().toISOString();
  return {
    format: MANIFEST_FORMAT,
    ...identity,
    ...counts,
    simulated: identity.simulated || simulated,
    spent: earlier?.spent ?? { ...NOTHING_SPENT_BY_HOSTS },
    state: "running",
    created_at: earlier?.created_at ?? now,
    updated_at: now,
  };
}

async function prepareFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (cause) {
    const what =
      (cause as { code?: unknown }).code === "EEXIST" ? "it is a file" : messageOf(cause);
    throw new MatrixError("run_refused", `cannot make the run directory ${path}: ${what}`, {
      cause,
      hint: "choose another with -o",
    });
  }
}

async function lockFolder(path: string): Promise<Lock> {
  try {
    return await takeLock(path);
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
