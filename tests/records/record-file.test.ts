// The lines of a record file, plain and in frames: their places, the torn end of a killed write or
// a power cut, and damage.

import { expect, test } from "bun:test";
import { statSync } from "node:fs";
import { appendFile, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeFrame } from "../../src/dataset/zstd.ts";
import {
  type FileLine,
  isCompressed,
  openRecordFile,
  trajectoriesPath,
} from "../../src/records/record-file.ts";
import { RecordWriter } from "../../src/records/record-writer.ts";
import { withFolder } from "../parts/folder.ts";

async function linesOf(path: string): Promise<{ size: number; lines: FileLine[] }> {
  const file = await openRecordFile(path);
  const lines: FileLine[] = [];
  try {
    for await (const batch of file.lines) lines.push(...batch);
  } finally {
    await file.close();
  }
  return { size: file.size, lines };
}

/** Writes a frame for each append, and answers where each ends. */
async function writeFrames(
  path: string,
  ...appends: readonly (readonly string[])[]
): Promise<number[]> {
  const writer = await RecordWriter.open(path, 0);
  const ends: number[] = [];
  for (const lines of appends) {
    await writer.append(lines.map((text) => [text]));
    ends.push(statSync(path).size);
  }
  await writer.close();
  return ends;
}

test("the record file is the compressed one where there is one", () =>
  withFolder(async (folder) => {
    const [plain, compressed] = [
      join(folder, "trajectories.jsonl"),
      join(folder, "trajectories.jsonl.zst"),
    ];
    expect(trajectoriesPath(folder)).toBe(plain);
    expect(trajectoriesPath(folder, true)).toBe(compressed);
    await writeFile(compressed, "");
    expect(trajectoriesPath(folder)).toBe(compressed);
    expect(trajectoriesPath(folder, false)).toBe(plain);
    expect([isCompressed(plain), isCompressed(compressed)]).toEqual([false, true]);
  }));

test("a file that is not there has no lines, and one that cannot be read is an error", () =>
  withFolder(async (folder) => {
    expect(await linesOf(join(folder, "none.jsonl"))).toEqual({ size: 0, lines: [] });
    await expect(linesOf(folder)).rejects.toThrow();
  }));

test("lines of a plain file have their number and the byte where they end", () =>
  withFolder(async (folder) => {
    const path = join(folder, "t.jsonl");
    await writeFile(path, "ab\nżółw\n\nc\n");
    expect(await linesOf(path)).toEqual({
      size: 14,
      lines: [
        { text: "ab", number: 1, start: 0, inFrame: 0, bytes: 2, end: 3, torn: false },
        { text: "żółw", number: 2, start: 3, inFrame: 0, bytes: 7, end: 11, torn: false },
        { text: "", number: 3, start: 11, inFrame: 0, bytes: 0, end: 12, torn: false },
        { text: "c", number: 4, start: 12, inFrame: 0, bytes: 1, end: 14, torn: false },
      ],
    });
  }));

test("the last line of a plain file is torn without its newline, even if it parses", () =>
  withFolder(async (folder) => {
    const path = join(folder, "t.jsonl");
    await writeFile(path, '{"a":1}\n{"b":2}');
    const { lines } = await linesOf(path);
    expect(lines.map(({ text, torn }) => [text, torn])).toEqual([
      ['{"a":1}', false],
      ['{"b":2}', true],
    ]);
  }));

test("lines that are added while the file is read are not read", () =>
  withFolder(async (folder) => {
    const path = join(folder, "t.jsonl");
    await writeFile(path, "a\n");
    const { lines, size, close } = await openRecordFile(path);
    await appendFile(path, "b\n");
    const texts: string[] = [];
    for await (const batch of lines) texts.push(...batch.map(({ text }) => text));
    await close();
    expect({ size, texts }).toEqual({ size: 2, texts: ["a"] });
  }));

test("a plain file larger than one read has all its lines", () =>
  withFolder(async (folder) => {
    const path = join(folder, "t.jsonl");
    const texts = Array.from({ length: 5000 }, (_, i) => `${i} ${"x".repeat(500)}`);
    await writeFile(path, `${texts.join("\n")}\n`);
    const { lines, size } = await linesOf(path);
    expect(lines.map(({ text }) => text)).toEqual(texts);
    expect(lines.at(-1)?.end).toBe(size);
  }));

test("lines of a compressed file end where their frame ends", () =>
  withFolder(async (folder) => {
    const path = join(folder, "t.jsonl.zst");
    const [first = 0, second = 0] = await writeFrames(path, ["a", "b"], ["c"]);
    expect(await linesOf(path)).toEqual({
      size: second,
      lines: [
        { text: "a", number: 1, start: 0, inFrame: 0, bytes: 1, end: first, torn: false },
        { text: "b", number: 2, start: 0, inFrame: 2, bytes: 1, end: first, torn: false },
        { text: "c", number: 3, start: first, inFrame: 0, bytes: 1, end: second, torn: false },
      ],
    });
  }));

