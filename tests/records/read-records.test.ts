// Reading records back: as objects, as the tasks that have one, and as the rows of a replay.

import { expect, test } from "bun:test";
import { appendFile, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseHead, readRecords } from "../../src/records/read-records.ts";
import { readRecordedTasks } from "../../src/records/recorded-tasks.ts";
import { parseRetryChoice } from "../../src/records/retry-choice.ts";
import { prepareMove } from "../../src/records/supersede.ts";
import { verifyRun } from "../../src/records/verify.ts";
import type { TrajectoryRecord } from "../../src/task/record.ts";
import { withFolder } from "../parts/folder.ts";
import { recordOf, writeRun } from "./made.ts";

async function read(directory: string): Promise<TrajectoryRecord[]> {
  const all: TrajectoryRecord[] = [];
  for await (const records of readRecords(directory)) all.push(...records);
  return all;
}

for (const file of ["trajectories.jsonl", "trajectories.jsonl.zst"]) {
  test(`the records of ${file} are read whole and in order, without a torn last one`, () =>
    withFolder(async (folder) => {
      const records = [recordOf("a"), recordOf("b", { trial: 1 }), recordOf("c")];
      await writeRun(folder, records, {}, file);
      expect(await read(folder)).toEqual(records);
      await appendFile(join(folder, file), '{"format":"matrix');
      if (file.endsWith("l")) expect(await read(folder)).toEqual(records);
    }));
}

test("a directory without records has none", () =>
  withFolder(async (folder) => {
    expect(await read(folder)).toEqual([]);
  }));

const line = (more: object) =>
  JSON.stringify({ format: "matrix-trajectory-1", id: "a", trial: 0, status: "ok", ...more });
const wrong: readonly (readonly [text: string, what: string])[] = [
  ["{", "it is not JSON"],
  [
    line({ row: "@" }).replace('"@"', `${"[".repeat(512)}${"]".repeat(512)}`),
    "it is nested more than 512 levels deep",
  ],
  ["null", "its format is undefined, not matrix-trajectory-1"],
  ["5", "its format is undefined, not matrix-trajectory-1"],
  [
    line({ format: "matrix-trajectory-9" }),
    'its format is "matrix-trajectory-9", not matrix-trajectory-1',
  ],
  [line({ id: 5 }), "it has no id, trial and status"],
  [line({ trial: "0" }), "it has no id, trial and status"],
  [line({ status: "fine" }), "it has no id, trial and status"],
];
for (const [text, what] of wrong) {
  test(`the line ${text.slice(0, 100)} is refused with its place: ${what}`, () => {
    expect(() => parseHead({ text, number: 3 }, "t.jsonl")).toThrow(
      expect.objectContaining({
        code: "run_refused",
        message: `t.jsonl:3: this line is not a record of the run: ${what}`,
        hint: expect.stringContaining("mend or remove the line"),
      }),
    );
  });
}

test("a head is the whole record, whose format, id, trial and status are checked", () => {
  for (const status of ["ok", "failed", "lost"] as const)
    expect(parseHead({ text: line({ status, more: 1 }), number: 1 }, "t")).toEqual({
      format: "matrix-trajectory-1",
      id: "a",
      trial: 0,
      status,
      more: 1,
    } as never);
});

test("a line in the middle that is not a record fails the reading with its number", () =>
  withFolder(async (folder) => {
    const path = join(folder, "trajectories.jsonl");
    await writeFile(path, `${line({})}\n{"for\n${line({ id: "b" })}\n`);
    await expect(read(folder)).rejects.toMatchObject({
      message: `${path}:2: this line is not a record of the run: it is not JSON`,
    });
  }));

/** Writes records to the file, one of them with a hole of more than 512 MiB in its outcome. */
async function writeWithOverlong(folder: string, at: number): Promise<string> {
  const path = join(folder, "trajectories.jsonl");
  const records = [recordOf("a"), recordOf("b", { trial: 1 }), recordOf("c")];
  await writeRun(folder, records, {});
  const lines = records.map((record) => JSON.stringify(record));
  const long = lines[at] ?? "";
  const cut = long.indexOf(',"score"');
  await writeFile(path, `${lines.slice(0, at).join("\n")}\n${long.slice(0, cut)},"score":"`);
  const { size } = await stat(path);
  await truncate(path, size + 513 * 2 ** 20);
  await appendFile(path, `"}\n${lines.slice(at + 1).join("\n")}\n`);
  return path;
}

test("a record that is too long to be read is named, accounted for, and read around", () =>
  withFolder(async (folder) => {
    const path = await writeWithOverlong(folder, 1);
    const [a, b, c] = await read(folder);
    expect([a, c]).toEqual([recordOf("a"), recordOf("c")]);
    expect(b).toMatchObject({
      id: "b",
      trial: 1,
      seed: recordOf("b", { trial: 1 }).seed,
      status: "failed",
      score: null,
      row: {},
      history: [],
      error: {
        code: "task_too_large",
        message: `${path}:2: the record has 514 MiB and is too long to be read`,
      },
    });
    const recorded = await readRecordedTasks(path);
    expect(recorded.ids.has("b", 1)).toBe(true);
    expect([recorded.tally.counts.ok, recorded.tornBytes]).toEqual([3, 0]);
    const { counts, findings } = await verifyRun(folder);
    expect(counts).toEqual({ ok: 3, failed: 0, lost: 0 });
    expect(findings.filter(({ line }) => line === 2).map(({ message }) => message)).toEqual([
      expect.stringMatching(/^the record of row b, trial 1 has 5379\d{5} bytes: too long to read$/),
    ]);
    await expect(prepareMove(path, parseRetryChoice("failed"))).rejects.toMatchObject({
      code: "run_refused",
      message: `${path}:2: this line is not a record of the run: it is too long to be copied`,
    });
  }));

test("a line that is too long to be read and does not begin as a record is refused", () =>
  withFolder(async (folder) => {
    const path = join(folder, "trajectories.jsonl");
    await writeFile(path, '{"x":"');
    await truncate(path, 513 * 2 ** 20);
    await appendFile(path, '"}\n');
    await expect(read(folder)).rejects.toMatchObject({
      code: "run_refused",
      message: `${path}:1: this line is not a record of the run: it is too long to be read, and does not begin as a record`,
    });
  }));
