// The notes of tasks that left the driver: what a later driver reads of them.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { appendFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Admissions } from "../../src/records/admissions.ts";
import { withFolder } from "../parts/folder.ts";

const pathIn = (folder: string) => join(folder, "journal/admitted.jsonl");
const noneRecorded = () => false;
const task = (rowId: string, attempt = 1, trial = 0) => ({ rowId, trial, attempt });

test("a note is in the file when the call returns, and a later driver reads the latest attempt", () =>
  withFolder(async (folder) => {
    const first = await Admissions.open(folder, noneRecorded);
    expect(existsSync(join(folder, "journal"))).toBe(false);
    first.note([task("a"), task('ü "b"', 1, 2)]);
    first.note([task("a", 2)]);
    expect(await readFile(pathIn(folder), "utf8")).toBe(
      '{"row":"a","trial":0,"attempt":1}\n{"row":"ü \\"b\\"","trial":2,"attempt":1}\n{"row":"a","trial":0,"attempt":2}\n',
    );
    // The notes are those of earlier drivers.
    expect(first.attemptBefore("a", 0)).toBe(0);
    const second = await Admissions.open(folder, noneRecorded);
    expect(second.attemptBefore("a", 0)).toBe(2);
    expect(second.attemptBefore('ü "b"', 2)).toBe(1);
    expect(second.attemptBefore("a", 1)).toBe(0);
    first.close();
    second.close();
    second.close();
  }));

test("a later driver keeps the notes of what has no record, once, and adds its own", () =>
  withFolder(async (folder) => {
    const first = await Admissions.open(folder, noneRecorded);
    first.note([task("a"), task("b"), task("b", 2), task("c", 1, 1)]);
    first.close();
    const isRecorded = (rowId: string, trial: number) => rowId === "c" && trial === 1;
    const second = await Admissions.open(folder, isRecorded);
    expect(second.attemptBefore("c", 1)).toBe(0);
    second.note([task("d")]);
    second.close();
    expect(await readFile(pathIn(folder), "utf8")).toBe(
      '{"row":"a","trial":0,"attempt":1}\n{"row":"b","trial":0,"attempt":2}\n{"row":"d","trial":0,"attempt":1}\n',
    );
  }));

test("a line that is no whole note is passed over", () =>
  withFolder(async (folder) => {
    await mkdir(join(folder, "journal"));
    const bad = [
      "null",
      "[]",
      '{"row":1,"trial":0,"attempt":1}',
      '{"row":"x","attempt":1}',
      "\0\0",
    ];
    await writeFile(pathIn(folder), `${bad.join("\n")}\n{"row":"a","trial":0,"attempt":4}\n`);
    await appendFile(pathIn(folder), '{"row":"b","tri');
    const notes = await Admissions.open(folder, noneRecorded);
    expect([notes.attemptBefore("a", 0), notes.attemptBefore("b", 0)]).toEqual([4, 0]);
    notes.close();
    expect(await readFile(pathIn(folder), "utf8")).toBe('{"row":"a","trial":0,"attempt":4}\n');
  }));

test("a note that cannot be written fails with storage_failed and the file", () =>
  withFolder(async (folder) => {
    await writeFile(join(folder, "journal"), "a file");
    const notes = await Admissions.open(folder, noneRecorded);
    expect(() => notes.note([task("a")])).toThrow(
      expect.objectContaining({
        code: "storage_failed",
        message: expect.stringContaining(`cannot write to ${pathIn(folder)}: `),
      }),
    );
    notes.close();
  }));

test("a task that was withdrawn begins anew, unless it was sent out again after that", () =>
  withFolder(async (folder) => {
    const first = await Admissions.open(folder, noneRecorded);
    first.note([task("a"), task("b", 2), task("c")]);
    first.withdraw({ rowId: "a", trial: 0 });
    first.withdraw({ rowId: "b", trial: 0 });
    first.note([task("b", 1)]);
    first.close();
    const second = await Admissions.open(folder, noneRecorded);
    expect(["a", "b", "c"].map((row) => second.attemptBefore(row, 0))).toEqual([0, 1, 1]);
    second.close();
  }));