test("any reader of Zstandard reads a compressed file, large frames included", () =>
  withFolder(async (folder) => {
    const path = join(folder, "t.jsonl.zst");
    const large = Buffer.from(crypto.getRandomValues(new Uint8Array(60_000))).toString("hex");
    const huge = large.repeat(30);
    const [, , end] = await writeFrames(path, ["a"], [huge], ["b"]);
    expect(Bun.zstdDecompressSync(await readFile(path)).toString()).toBe(`a\n${huge}\nb\n`);
    const { lines } = await linesOf(path);
    expect(lines.map(({ text }) => text.length)).toEqual([1, huge.length, 1]);
    expect(lines.at(-1)?.end).toBe(end as number);
  }));

test("a compressed file cut at any byte has its whole frames and a torn line", () =>
  withFolder(async (folder) => {
    const path = join(folder, "t.jsonl.zst");
    const [first = 0, second = 0] = await writeFrames(path, ["a", "b"], ["c"]);
    const whole = await readFile(path);
    for (let size = 0; size <= second; size++) {
      await writeFile(path, whole.subarray(0, size));
      const { lines } = await linesOf(path);
      const texts = size < first ? [] : size < second ? ["a", "b"] : ["a", "b", "c"];
      const isCut = size !== 0 && size !== first && size !== second;
      expect({
        size,
        lines: lines.map(({ text, number, torn }) => [text, number, torn] as unknown),
      }).toEqual({
        size,
        lines: [
          ...texts.map((text, index) => [text, index + 1, false]),
          ...(isCut ? [["", texts.length + 1, true]] : []),
        ],
      });
    }
  }));

test("zeros at the end of a compressed file, as a power cut leaves them, are a torn line", () =>
  withFolder(async (folder) => {
    const path = join(folder, "t.jsonl.zst");
    const [first = 0] = await writeFrames(path, ["a"]);
    for (const zeros of [1, 10, 3_000_000]) {
      await writeFile(path, (await readFile(path)).subarray(0, first));
      await appendFile(path, Buffer.alloc(zeros));
      const { lines } = await linesOf(path);
      expect(lines).toEqual([
        { text: "a", number: 1, start: 0, inFrame: 0, bytes: 1, end: first, torn: false },
        {
          text: "",
          number: 2,
          start: first,
          inFrame: 0,
          bytes: 0,
          end: first + zeros,
          torn: true,
        },
      ]);
    }
  }));

test("a damaged last frame is torn, and damage before it is refused with its place", () =>
  withFolder(async (folder) => {
    const path = join(folder, "t.jsonl.zst");
    const [first = 0, second = 0] = await writeFrames(path, ["a"], ["b"]);
    const whole = await readFile(path);
    const damagedAt = (at: number) => {
      const bytes = Buffer.from(whole);
      bytes.writeUInt8(bytes.readUInt8(at) ^ 0xff, at);
      return bytes;
    };
    await writeFile(path, damagedAt(second - 1));
    expect((await linesOf(path)).lines.map(({ text, torn }) => [text, torn])).toEqual([
      ["a", false],
      ["", true],
    ]);
    for (const [bytes, place] of [
      [damagedAt(first - 1), 0],
      [damagedAt(0), 0],
      [damagedAt(first), first],
      [Buffer.concat([Buffer.alloc(100), whole]), 0],
      [Buffer.concat([whole, Buffer.alloc(2_000_000), Buffer.from("x")]), second],
    ] as const) {
      await writeFile(path, bytes);
      await expect(linesOf(path)).rejects.toMatchObject({
        code: "run_refused",
        message: `${path}: the frame at byte ${place} is damaged`,
        hint: expect.stringContaining("--fresh"),
      });
    }
  }));

test("a frame whose last line has no newline makes that line torn", () =>
  withFolder(async (folder) => {
    const path = join(folder, "t.jsonl.zst");
    await writeFile(path, await encodeFrame(Buffer.from("a\nb")));
    expect((await linesOf(path)).lines.map(({ text, torn }) => [text, torn])).toEqual([
      ["a", false],
      ["b", true],
    ]);
  }));

test("a file that is cut while it is read ends there", () =>
  withFolder(async (folder) => {
    const path = join(folder, "t.jsonl");
    await writeFile(path, "a\nb\n");
    const { lines, close } = await openRecordFile(path);
    await truncate(path, 2);
    const texts: string[] = [];
    for await (const batch of lines) texts.push(...batch.map(({ text }) => text));
    await close();
    expect(texts).toEqual(["a"]);
  }));
