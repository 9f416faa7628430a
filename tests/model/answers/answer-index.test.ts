// The index of kept answers: it reads what was added, believes no line that is not whole, and
// forgets segments that are gone.

import { expect, test } from "bun:test";
import { appendFile, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AnswerIndex } from "../../../src/model/answers/answer-index.ts";
import { encodeAnswer, encodeNote, requestKey } from "../../../src/model/answers/answer-line.ts";
import { withFolder } from "../../parts/folder.ts";
import { answerOf, requestOf } from "./made.ts";

const keyOf = (row: string) => requestKey("m", requestOf(row));
const lineOf = (row: string, content = row) =>
  encodeAnswer(keyOf(row), "m", requestOf(row), answerOf(content));

async function withIndex(
  use: (index: AnswerIndex, folder: string, bad: string[]) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    const bad: string[] = [];
    await use(new AnswerIndex({ folder, onBadLine: (name) => bad.push(name) }), folder, bad);
  });
}
const said = async (index: AnswerIndex, row: string) =>
  (await index.find(keyOf(row)))?.answer.message.content ?? null;

test("answers of all segments are found after a scan, and not before", () =>
  withIndex(async (index, folder) => {
    await writeFile(join(folder, "a-1.jsonl"), lineOf("1") + lineOf("2"));
    await writeFile(join(folder, "b-1.jsonl"), lineOf("3"));
    expect([index.size, await said(index, "1")]).toEqual([0, null]);
    await index.scan();
    expect(index.size).toBe(3);
    for (const row of ["1", "2", "3"]) expect(await said(index, row)).toBe(row);
    expect(await said(index, "4")).toBeNull();
    expect(await index.find(keyOf("1"))).toEqual({
      key: keyOf("1"),
      row: "1",
      trial: 0,
      model: "m",
      answer: answerOf("1"),
    });
  }));

test("a scan reads what was added since the last one, a torn line when it is whole", () =>
  withIndex(async (index, folder, bad) => {
    const path = join(folder, "a-1.jsonl");
    const torn = lineOf("2");
    await writeFile(path, lineOf("1") + torn.slice(0, 60));
    await index.scan();
    expect([await said(index, "1"), await said(index, "2")]).toEqual(["1", null]);
    await appendFile(path, torn.slice(60) + lineOf("3"));
    await index.scan();
    expect([await said(index, "2"), await said(index, "3")]).toEqual(["2", "3"]);
    expect([index.size, bad]).toEqual([3, []]);
  }));

test("a segment that has become shorter is left as it was read, and no scan fails for it", () =>
  withIndex(async (index, folder, bad) => {
    const path = join(folder, "a-1.jsonl");
    await writeFile(path, lineOf("1") + lineOf("2"));
    await index.scan();
    await writeFile(path, lineOf("1"));
    await writeFile(join(folder, "b-1.jsonl"), lineOf("3"));
    await index.scan();
    expect([await said(index, "1"), await said(index, "3"), bad]).toEqual(["1", "3", []]);
  }));

test("the last of two answers to one request is found", () =>
  withIndex(async (index, folder) => {
    await writeFile(join(folder, "a-1.jsonl"), lineOf("1", "first") + lineOf("1", "second"));
    await index.scan();
    expect([index.size, await said(index, "1")]).toEqual([1, "second"]);
  }));

test("a line that is not an answer is skipped, and the first one alone is reported", () =>
  withIndex(async (index, folder, bad) => {
    await writeFile(join(folder, "a-1.jsonl"), `garbage\n${lineOf("1")}\n\0\n`);
    await index.scan();
    await writeFile(join(folder, "b-1.jsonl"), "garbage\n");
    await index.scan();
    expect([await said(index, "1"), bad]).toEqual(["1", ["a-1.jsonl"]]);
  }));

test("a line whose beginning is an answer's and whose rest is not is found by no key", () =>
  withIndex(async (index, folder) => {
    const damaged = lineOf("1").replace('"message"', '"massage"');
    await writeFile(join(folder, "a-1.jsonl"), damaged);
    await index.scan();
    expect([index.size, await said(index, "1")]).toEqual([1, null]);
  }));

test("two keys that begin alike are told apart by the line", () =>
  withIndex(async (index, folder) => {
    const key = keyOf("1");
    const alike = `${key.slice(0, -1)}${key.endsWith("A") ? "B" : "A"}`;
    await writeFile(join(folder, "a-1.jsonl"), lineOf("1"));
    await index.scan();
    expect(await index.find(alike)).toBeNull();
  }));

test("answers of a segment that is gone are forgotten, and those of the others stay", () =>
  withIndex(async (index, folder) => {
    await writeFile(join(folder, "a-1.jsonl"), lineOf("1") + lineOf("1, too"));
    await writeFile(join(folder, "b-1.jsonl"), lineOf("2"));
    await index.scan();
    await rm(join(folder, "a-1.jsonl"));
    // Until the next scan the index knows the place, but cannot read its line.
    expect([index.size, await said(index, "1")]).toEqual([3, null]);
    await index.scan();
    expect([index.size, await said(index, "2")]).toEqual([1, "2"]);
    await writeFile(join(folder, "a-1.jsonl"), lineOf("3"));
    await index.scan();
    expect([index.size, await said(index, "3"), await said(index, "2")]).toEqual([2, "3", "2"]);
  }));

test("files that are no segments, folders and a folder that is gone are passed over", () =>
  withIndex(async (index, folder) => {
    await writeFile(join(folder, "notes.jsonl"), lineOf("1"));
    await mkdir(join(folder, "a-1.jsonl"));
    await index.scan();
    expect(index.size).toBe(0);
    await rm(folder, { recursive: true });
    await index.scan();
    expect(index.size).toBe(0);
  }));

test("an answer longer than one read is found whole, the last of many", () =>
  withIndex(async (index, folder) => {
    const long = "ż".repeat(100_000);
    await writeFile(join(folder, "a-1.jsonl"), lineOf("1") + lineOf("2", long) + lineOf("3"));
    await index.scan();
    expect(await said(index, "2")).toBe(long);
    expect(await said(index, "3")).toBe("3");
  }));

test.each([
  ["make", "asked", "askersOf"],
  ["want to make", "wanted", "wantersOf"],
] as const)(
  "the processes that %s a request are those whose note no answer and no drop has followed",
  (_, note, of) =>
    withIndex(async (index, folder) => {
      const key = keyOf("1");
      const write = async (name: string, ...lines: readonly string[]) => {
        await appendFile(join(folder, name), lines.join(""));
        await index.scan();
        return [...index[of](key)].sort();
      };
      expect(await write("a-1.jsonl", encodeNote(key, note))).toEqual(["a"]);
      expect(await write("b-1.jsonl", encodeNote(key, note))).toEqual(["a", "b"]);
      expect(index[of](keyOf("2"))).toEqual([]);
      // The second segment of a process may hold what ends a note of its first one.
      expect(await write("a-2.jsonl", encodeNote(key, "dropped"))).toEqual(["b"]);
      expect(await write("a-2.jsonl", encodeNote(key, note))).toEqual(["a", "b"]);
      await rm(join(folder, "b-1.jsonl"));
      expect(await write("c-1.jsonl", encodeNote(keyOf("2"), note))).toEqual(["a"]);
      expect([index.size, await said(index, "1")]).toEqual([0, null]);
      expect(await write("c-1.jsonl", lineOf("1"))).toEqual([]);
      expect([index.size, await said(index, "1")]).toEqual([1, "1"]);
    }),
);
