// The run directory: recipe.toml, manifest.json, trajectories.jsonl (or .jsonl.zst), logs/. It is made when nothing can be wrong any more,
// belongs to one recipe and one dataset, and is what a killed run goes on from.

import { existsSync } from "node:fs";
import { mkdir, readdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { MatrixError, messageOf } from "../error.ts";
import { type Difference, recipeDifferences } from "../recipe/difference.ts";
import { valueAt } from "../recipe/key-path.ts";
import type { Counts, RecordLine } from "../task/record.ts";
import { NOTHING_SPENT_BY_HOSTS, type SpentByHosts } from "../task/spent.ts";
import { clearLock, type Lock, takeLock } from "./lock.ts";
import { MANIFEST_FILE, type Manifest, readManifest, writeManifest } from "./manifest.ts";
import { type Recorded, readRecorded } from "./recorded.ts";
import { trajectoriesPath } from "./stored-lines.ts";
import { TrajectoryWriter } from "./trajectories.ts";

const CHECKPOINT_MS = 1000;

/** What a run is: everything of the manifest that does not change while it runs. */
export type RunIdentity = Omit<
  Manifest,
  "format" | "state" | "ok" | "failed" | "lost" | "spent" | "created_at" | "updated_at"
>;

export interface OpenOptions {
  readonly identity: RunIdentity;
  readonly recipeText: string;
  /** The dataset's digest after as many rows as the earlier run had; null when it has fewer now. */
  readonly checkpointDigest: string | null;
  /** Move an existing directory aside and begin anew. */
  readonly fresh: boolean;
}

export class RunDirectory {
  readonly path: string;
  /** Records that were there before. */
  readonly recorded: Recorded;
  readonly #lock: Lock;
  readonly #writer: TrajectoryWriter;
  readonly #checkpoints: NodeJS.Timeout;
  readonly #counts: { ok: number; failed: number; lost: number };
  #manifest: Manifest;
  /** Manifest writes, one after the other. */
  #saved: Promise<void> = Promise.resolve();
  #unsaved = false;

  private constructor(
    path: string,
    lock: Lock,
    writer: TrajectoryWriter,
    recorded: Recorded,
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

  /** Fails with `run_refused` when the directory is another run's or a driver lives in it; nothing is changed then. */
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
      else refuseOtherRun(path, earlier, identity, checkpointDigest);
      const trajectories = trajectoriesPath(
        path,
        valueAt(identity.recipe, "run.compress") === true,
      );
      const recorded = await readRecorded(trajectories);
      const manifest = manifestOf(identity, recorded, earlier);
      // First of all files: what has a manifest is a run directory, what has none is somebody else's.
      await writeManifest(path, manifest);
      await mkdir(join(path, "logs"), { recursive: true });
      await writeFile(join(path, "recipe.toml"), recipeText);
      const writer = await TrajectoryWriter.open(trajectories, recorded.bytes);
      return new RunDirectory(path, lock, writer, recorded, manifest);
    } catch (thrown) {
      await lock.release();
      throw refused(path, thrown);
    }
  }

  get counts(): Counts {
    return this.#counts;
  }

  /** What all starts of the run have spent, as it was last noted. */
  get spent(): SpentByHosts {
    return this.#manifest.spent;
  }

  /** Whether any answer came from a simulated model, as far as is known. */
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

  /** Records, each a line, and how many there are of each status. Resolves when the kernel has them. */
  async append(lines: readonly RecordLine[], added: Counts): Promise<void> {
    await this.#writer.append(lines);
    this.#counts.ok += added.ok;
    this.#counts.failed += added.failed;
    this.#counts.lost += added.lost;
    this.#unsaved = true;
  }

  /** Writes the last manifest and lets go. A storage that failed under the run fails here again and is not reported twice. */
  async close(state: "stopped" | "complete"): Promise<void> {
    clearInterval(this.#checkpoints);
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
  { counts, simulated }: Recorded,
  earlier: Manifest | null,
): Manifest {
  const now = new Date().toISOString();
  return {
    format: "matrix-manifest-1",
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

/** A folder with other things in it is not ours to write into. */
async function refuseForeignFolder(path: string): Promise<void> {
  const others = (await readdir(path)).filter(
    (name) => !name.startsWith("lock") && !name.startsWith(MANIFEST_FILE),
  );
  if (others.length === 0) return;
  const shown = others.slice(0, 3).join(", ");
  throw new MatrixError(
    "run_refused",
    `${path} is no run directory: it has no ${MANIFEST_FILE}, but ${shown}`,
    {
      hint: "choose another with -o",
    },
  );
}

/** DIR becomes DIR.1, or the next number that is free. */
async function moveAside(path: string): Promise<void> {
  for (let number = 1; ; number++) {
    const aside = `${path}.${number}`;
    if (existsSync(aside)) continue;
    await rename(path, aside);
    await clearLock(aside);
    return;
  }
}

const REFUSED_HINT =
  "start anew with --fresh (the old directory is kept aside), or choose another with -o";

function refuseOtherRun(
  path: string,
  earlier: Manifest,
  now: RunIdentity,
  checkpointDigest: string | null,
): void {
  const conflicts = recipeDifferences(earlier.recipe, now.recipe).filter(
    ({ kind }) => kind === "conflict" || kind === "shrinks",
  );
  const lines = conflicts.map(describe);
  for (const [file, hash] of Object.entries(now.hashes)) {
    const before = earlier.hashes[file];
    if (before !== undefined && before !== hash) lines.push(`${file} has changed`);
  }
  if (earlier.replay !== now.replay)
    lines.push(`it ${replayed(earlier)}, and this ${replayed(now)}`);
  if (lines.length === 0 && checkpointDigest !== earlier.dataset.digest)
    lines.push(`the dataset has changed in its first ${earlier.dataset.rows} rows`);
  if (lines.length === 0) return;
  const problems = lines.map((message) => ({ message }));
  throw new MatrixError("run_refused", `${path} holds another run`, {
    problems,
    hint: REFUSED_HINT,
  });
}

function replayed({ replay }: Pick<Manifest, "replay">): string {
  return replay === undefined ? "asks models" : `replays ${replay}`;
}

function describe({ key, before, now, kind }: Difference): string {
  const shown = (value: unknown) => (value === undefined ? "unset" : JSON.stringify(value));
  const why = kind === "shrinks" ? " (it can only grow)" : "";
  return `${key} was ${shown(before)} and is ${shown(now)} now${why}`;
}

function refused(path: string, thrown: unknown): unknown {
  if (thrown instanceof MatrixError) return thrown;
  return new MatrixError("run_refused", `cannot write into ${path}: ${messageOf(thrown)}`, {
    cause: thrown,
    hint: "choose another with -o",
  });
}
