// The stored index under cuts, damage and records that it does not fit. The records are the truth:
// whatever becomes of the index, readers give what the records say.

import { expect, test } from "bun:test";
import { cp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { FILES } from "../../../src/records/index/layout.ts";
import { rebuildIndex } from "../../../src/records/index/rebuild.ts";
import { type RunIndex as Index, RunIndex } from "../../../src/records/index/run-index.ts";
import { StoredIndex } from "../../../src/records/index/stored-index.ts";
import { parseRetryChoice } from "../../../src/records/retry-choice.ts";
import { RunDirectory } from "../../../src/records/run-directory.ts";
import type { TrajectoryRecord } from "../../../src/task/record.ts";
import { withFolder } from "../../parts/folder.ts";
import { failedRecordOf, identityOf, recordedOf, recordOf } from "../made.ts";

const USAGE = { requests: 2, prompt_tokens: 7, completion_tokens: 9 };
const RECORDS: readonly TrajectoryRecord[] = [
  recordOf("żółw", { outcome: { topic: "a" } }),
  failedRecordOf("b", { trial: 2, attempt: 3, cost: null }),
  recordOf("c", { usage: { ...USAGE, cached_tokens: 3, stated_cost: 0.25 }, score: 0.5 }),
  failedRecordOf("d", { status: "lost", stop_reason: "lost", score: null, simulated: true }),
];

const openRun = (path: string, compressed: boolean, retry: string | null = null) =>
  RunDirectory.open(path, {
    identity: identityOf({
      expected: 10,
      recipe: { name: "made", dataset: { path: "d.jsonl" }, run: { compress: compressed } },
    }),
    recipeText: 'name = "made"\n',
    checkpointDigest: "digest",
    fresh: false,
    retry: retry === null ? null : parseRetryChoice(retry),
  });

async function appendAll(run: RunDirectory, records: readonly TrajectoryRecord[]): Promise<void> {
  for (const record of records) await run.append([[JSON.stringify(record)]], [recordedOf(record)]);
}

/** A run with these records and their index. */
async function writeRun(path: string, compressed: boolean, records = RECORDS): Promise<void> {
  const run = await openRun(path, compressed);
  await appendAll(run, records);
  await run.close("stopped");
}

/** What a reader sees. */
async function seen(index: Index): Promise<unknown[]> {
  const scores = await index.numbers("score");
  const { codes, values } = await index.codes("stop_reason");
  return Promise.all(
    Array.from({ length: index.size }, async (_, n) => {
      const row = index.row(n);
      const found = await index.find(row.id, row.trial);
      return [row, found, scores[n], values[codes[n] ?? -1], await index.readRecord(n)];
    }),
  );
}

async function seenIn(directory: string): Promise<unknown[]> {
  await using index = await RunIndex.open(directory);
  return await seen(index);
}

/** What a reader sees that has the records alone. */
async function truthOf(directory: string): Promise<unknown[]> {
  await rm(join(directory, "index"), { recursive: true, force: true });
  return seenIn(directory);
}

async function storedSize(directory: string, file: string): Promise<number | null> {
  const stored = await StoredIndex.open(directory, join(directory, file));
  stored?.close();
  return stored?.size ?? null;
}

for (const compressed of [false, true]) {
  const file = `trajectories.jsonl${compressed ? ".zst" : ""}`;

  test(`a driver leaves an index of ${file} that says what the records say`, () =>
    withFolder(async (folder) => {
      await writeRun(folder, compressed);
      expect((await readdir(join(folder, "index"))).sort()).toEqual(Object.values(FILES).sort());
      // The rows of the last frame are read again.
      expect(await storedSize(folder, file)).toBe(compressed ? 3 : 4);
      const stored = await seenIn(folder);
      expect(stored).toHaveLength(4);
      expect(stored).toEqual(await truthOf(folder));
    }));

  test(`an index of ${file} that is cut at any byte of any of its files gives every record`, () =>
    withFolder(async (folder) => {
      await writeRun(join(folder, "whole"), compressed);
      await cp(join(folder, "whole"), join(folder, "bare"), { recursive: true });
      const truth = await truthOf(join(folder, "bare"));
      for (const name of Object.values(FILES)) {
        const path = join(folder, "whole/index", name);
        const whole = await readFile(path);
        for (let bytes = 0; bytes < whole.length; bytes++) {
          await writeFile(path, whole.subarray(0, bytes));
          expect(await seenIn(join(folder, "whole"))).toEqual(truth);
        }
        await writeFile(path, whole);
      }
    }));

  test(`an index gives the whole records of ${file} when that is cut at any byte`, () =>
    withFolder(async (folder) => {
      await writeRun(join(folder, "whole"), compressed);
      await cp(join(folder, "whole"), join(folder, "bare"), { recursive: true });
      await rm(join(folder, "bare/index"), { recursive: true });
      const { length } = await readFile(join(folder, "whole", file));
      for (let bytes = length; bytes >= 0; bytes -= 1) {
        for (const run of ["whole", "bare"]) await truncate(join(folder, run, file), bytes);
        expect(await seenIn(join(folder, "whole"))).toEqual(await seenIn(join(folder, "bare")));
      }
    }));

  test(`a run goes on after any cut of its index of ${file}, and mends it`, () =>
    withFolder(async (folder) => {
      await writeRun(join(folder, "first"), compressed);
      for (const name of Object.values(FILES)) {
        const { length } = await readFile(join(folder, "first/index", name));
        for (let bytes = 0; bytes < length; bytes += 41) {
          const run = join(folder, "run");
          await cp(join(folder, "first"), run, { recursive: true });
          await truncate(join(run, "index", name), bytes);
          const directory = await openRun(run, compressed);
          expect(directory.recorded.ids.size).toBe(4);
          await appendAll(directory, [recordOf("e")]);
          await directory.close("stopped");
          expect(await storedSize(run, file)).toBe(compressed ? 4 : 5);
          expect(await seenIn(run)).toEqual(await truthOf(run));
          await rm(run, { recursive: true });
        }
      }
    }));

  test(`a run that goes on by the index of ${file} sums up what its records say`, () =>
    withFolder(async (folder) => {
      await writeRun(folder, compressed);
      const open = async () => {
        const directory = await openRun(folder, compressed);
        await directory.close("stopped");
        const { ids, ...sums } = directory.recorded;
        return { size: ids.size, has: ids.has("b", 2) && !ids.has("b", 0), ...sums };
      };
      const byIndex = await open();
      await rm(join(folder, "index"), { recursive: true });
      expect(byIndex).toEqual(await open());
      expect(byIndex).toMatchObject({ size: 4, has: true, simulated: true, tornBytes: 0 });
      expect(byIndex.used).toMatchObject({ cached_tokens: 3, stated_cost: 0.25, cost: 1.5 });
    }));

  test(`a retry leaves an index of ${file} without the records that moved`, () =>
    withFolder(async (folder) => {
      await writeRun(folder, compressed);
      const directory = await openRun(folder, compressed, "failed");
      expect([directory.moved, directory.recorded.ids.size]).toEqual([1, 3]);
      await appendAll(directory, [recordOf("b", { trial: 2, attempt: 4 })]);
      await directory.close("stopped");
      const stored = await seenIn(folder);
      expect(stored).toHaveLength(4);
      expect(stored).toEqual(await truthOf(folder));
    }));
}

test("a byte that is damaged anywhere in the rows changes nothing that a reader sees", () =>
  withFolder(async (folder) => {
    await writeRun(join(folder, "whole"), false);
    await cp(join(folder, "whole"), join(folder, "bare"), { recursive: true });
    const truth = await truthOf(join(folder, "bare"));
    const path = join(folder, "whole/index", FILES.rows);
    const whole = await readFile(path);
    for (let at = 0; at < whole.length; at++) {
      const damaged = Buffer.from(whole);
      damaged[at] = (whole[at] ?? 0) ^ 0x41;
      await writeFile(path, damaged);
      expect(await seenIn(join(folder, "whole"))).toEqual(truth);
    }
  }));

test("an index of other records is not trusted", () =>
  withFolder(async (folder) => {
    await writeRun(join(folder, "a"), false);
    await writeRun(join(folder, "b"), false, [RECORDS[2], ...RECORDS] as TrajectoryRecord[]);
    await rm(join(folder, "b/index"), { recursive: true });
    await cp(join(folder, "a/index"), join(folder, "b/index"), { recursive: true });
    expect(await storedSize(join(folder, "b"), "trajectories.jsonl")).toBeNull();
    const ids = (await seenIn(join(folder, "b"))).map((row) => (row as [{ id: string }])[0].id);
    expect(ids).toEqual(["c", "żółw", "b", "c", "d"]);
  }));

test("records that a power cut left with holes are read anew, whatever the index says", () =>
  withFolder(async (folder) => {
    await writeRun(folder, false);
    const path = join(folder, "trajectories.jsonl");
    const whole = await readFile(path);
    const second = whole.indexOf("\n") + 1;
    await writeFile(path, Buffer.from(whole).fill(0, second + 5, second + 50));
    await expect(openRun(folder, false)).rejects.toMatchObject({ code: "run_refused" });
  }));

test("a reader stores an index where there is none, and leaves a live run alone", () =>
  withFolder(async (folder) => {
    const many = Array.from({ length: 1500 }, (_, n) => recordOf(`r${n}`));
    const path = join(folder, "trajectories.jsonl");
    const run = await openRun(folder, false);
    await run.append(
      many.map((record) => [JSON.stringify(record)]),
      many.map(recordedOf),
    );
    expect(await rebuildIndex(folder, path, {})).toBe(false);
    await run.close("stopped");
    await rm(join(folder, "index"), { recursive: true });
    const rows = await seenIn(folder);
    expect(await storedSize(folder, "trajectories.jsonl")).toBe(1500);
    expect((await readdir(folder)).filter((name) => name.includes("tmp"))).toEqual([]);
    expect(await seenIn(folder)).toEqual(rows);
  }));

test("a reader of a live run takes over the rows that its driver has stored", () =>
  withFolder(async (folder) => {
    const run = await openRun(folder, false);
    await appendAll(run, RECORDS.slice(0, 2));
    await using index = await RunIndex.open(folder);
    expect(index.size).toBe(2);
    await appendAll(run, RECORDS.slice(2));
    expect(await index.refresh()).toBe(2);
    await run.close("stopped");
    expect(await index.refresh()).toBe(0);
    expect(await seen(index)).toEqual(await truthOf(folder));
  }));

test("an index follows a retry that replaced the records while it was open", () =>
  withFolder(async (folder) => {
    await writeRun(folder, false);
    await using index = await RunIndex.open(folder);
    const run = await openRun(folder, false, "failed,lost");
    await appendAll(run, [recordOf("b", { trial: 2, attempt: 4 })]);
    await run.close("stopped");
    expect(await index.refresh()).toBe(-1);
    expect(await seen(index)).toEqual(await truthOf(folder));
  }));
