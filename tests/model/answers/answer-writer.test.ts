// Appending answers: segments, their size, and a folder that cannot be written to.

import { expect, test } from "bun:test";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AnswerWriter } from "../../../src/model/answers/answer-writer.ts";
import { withFolder } from "../../parts/folder.ts";
import { until } from "../../parts/until.ts";

async function withWriter(
  use: (writer: AnswerWriter, folder: string, failures: string[]) => Promise<void>,
  segmentBytes = 1000,
): Promise<void> {
  await withFolder(async (folder) => {
    const failures: string[] = [];
    const writer = new AnswerWriter({
      folder,
      writer: "w",
      segmentBytes,
      onFailure: (why) => failures.push(why),
    });
    await use(writer, folder, failures);
    await writer.close();
  });
}
const namesIn = async (folder: string) => (await readdir(folder)).sort();

test("an append makes the first segment, and ends when the kernel has the line", () =>
  withWriter(async (writer, folder) => {
    expect(await namesIn(folder)).toEqual([]);
    await writer.append("a\n");
    expect(await readFile(join(folder, "w-1.jsonl"), "utf8")).toBe("a\n");
    await Promise.all([writer.append("b\n"), writer.append("c\n")]);
    expect(await readFile(join(folder, "w-1.jsonl"), "utf8")).toBe("a\nb\nc\n");
  }));

test("a segment that has its size is left for the next number, and one just below is not", () =>
  withWriter(async (writer, folder) => {
    for (const line of ["12345678\n", "9\n", "x\n", "y\n"]) await writer.append(line);
    expect(await readFile(join(folder, "w-1.jsonl"), "utf8")).toBe("12345678\n9\n");
    expect(await readFile(join(folder, "w-2.jsonl"), "utf8")).toBe("x\ny\n");
    await writer.append("123456\n");
    await writer.append("z\n");
    expect(await namesIn(folder)).toEqual(["w-1.jsonl", "w-2.jsonl", "w-3.jsonl"]);
  }, 10));

test("a segment of that name that is there already is a failure and is left alone", () =>
  withWriter(async (writer, folder, failures) => {
    await writeFile(join(folder, "w-1.jsonl"), "mine\n");
    await writer.append("a\n");
    expect(await readFile(join(folder, "w-1.jsonl"), "utf8")).toBe("mine\n");
    expect(failures).toEqual([expect.stringContaining("EEXIST")]);
  }));

test("a folder that cannot be written to is reported once and left alone a while", () =>
  withWriter(async (writer, folder, failures) => {
    await rm(folder, { recursive: true });
    await writer.append("a\n");
    expect(failures).toEqual([expect.stringContaining("ENOENT")]);
    // The folder is back, but the writer pauses: it would otherwise fail at every answer on a full
    // disk.
    await Bun.write(join(folder, "other"), "");
    await writer.append("b\n");
    await writer.append("c\n");
    expect(failures).toHaveLength(1);
    expect(await namesIn(folder)).toEqual(["other"]);
  }));

test("a segment that was removed is left at the next sync, and the next line begins another", () =>
  withWriter(async (writer, folder) => {
    await writer.append("a\n");
    await rm(join(folder, "w-1.jsonl"));
    await until(async () => {
      await writer.append("b\n");
      return (await namesIn(folder)).includes("w-2.jsonl");
    }, "the removal is noticed");
  }, 2 ** 20));

test("a segment that is there stays in use after a sync", () =>
  withWriter(async (writer, folder) => {
    const began = performance.now();
    await until(async () => {
      await writer.append("a\n");
      return performance.now() - began > 1300;
    }, "a sync has passed");
    expect(await namesIn(folder)).toEqual(["w-1.jsonl"]);
  }, 2 ** 20));

test("closing twice and appending nothing leave no file", () =>
  withWriter(async (writer, folder) => {
    await writer.close();
    expect(await namesIn(folder)).toEqual([]);
  }));

test("an answer is not kept, and no failure reported, by a driver that lost its directory", () =>
  withFolder(async (folder) => {
    let lost = false;
    const failures: string[] = [];
    const writer = new AnswerWriter({
      ...{ folder, writer: "w", segmentBytes: 1000 },
      onFailure: (why) => failures.push(why),
      confirm: async () => {
        if (lost) throw new Error("lost");
      },
    });
    await writer.append("a\n");
    lost = true;
    await writer.append("b\n");
    await writer.close();
    expect(await readFile(join(folder, "w-1.jsonl"), "utf8")).toBe("a\n");
    expect(failures).toEqual([]);
  }));

test("a folder that is gone at the last sync is reported", () =>
  withFolder(async (folder) => {
    const failures: string[] = [];
    const gone = join(folder, "journal");
    await mkdir(gone);
    const writer = new AnswerWriter({
      ...{ folder: gone, writer: "w", segmentBytes: 1000 },
      onFailure: (why) => failures.push(why),
    });
    await writer.append("a\n");
    await rm(gone, { recursive: true });
    await writer.close();
    expect(failures).toEqual([expect.stringContaining("ENOENT")]);
  }));
