// Single records, found in the file of a run.

import { expect, test } from "bun:test";
import { appendFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeFrame } from "../../src/dataset/zstd.ts";
import { RecordLookup } from "../../src/records/record-lookup.ts";
import { withFolder } from "../parts/folder.ts";
import { failedRecordOf, recordOf, writeRun } from "./made.ts";

const RECORDS = [
  recordOf("a"),
  recordOf("ü 日本", { trial: 2 }),
  failedRecordOf('quote " and \\'),
  recordOf("a", { trial: 1 }),
];

for (const file of ["trajectories.jsonl", "trajectories.jsonl.zst"])
  test(`every record of ${file} is found by its row and trial, and no other`, () =>
    withFolder(async (folder) => {
      await writeRun(folder, RECORDS, {}, file);
      const lookup = await RecordLookup.open(folder);
      for (const record of RECORDS)
        expect(await lookup.find(record.id, record.trial)).toEqual(record);
      for (const [id, trial] of [
        ["b", 0],
        ["a", 2],
        ["ü 日本", 0],
      ] as const)
        expect(await lookup.find(id, trial)).toBeNull();
      await lookup.close();
    }));

test("a record is found among others of its frame", () =>
  withFolder(async (folder) => {
    const frame = (records: typeof RECORDS) =>
      encodeFrame(Buffer.from(records.map((record) => `${JSON.stringify(record)}\n`).join("")));
    const frames = await Promise.all([frame(RECORDS.slice(0, 3)), frame(RECORDS.slice(3))]);
    await writeFile(join(folder, "trajectories.jsonl.zst"), Buffer.concat(frames));
    const lookup = await RecordLookup.open(folder);
    for (const record of RECORDS)
      expect(await lookup.find(record.id, record.trial)).toEqual(record);
    await lookup.close();
  }));

test("a torn last line is not found", () =>
  withFolder(async (folder) => {
    await writeRun(folder, RECORDS);
    await appendFile(join(folder, "trajectories.jsonl"), JSON.stringify(recordOf("torn")));
    const lookup = await RecordLookup.open(folder);
    expect(await lookup.find("torn", 0)).toBeNull();
    expect(await lookup.find("a", 1)).toEqual(RECORDS[3] ?? null);
    await lookup.close();
  }));

test("a line that is not a record is refused with its place", () =>
  withFolder(async (folder) => {
    const path = join(folder, "trajectories.jsonl");
    await writeFile(path, `${JSON.stringify(RECORDS[0])}\n{"id":1}\n`);
    await expect(RecordLookup.open(folder)).rejects.toThrow(`${path}:2: this line is not a record`);
  }));
