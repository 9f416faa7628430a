// Kept answers of many processes: what was kept is found again by the request alone, no matter
// which process kept it and however its process ended.

import { expect, test } from "bun:test";
import { appendFile, mkdir, readdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AnswerFiles, type AnswerFilesOptions } from "../../../src/model/answers/answer-files.ts";
import { segmentName } from "../../../src/model/answers/answer-line.ts";
import { withFolder } from "../../parts/folder.ts";
import { answerOf, requestOf } from "./made.ts";

async function withFiles(
  use: (
    open: (writer: string, more?: Partial<AnswerFilesOptions>) => Promise<AnswerFiles>,
    folder: string,
    warnings: string[],
  ) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    const opened: AnswerFiles[] = [];
    const warnings: string[] = [];
    const warn = (message: string) => void warnings.push(message);
    await use(
      async (writer, more = {}) => {
        const files = await AnswerFiles.open({
          folder: join(folder, "answers"),
          writer,
          use: "journal",
          warn,
          ...more,
        });
        opened.push(files);
        return files;
      },
      join(folder, "answers"),
      warnings,
    );
    for (const files of opened) await files.close();
  });
}

test("a journal has what another process kept, also when that one was killed while it wrote", () =>
  withFiles(async (open, folder, warnings) => {
    const one = await open("one");
    const kept = Array.from({ length: 500 }, (_, row) =>
      one.keep("m", requestOf(`${row}`), answerOf(`said ${row} \u2028😀`)),
    );
    await Promise.all(kept);
    await appendFile(join(folder, segmentName("one", 1)), '{"key":"torn');
    const other = await open("other");
    for (const row of [0, 77, 499])
      expect(await other.find("m", requestOf(`${row}`))).toEqual(answerOf(`said ${row} \u2028😀`));
    expect(await other.find("m", requestOf("500"))).toBeNull();
    expect(await other.find("another model", requestOf("0"))).toBeNull();
    expect(warnings).toEqual([]);
  }));

test("a journal skips a line that is not an answer, and says so once", () =>
  withFiles(async (open, folder, warnings) => {
    await mkdir(folder);
    const one = await open("one");
    await one.keep("m", requestOf("a"), answerOf("a"));
    await appendFile(join(folder, segmentName("one", 1)), "garbage\n\n\0\0\0\n");
    await one.keep("m", requestOf("b"), answerOf("b"));
    const other = await open("other");
    expect((await other.find("m", requestOf("b")))?.message.content).toBe("b");
    expect(warnings).toHaveLength(1);
  }));

test("a journal looks nothing up while no step can come twice, and what may be a repetition always", () =>
  withFiles(async (open) => {
    const [one, other] = [await open("one"), await open("other")];
    const found = async (row: string, attempt = 1, mayRepeat = false) => {
      const request = requestOf(row, 0, attempt, mayRepeat);
      const answer = await one.findOrClaim("m", request);
      if (answer === null) one.drop("m", request);
      return answer?.message.content ?? null;
    };
    await other.keep("m", requestOf("a"), answerOf("a"));
    expect(await found("a")).toBeNull();
    // A row that was started again.
    expect(await found("a", 2)).toBe("a");
    await other.keep("m", requestOf("b"), answerOf("b"));
    expect(await found("b")).toBeNull();
    // A host died, and its step came here with the same attempt.
    expect(await found("b", 1, true)).toBe("b");
    expect(await found("c", 1, true)).toBeNull();
    expect(await found("a")).toBeNull();
  }));

test("a journal continues in a new segment when one is full or cannot be written", () =>
  withFiles(async (open, folder, warnings) => {
    const one = await open("one", { segmentBytes: 1000 });
    for (let row = 0; row < 50; row++)
      await one.keep("m", requestOf(`${row}`), answerOf("x".repeat(100)));
    const names = await readdir(folder);
    expect(names.length).toBeGreaterThan(10);
    for (const name of names) expect((await stat(join(folder, name))).size).toBeLessThan(1500);
    const other = await open("other");
    for (let row = 0; row < 50; row++)
      expect(await other.find("m", requestOf(`${row}`))).not.toBeNull();
    // The folder is gone, but the answer is still used.
    await rm(folder, { recursive: true });
    for (let row = 0; row < 20; row++)
      await one.keep("m", requestOf(`${row}`), answerOf("x".repeat(1000)));
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain("answers cannot be kept in the journal");
  }));

test("a cache is looked up always, by every process that shares it", () =>
  withFiles(async (open) => {
    const one = await open("one", { use: "cache" });
    await one.keep("m", requestOf("a"), answerOf("a"));
    const other = await open("other", { use: "cache" });
    expect((await other.find("m", requestOf("a")))?.message.content).toBe("a");
    expect(await other.find("m", { ...requestOf("a"), seed: 5 })).toBeNull();
  }));

test("a cache that cannot be made is an error when it is opened", () =>
  withFiles(async (open, folder) => {
    await writeFile(folder, "a file");
    await expect(open("one", { use: "cache" })).rejects.toThrow();
  }));

test("a cache is scanned again for what others added when ten seconds have passed", () =>
  withFiles(async (open) => {
    let now = 0;
    const one = await open("one", { use: "cache", now: () => now });
    const other = await open("other", { use: "cache" });
    const found = async () => (await one.find("m", requestOf("a")))?.message.content ?? null;
    expect(await found()).toBeNull();
    await other.keep("m", requestOf("a"), answerOf("a"));
    now = 10_000;
    expect(await found()).toBeNull();
    now = 10_001;
    expect(await found()).toBe("a");
    await other.keep("m", requestOf("a"), answerOf("again"));
    now = 20_001;
    expect(await found()).toBe("a");
    now = 20_002;
    expect(await found()).toBe("again");
  }));

test("a journal that had segments is scanned once, and later only for what may be a repetition", () =>
  withFiles(async (open) => {
    let now = 0;
    const other = await open("other");
    await other.keep("m", requestOf("a"), answerOf("a"));
    const one = await open("one", { now: () => now });
    const found = async (row: string, attempt = 1) =>
      (await one.findOrClaim("m", requestOf(row, 0, attempt)))?.message.content ?? null;
    expect(await found("a")).toBe("a");
    await other.keep("m", requestOf("b"), answerOf("b"));
    now = 1e9;
    expect(await found("b")).toBeNull();
    one.drop("m", requestOf("b"));
    expect(await found("b", 2)).toBe("b");
  }));

test("a request during a scan waits for a scan that began after it, each time", () =>
  withFiles(async (open) => {
    const [one, other] = [await open("one"), await open("other")];
    const found = async (row: string) => {
      const answer = await one.findOrClaim("m", requestOf(row, 0, 2));
      if (answer === null) one.drop("m", requestOf(row, 0, 2));
      return answer?.message.content ?? null;
    };
    for (const row of ["a", "b", "c"]) {
      const early = found(`${row}: none`);
      await other.keep("m", requestOf(row), answerOf(row));
      const both = [found(row), found(row)];
      expect(await Promise.all([early, ...both])).toEqual([null, row, row]);
      const [first, second] = [found(`${row}: no other`), found(row)];
      expect(await Promise.all([first, second])).toEqual([null, row]);
    }
  }));

test("an answer is kept under its model, and found under no other", () =>
  withFiles(async (open) => {
    const one = await open("one", { use: "cache" });
    await one.keep("m", requestOf("a"), answerOf("a"));
    const other = await open("other", { use: "cache" });
    expect(await other.find("n", requestOf("a"))).toBeNull();
    expect(await other.find("m", requestOf("a"))).toEqual(answerOf("a"));
  }));
