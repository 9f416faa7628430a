// Reading records back: as objects, as the tasks that have one, and as the rows of a replay.

import { expect, test } from "bun:test";
import { appendFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseHead, readRecords } from "../../src/records/read-records.ts";
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
  test(`the line ${text} is refused with its place: ${what}`, () => {
    expect(() => parseHead(text, "t.jsonl", 3)).toThrow(
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
    expect(parseHead(line({ status, more: 1 }), "t", 1)).toEqual({
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
