// Records as the rows of a replay: how many there are, what tells them from others, and how they
// come.

import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { appendFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openRecordRows, scanRecordRows } from "../../src/records/record-rows.ts";
import { IdDigest } from "../../src/task/id-digest.ts";
import { withFolder } from "../parts/folder.ts";
import { failedRecordOf, recordOf, writeRun } from "./made.ts";

const RECORDS = [recordOf("a"), recordOf('quote " and \\', { trial: 2 }), failedRecordOf("c")];
const digestOf = (...texts: readonly string[]) =>
  createHash("sha256").update(texts.join("")).digest("hex");
const TEXTS = RECORDS.map((record) => JSON.stringify(record));

test("a scan counts the records and hashes their lines and their tasks", () =>
  withFolder(async (folder) => {
    await writeRun(folder, RECORDS);
    const ids = new IdDigest();
    for (const { id, trial } of RECORDS) ids.add(id, trial);
    expect(await scanRecordRows(folder, undefined)).toEqual({
      rows: 3,
      digest: digestOf(...TEXTS),
      checkpointDigest: null,
      idsDigest: ids.hex,
    });
  }));

test("the digest at a checkpoint is that of as many records, and null when there are fewer", () =>
  withFolder(async (folder) => {
    await writeRun(folder, RECORDS);
    const at = async (checkpoint: number) =>
      (await scanRecordRows(folder, checkpoint)).checkpointDigest;
    expect(await at(0)).toBe(digestOf());
    expect(await at(2)).toBe(digestOf(...TEXTS.slice(0, 2)));
    expect(await at(3)).toBe(digestOf(...TEXTS));
    expect(await at(4)).toBeNull();
  }));

test("a record with its keys in another order is a row, and a torn one is not", () =>
  withFolder(async (folder) => {
    const path = join(folder, "trajectories.jsonl");
    await writeRun(folder, RECORDS.slice(0, 1));
    const sorted = JSON.stringify({
      trial: 1,
      id: "b",
      status: "ok",
      format: "matrix-trajectory-1",
    });
    await appendFile(path, `${sorted}\n${TEXTS[2]}`);
    const ids = new IdDigest();
    ids.add("a", 0);
    ids.add("b", 1);
    expect(await scanRecordRows(folder, undefined)).toEqual({
      rows: 2,
      digest: digestOf(TEXTS[0] ?? "", sorted),
      checkpointDigest: null,
      idsDigest: ids.hex,
    });
  }));

test("a line that is not a record fails the scan with its place", () =>
  withFolder(async (folder) => {
    const path = join(folder, "trajectories.jsonl");
    await writeFile(path, `${TEXTS[0]}\n{"id":1}\n`);
    await expect(scanRecordRows(folder, undefined)).rejects.toMatchObject({
      message: expect.stringContaining(`${path}:2: this line is not a record of the run`),
    });
  }));

test("rows have the id, trial and row of their records, which are seen first", () =>
  withFolder(async (folder) => {
    await writeRun(folder, RECORDS);
    const seen: string[] = [];
    const stream = openRecordRows(folder, 3, ({ id }) => seen.push(id));
    const rows: unknown[] = [];
    for (let row = await stream.next(); row !== null; row = await stream.next()) {
      expect(seen).toContain(row.id);
      rows.push(row);
    }
    await stream.close();
    expect(rows).toEqual(
      RECORDS.map(({ id, trial, seed, row }, number) => ({ id, trial, seed, row, number })),
    );
    expect(seen).toEqual(RECORDS.map(({ id }) => id));
  }));
