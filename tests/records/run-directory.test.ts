// The run directory: what opening it makes and refuses, what it counts, and what closing it leaves.

import { expect, test } from "bun:test";
import {
  appendFile,
  mkdir,
  open as openFile,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { takeLock } from "../../src/records/lock.ts";
import { readManifest, writeManifest } from "../../src/records/manifest.ts";
import { type OpenOptions, RunDirectory } from "../../src/records/run-directory.ts";
import type { TrajectoryRecord } from "../../src/task/record.ts";
import { withFolder } from "../parts/folder.ts";
import { withForeignFolder } from "../parts/foreign-folder.ts";
import { until } from "../parts/until.ts";
import { failedRecordOf, identityOf, recordedOf, recordOf, writeRun } from "./made.ts";

const NOTHING = { ok: 0, failed: 0, lost: 0 };
const open = (path: string, more: Partial<OpenOptions> = {}) =>
  RunDirectory.open(path, {
    identity: identityOf(),
    recipeText: 'name = "made"\n',
    checkpointDigest: "digest",
    fresh: false,
    ...more,
  });
const append = (directory: RunDirectory, ...ids: readonly string[]) =>
  appendAll(
    directory,
    ids.map((id) => recordOf(id)),
  );
const appendAll = (directory: RunDirectory, records: readonly TrajectoryRecord[]) =>
  directory.append(
    records.map((record) => [JSON.stringify(record)]),
    records.map(recordedOf),
  );

test("a new directory has the recipe, the manifest, the records, logs and a lock", () =>
  withFolder(async (folder) => {
    const path = join(folder, "deep/run");
    const directory = await open(path);
    expect((await readdir(path)).sort()).toEqual([
      "index",
      "lock.1",
      "logs",
      "manifest.json",
      "recipe.toml",
      "trajectories.jsonl",
    ]);
    expect(await readFile(join(path, "recipe.toml"), "utf8")).toBe('name = "made"\n');
    const { created_at, updated_at, ...manifest } =
      (await readManifest(path)) ?? expect.unreachable();
    expect(manifest).toEqual({
      ...identityOf(),
      format: "matrix-manifest-1",
      state: "running",
      ...NOTHING,
      spent: { requests: 0, prompt_tokens: 0, completion_tokens: 0, cost: 0, hosts: {} },
    });
    expect(created_at).toBe(updated_at);
    expect(Date.parse(created_at)).toBeGreaterThan(Date.now() - 60_000);
    expect([directory.path, directory.counts, directory.simulated]).toEqual([path, NOTHING, false]);
    await directory.close("stopped");
  }));

test("appended records are counted by status, and the last manifest says how the run ended", () =>
  withFolder(async (folder) => {
    const directory = await open(folder);
    await appendAll(directory, [
      recordOf("a"),
      failedRecordOf("c"),
      failedRecordOf("d"),
      failedRecordOf("e", { status: "lost" }),
    ]);
    await append(directory, "b");
    expect(directory.counts).toEqual({ ok: 2, failed: 2, lost: 1 });
    expect(directory.recorded.tally.counts).toEqual(NOTHING);
    await directory.close("complete");
    expect(await readManifest(folder)).toMatchObject({
      state: "complete",
      ok: 2,
      failed: 2,
      lost: 1,
    });
    expect((await readFile(join(folder, "trajectories.jsonl"), "utf8")).split("\n")).toHaveLength(
      6,
    );
  }));

test("a continued run counts on from its records, and cuts a torn one", () =>
  withFolder(async (folder) => {
    const first = await open(folder);
    await append(first, "a");
    await first.close("stopped");
    const before = await readManifest(folder);
    await appendFile(join(folder, "trajectories.jsonl"), '{"torn');
    const second = await open(folder, { recipeText: "# new\n" });
    expect([second.recorded.ids.has("a"), second.recorded.tornBytes]).toEqual([true, 6]);
    expect(second.counts).toEqual({ ok: 1, failed: 0, lost: 0 });
    expect(await readManifest(folder)).toMatchObject({
      state: "running",
      ok: 1,
      created_at: before?.created_at as string,
    });
    await append(second, "b");
    await second.close("complete");
    expect(await readManifest(folder)).toMatchObject({ state: "complete", ok: 2 });
    expect(await readFile(join(folder, "recipe.toml"), "utf8")).toBe("# new\n");
    const lines = (await readFile(join(folder, "trajectories.jsonl"), "utf8")).split("\n");
    expect(lines.slice(0, -1).map((line) => JSON.parse(line).id)).toEqual(["a", "b"]);
  }));

test("a compressed run writes frames", () =>
  withFolder(async (folder) => {
    const recipe = { name: "made", run: { compress: true } };
    const directory = await open(folder, { identity: identityOf({ recipe }) });
    await append(directory, "a");
    await directory.close("complete");
    const bytes = await readFile(join(folder, "trajectories.jsonl.zst"));
    expect(JSON.parse(Bun.zstdDecompressSync(bytes).toString())).toMatchObject({ id: "a" });
  }));

test("a simulated model labels the run, by the recipe, by a record or by a note", () =>
  withFolder(async (folder) => {
    const byRecipe = await open(join(folder, "a"), { identity: identityOf({ simulated: true }) });
    expect(byRecipe.simulated).toBe(true);
    await byRecipe.close("stopped");
    await writeRun(join(folder, "b"), [recordOf("a", { simulated: true })], {
      recipe: identityOf().recipe,
    });
    const byRecord = await open(join(folder, "b"));
    expect(byRecord.simulated).toBe(true);
    await byRecord.close("stopped");
    const byNote = await open(join(folder, "c"));
    expect(byNote.simulated).toBe(false);
    byNote.noteSimulated();
    await byNote.close("stopped");
    expect((await readManifest(join(folder, "c")))?.simulated).toBe(true);
  }));

test("spending is noted when its requests changed, and a continued run knows it", () =>
  withFolder(async (folder) => {
    const first = await open(folder);
    const host = { requests: 2, prompt_tokens: 3, completion_tokens: 4, cost: 0.5 };
    const hosts = { h: host };
    const spent = { ...host, hosts };
    first.noteSpent(spent);
    hosts.h = { ...host, requests: 9 };
    expect(first.spent).toEqual({ ...host, hosts: { h: host } });
    first.noteSpent({ ...spent, cost: 9 });
    expect(first.spent.cost).toBe(0.5);
    await first.close("stopped");
    const second = await open(folder);
    expect(second.spent).toEqual({ ...host, hosts: { h: host } });
    await second.close("stopped");
  }));

test("the manifest follows the records while the run goes on", () =>
  withFolder(async (folder) => {
    const directory = await open(folder);
    const { updated_at } = (await readManifest(folder)) ?? expect.unreachable();
    await append(directory, "a");
    await until(async () => (await readManifest(folder))?.ok === 1, "the manifest follows");
    const manifest = await readManifest(folder);
    expect(manifest?.state).toBe("running");
    expect(manifest?.updated_at).not.toBe(updated_at);
    await directory.close("stopped");
  }));

test("a directory whose driver lives is refused, and stays as it was", () =>
  withFolder(async (folder) => {
    const lock = await takeLock(folder);
    await expect(open(folder)).rejects.toMatchObject({
      code: "run_busy",
      message: expect.stringContaining("another driver runs in"),
    });
    expect(await readdir(folder)).toEqual(["lock.1"]);
    await lock.release();
  }));

test("a closed directory can be opened again, and so can one that was refused", () =>
  withFolder(async (folder) => {
    const first = await open(folder);
    await append(first, "a");
    await first.close("stopped");
    await expect(
      open(folder, { identity: identityOf({ recipe: { name: "other" } }) }),
    ).rejects.toMatchObject({ code: "run_refused", message: `${folder} holds another run` });
    await (await open(folder)).close("stopped");
  }));

test("a run that stopped before its first record gives its directory to a changed recipe", () =>
  withFolder(async (folder) => {
    await (await open(folder)).close("stopped");
    const other = identityOf({ recipe: { name: "other" } });
    await (await open(folder, { identity: other })).close("stopped");
    expect((await readManifest(folder))?.recipe).toEqual({ name: "other" });
    const manifest = await readManifest(folder);
    if (manifest !== null) await writeManifest(folder, { ...manifest, state: "running" });
    await expect(open(folder)).rejects.toMatchObject({ code: "run_refused" });
  }));

test("the manifest says why a run stopped, and forgets it when the run goes on", () =>
  withFolder(async (folder) => {
    const stopped = { why: "early_stop", message: "20 tasks ended alike" } as const;
    await (await open(folder)).close("stopped", stopped);
    expect((await readManifest(folder))?.stopped).toEqual(stopped);
    const again = await open(folder);
    expect((await readManifest(folder))?.stopped).toBeUndefined();
    await again.close("complete");
    expect((await readManifest(folder))?.stopped).toBeUndefined();
  }));

test("a folder with files of the user is refused, with the first three of them", () =>
  withFolder(async (folder) => {
    for (const name of ["a", "b", "c", "d"]) await writeFile(join(folder, name), "");
    await expect(open(folder)).rejects.toMatchObject({
      code: "run_refused",
      message: expect.stringMatching(
        / is not a run directory: it has no manifest\.json, but \w, \w, \w$/,
      ),
      hint: "choose another with -o",
    });
    expect((await readdir(folder)).filter((name) => !name.startsWith("lock"))).toHaveLength(4);
  }));

test("what a killed start left behind does not make a folder foreign", () =>
  withFolder(async (folder) => {
    await writeFile(join(folder, "manifest.json.tmp"), "{");
    await writeFile(join(folder, "lock.x.tmp"), "");
    await (await open(folder)).close("stopped");
  }));

test("a fresh start moves the old directory, without its lock, to the next number", () =>
  withFolder(async (folder) => {
    const path = join(folder, "run");
    for (const expected of [["run"], ["run", "run.1"], ["run", "run.1", "run.2"]]) {
      const directory = await open(path, { fresh: true });
      await append(directory, "a");
      await directory.close("complete");
      expect((await readdir(folder)).sort()).toEqual(expected);
    }
    expect((await readdir(join(folder, "run.1"))).sort()).toEqual([
      "index",
      "logs",
      "manifest.json",
      "recipe.toml",
      "trajectories.jsonl",
    ]);
    expect((await readManifest(path))?.ok).toBe(1);
  }));

test("a fresh start in an empty folder moves nothing", () =>
  withFolder(async (folder) => {
    const path = join(folder, "run");
    await mkdir(path);
    await (await open(path, { fresh: true })).close("stopped");
    expect(await readdir(folder)).toEqual(["run"]);
  }));

test("a directory and all that is in it are closed to other users, whatever the umask", () =>
  withFolder(async (folder) => {
    const path = join(folder, "run");
    await mkdir(path, { mode: 0o777 });
    const umask = process.umask(0);
    try {
      const directory = await open(path);
      await append(directory, "a");
      await directory.close("stopped");
    } finally {
      process.umask(umask);
    }
    const modes = async (...names: readonly string[]) =>
      Promise.all(names.map(async (name) => (await stat(join(path, name))).mode & 0o777));
    expect(await modes(".", "logs", "index")).toEqual([0o700, 0o700, 0o700]);
    const files = (await readdir(path, { recursive: true })).filter(
      (name) => name !== "logs" && name !== "index",
    );
    expect(files.length).toBeGreaterThan(7);
    expect(await modes(...files)).toEqual(files.map(() => 0o600));
  }));

test("a directory of another user is refused", () =>
  withForeignFolder(async (theirs) => {
    await expect(open(theirs)).rejects.toMatchObject({ code: "not_private" });
  }));

test("records are never written through a link, and its target stays as it is", () =>
  withFolder(async (folder) => {
    await writeFile(join(folder, "theirs"), "theirs");
    const path = join(folder, "run");
    await (await open(path)).close("stopped");
    await rm(join(path, "trajectories.jsonl"));
    await symlink(join(folder, "theirs"), join(path, "trajectories.jsonl"));
    await expect(open(path)).rejects.toMatchObject({ code: "not_private" });
    expect(await readFile(join(folder, "theirs"), "utf8")).toBe("theirs");
  }));

test("a path that is a file, or below one, is refused with the reason", () =>
  withFolder(async (folder) => {
    const file = join(folder, "file");
    await writeFile(file, "");
    await expect(open(file)).rejects.toMatchObject({
      code: "run_refused",
      message: `cannot make the run directory ${file}: it is a file`,
      hint: "choose another with -o",
    });
    await expect(open(join(file, "run"))).rejects.toMatchObject({
      code: "run_refused",
      message: expect.stringMatching(/^cannot make the run directory .*ENOTDIR/),
    });
  }));

test("a directory that cannot be written into is refused, and its lock is free", () =>
  withFolder(async (folder) => {
    await mkdir(join(folder, "recipe.toml"));
    await writeRun(folder, [], { recipe: identityOf().recipe });
    await expect(open(folder)).rejects.toMatchObject({
      code: "run_refused",
      message: expect.stringContaining(`cannot write into ${folder}: `),
    });
    await (await takeLock(folder)).release();
  }));

test("closing a directory that was deleted fails, and says so", () =>
  withFolder(async (folder) => {
    const path = join(folder, "run");
    const directory = await open(path);
    await rm(path, { recursive: true });
    await expect(directory.close("complete")).rejects.toMatchObject({ code: "storage_failed" });
  }));

test("a run whose records were deleted in the last moment is not complete", () =>
  withFolder(async (folder) => {
    const directory = await open(folder);
    await append(directory, "a");
    await mkdir(join(folder, "journal"));
    await rm(join(folder, "trajectories.jsonl"));
    await expect(directory.close("complete")).rejects.toMatchObject({
      code: "storage_failed",
      message: expect.stringContaining("the file was deleted"),
    });
    expect(await readManifest(folder)).toMatchObject({
      state: "stopped",
      stopped: { why: "error", message: expect.stringContaining("the file was deleted") },
    });
    expect(await readdir(folder)).toContain("journal");
    await (await takeLock(folder)).release();
  }));

test("a complete run leaves no journal, and a stopped one does", () =>
  withFolder(async (folder) => {
    for (const [state, left] of [
      ["stopped", true],
      ["complete", false],
    ] as const) {
      const directory = await open(folder);
      await mkdir(join(folder, "journal"), { recursive: true });
      await directory.close(state);
      expect((await readdir(folder)).includes("journal")).toBe(left);
    }
  }));

/** Lets another machine take the directory over. */
async function takeOver(folder: string): Promise<void> {
  const holder = { host: "far", machine: "far", pid: 1, startTime: null, since: "2026" };
  await writeFile(join(folder, "lock.2"), JSON.stringify(holder));
  await rm(join(folder, "lock.1"));
}

test("a driver whose directory was taken over writes nothing more, and closes without a trace", () =>
  withFolder(async (folder) => {
    const directory = await open(folder);
    await append(directory, "a");
    await directory.confirm();
    await takeOver(folder);
    const snapshot = async () => {
      const names = (await readdir(folder, { recursive: true })).sort();
      const files = names.filter((name) => name !== "logs" && name !== "index");
      return Promise.all(
        files.map(async (name) => [name, await readFile(join(folder, name), "utf8")]),
      );
    };
    const before = await snapshot();
    await until(() => directory.lost.aborted, "the driver notices without a write");
    await expect(append(directory, "b")).rejects.toMatchObject({ code: "run_taken" });
    expect(directory.counts).toEqual({ ok: 1, failed: 0, lost: 0 });
    await expect(directory.close("complete")).rejects.toMatchObject({ code: "run_taken" });
    expect(await snapshot()).toEqual(before);
  }));

test("a late write of the driver before reaches no record of the driver that took over", () =>
  withFolder(async (folder) => {
    await (await open(folder)).close("stopped");
    await rm(join(folder, "lock.1"));
    await writeRun(folder, [recordOf("a")], { recipe: identityOf().recipe });
    const path = join(folder, "trajectories.jsonl");
    // The driver before has the file open, and is stopped right before its write.
    const late = await openFile(path, "a");
    await takeOver(folder).catch(() => undefined);
    const at = new Date(Date.now() - 61_000);
    await utimes(join(folder, "lock.2"), at, at);
    for (const name of ["manifest.json.x.tmp", "driver.json.x.tmp", "trajectories.jsonl.copy"])
      await writeFile(join(folder, name), "left");
    const directory = await open(folder);
    expect(directory.recorded.ids.has("a")).toBe(true);
    expect(directory.notes).toEqual([expect.stringContaining("took over from process 1 on far")]);
    await late.write("late\n");
    await late.close();
    await append(directory, "b");
    await directory.close("complete");
    const lines = (await readFile(path, "utf8")).trim().split("\n");
    expect(lines.map((line) => JSON.parse(line).id)).toEqual(["a", "b"]);
    expect((await readdir(folder)).sort()).toEqual([
      "index",
      "lock.3",
      "logs",
      "manifest.json",
      "recipe.toml",
      "trajectories.jsonl",
    ]);
  }));

test("a directory whose last driver is dead or was released keeps the file of its records", () =>
  withFolder(async (folder) => {
    const first = await open(folder);
    await append(first, "a");
    await first.close("stopped");
    const before = (await stat(join(folder, "trajectories.jsonl"))).ino;
    const second = await open(folder);
    expect((await stat(join(folder, "trajectories.jsonl"))).ino).toBe(before);
    expect(second.notes).toEqual([]);
    await second.close("stopped");
  }));
