// Where a replay finds the record of a task: among those that it holds, or on the disk.

import { expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ReplaySource } from "../../../src/run/replay/replay-source.ts";
import { withFolder } from "../../parts/folder.ts";
import { failedRecordOf, recordOf, writeRun } from "../../records/made.ts";

const RECORD = recordOf("a", { trial: 1, seed: 5 });
const RECORDED = { seed: 5, history: RECORD.history, error: null };
const TASK = { rowId: "a", trial: 1 };

test("a record that is held is there at once, and no file is read for it", async () => {
  const source = new ReplaySource("/nowhere", "/nowhere");
  source.hold(RECORD);
  expect(source.find(TASK)).toEqual(RECORDED);
  await source.close();
});

test("a record that is not held any more, or not yet, is read from the disk", () =>
  withFolder(async (folder) => {
    await writeRun(folder, [recordOf("b"), RECORD]);
    const source = new ReplaySource("/nowhere", folder);
    expect(await source.find(TASK)).toMatchObject(RECORDED);
    source.hold(RECORD);
    source.release("a", 1);
    const found = source.find(TASK);
    expect(found).toBeInstanceOf(Promise);
    expect(await found).toMatchObject(RECORDED);
    expect(await source.find({ rowId: "a", trial: 0 })).toBeNull();
    await source.close();
  }));

test("a record of a failed task has the message of its error", () =>
  withFolder(async (folder) => {
    const failed = failedRecordOf("a", { trial: 1 });
    await writeRun(folder, [failed]);
    const source = new ReplaySource("/nowhere", folder);
    expect(await source.find(TASK)).toMatchObject({ error: "no" });
    source.hold(failed);
    expect(source.find(TASK)).toMatchObject({ error: "no" });
    await source.close();
  }));

test("the seeds that retries of the replay gave up are counted from its own directory", () =>
  withFolder(async (folder) => {
    const own = join(folder, "own");
    await mkdir(own);
    const lines = [failedRecordOf("a"), failedRecordOf("a", { attempt: 2 })];
    await writeFile(
      join(own, "superseded.jsonl"),
      lines.map((record) => `${JSON.stringify(record)}\n`).join(""),
    );
    const source = new ReplaySource(own, join(folder, "other"));
    expect(await source.redraws({ rowId: "a", trial: 0 })).toBe(2);
    expect(await source.redraws({ rowId: "a", trial: 1 })).toBe(0);
    await source.close();
  }));
