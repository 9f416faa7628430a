import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { zstdCompressSync } from "node:zlib";
import { findFiles } from "../../src/dataset/files.ts";
import { readItems } from "../../src/dataset/read.ts";
import {
  decodeFrame,
  decodePage,
  decompress,
  encodeFrame,
  FrameWalker,
} from "../../src/dataset/zstd.ts";
import { findDeno } from "../parts/deno.ts";
import { withFolder } from "../parts/folder.ts";
import { ROOT } from "../parts/repository.ts";

/** Frames: of several blocks, of one repeated byte, empty, without a checksum, and one to skip. */
async function makeFrames(): Promise<{ frames: Buffer[]; text: string }> {
  const noise = Array.from({ length: 40_000 }, (_, i) =>
    Math.imul(i, 2654435761).toString(36),
  ).join("\n");
  const parts = ["a\n", noise, "b".repeat(300_000), "", "c\n"];
  const frames = await Promise.all(
    parts.map(async (part) => Buffer.from(await encodeFrame(Buffer.from(part)))),
  );
  frames.push(
    Buffer.from(Bun.zstdCompressSync("d\n")),
    Buffer.from([0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]),
  );
  return { frames, text: `${parts.join("")}d\n` };
}

async function textOf(chunks: Iterable<Buffer>): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of decompress(Readable.from(chunks))) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

function* cut(bytes: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

test("Zstandard frames are found for any cut of the bytes into chunks", async () => {
  const { frames } = await makeFrames();
  const whole = Buffer.concat(frames);
  for (const size of [1, 2, 3, 7, 1000, 65_536, whole.length]) {
    const walker = new FrameWalker();
    const lengths: number[] = [];
    let length = 0;
    for (const chunk of cut(whole, size)) {
      for (let at = 0; at < chunk.length; ) {
        const taken = walker.take(chunk.subarray(at));
        at += taken.bytes;
        length += taken.bytes;
        if (taken.at === "end") lengths.push(length);
        if (taken.at === "end") length = 0;
      }
    }
    expect(lengths).toEqual(frames.map((frame) => frame.length));
  }
});

test("several frames are read to their end, and a file cut anywhere is an error", async () => {
  const { frames, text } = await makeFrames();
  const whole = Buffer.concat(frames);
  expect(await textOf(cut(whole, 10_000))).toBe(text);
  for (const size of [1, 4, 5, 9, 1000, 100_000, whole.length - 12, whole.length - 1])
    await expect(textOf(cut(whole.subarray(0, size), 10_000))).rejects.toThrow();
  await expect(textOf([Buffer.from("no frame at all")])).rejects.toThrow("it is not Zstandard");
  expect(decodeFrame(Buffer.from("no frame"))).toBeNull();
});

test("a dataset of several frames is read, and a cut one refused, under Bun and Deno", () =>
  withFolder(async (folder) => {
    const rows = Array.from(
      { length: 50_000 },
      (_, k) => `{"k":${k},"x":"${Math.imul(k, 2654435761)}"}\n`,
    );
    const halves = [rows.slice(0, 25_000), rows.slice(25_000)].map((half) =>
      Bun.zstdCompressSync(half.join("")),
    );
    const whole = Buffer.concat(halves);
    await writeFile(join(folder, "whole.jsonl.zst"), whole);
    await writeFile(join(folder, "cut.jsonl.zst"), whole.subarray(0, -5));
    const count = async (name: string) => {
      const items = { rows: 0, problem: "" };
      for await (const batch of readItems(await findFiles([join(folder, name)], undefined), null)) {
        for (const { row, problem } of batch) {
          if (row !== null) items.rows++;
          else items.problem = problem ?? "";
        }
      }
      return items;
    };
    expect(await count("whole.jsonl.zst")).toEqual({ rows: 50_000, problem: "" });
    expect((await count("cut.jsonl.zst")).problem).toContain(
      "the .zst file is damaged or cut short: its last frame is incomplete",
    );

    const deno = findDeno();
    if (deno === null) {
      console.log("skipped: the deno package has no binary for this machine");
      return;
    }
    const script = join(folder, "count.ts");
    await writeFile(
      script,
      `import { readItems } from ${JSON.stringify(join(ROOT, "src/dataset/read.ts"))};
       let rows = 0, problem = "";
       const file = { path: Deno.args[0], format: "jsonl", compression: "zst" };
       for await (const batch of readItems([file], null))
          for (const item of batch) item.row === null ? (problem = item.problem) : rows++;
       console.log(JSON.stringify({ rows, problem }));`,
    );
    const env = { ...process.env, DENO_DIR: join(folder, "cache"), DENO_NO_UPDATE_CHECK: "1" };
    const run = (name: string) => {
      const args = [
        deno,
        "run",
        "-A",
        "--config",
        join(ROOT, "deno.json"),
        script,
        join(folder, name),
      ];
      return JSON.parse(Bun.spawnSync(args, { cwd: ROOT, env }).stdout.toString());
    };
    expect(run("whole.jsonl.zst")).toEqual({ rows: 50_000, problem: "" });
    expect(run("cut.jsonl.zst").problem).toContain("its last frame is incomplete");
  }));

const MAGIC = [0x28, 0xb5, 0x2f, 0xfd];
const SINGLE_SEGMENT = 0x20;
const LAST_RAW_BLOCK_OF_2 = [0b10001, 0, 0, 7, 7];

/** Where a walker ends in bytes that are followed by another frame. */
function endOf(frame: readonly number[]): { bytes: number; at: string } {
  return new FrameWalker().take(Buffer.from([...frame, ...MAGIC, 0, 0, 0]));
}

test.each<[flags: number, bytes: number]>([
  [0x00, 1], // a window descriptor
  [0x01, 2], // and a dictionary id of 1 byte
  [0x02, 3],
  [0x03, 5],
  [0x40, 3], // and a content size of 2 bytes
  [0x80, 5],
  [0xc0, 9],
  [SINGLE_SEGMENT, 1], // no window; a content size of 1 byte
  [SINGLE_SEGMENT | 0x40, 2],
  [SINGLE_SEGMENT | 0x80, 4],
  [SINGLE_SEGMENT | 0xc0, 8],
  [SINGLE_SEGMENT | 0xc3, 12],
])("a frame header with the flags %p has %p more bytes", (flags, bytes) => {
  const header = [...MAGIC, flags, ...Array(bytes).fill(0xee)];
  const frame = [...header, ...LAST_RAW_BLOCK_OF_2];
  expect(endOf(frame)).toEqual({ bytes: frame.length, at: "end" });
});

test.each<[block: string, bytes: readonly number[]]>([
  ["raw block of 2 bytes", LAST_RAW_BLOCK_OF_2],
  ["block of one byte repeated 1000 times", [0b01000011, 0x1f, 0, 7]],
  ["compressed block of 300 bytes", [0b01100101, 0x09, 0, ...Array(300).fill(1)]],
  ["empty block", [1, 0, 0]],
  ["raw block of 2 bytes and an empty last one", [0b10000, 0, 0, 7, 7, 1, 0, 0]],
])("a frame ends after its last block: a %s", (_, block) => {
  const frame = [...MAGIC, SINGLE_SEGMENT, 0, ...block];
  expect(endOf(frame)).toEqual({ bytes: frame.length, at: "end" });
  const checked = [...MAGIC, SINGLE_SEGMENT | 4, 0, ...block, 1, 2, 3, 4];
  expect(endOf(checked)).toEqual({ bytes: checked.length, at: "end" });
});

test.each([0x50, 0x5a, 0x5f])(
  "a frame with the magic number %p is skipped by its length",
  (byte) => {
    const frame = [byte, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9];
    expect(endOf(frame)).toEqual({ bytes: 10, at: "end" });
    const empty = [byte, 0x2a, 0x4d, 0x18, 0, 0, 0, 0];
    expect(endOf(empty)).toEqual({ bytes: 8, at: "end" });
  },
);

test.each<[what: string, bytes: readonly number[], at: number]>([
  ["another magic number", [0x29, 0xb5, 0x2f, 0xfd], 4],
  ["a magic number next to the ones to skip", [0x60, 0x2a, 0x4d, 0x18], 4],
  ["a block of the reserved type", [...MAGIC, SINGLE_SEGMENT, 0, 0b111, 0, 0], 9],
])("%s is foreign", (_, bytes, at) => {
  expect(endOf(bytes)).toEqual({ bytes: at, at: "foreign" });
});

test("a walker that is inside a frame says so, and begins anew after its end", () => {
  const walker = new FrameWalker();
  const frame = Buffer.from([...MAGIC, SINGLE_SEGMENT, 0, ...LAST_RAW_BLOCK_OF_2]);
  for (let round = 0; round < 2; round++) {
    expect(walker.take(frame.subarray(0, 3))).toEqual({ bytes: 3, at: "inside" });
    expect(walker.take(frame.subarray(3, -1))).toEqual({ bytes: frame.length - 4, at: "inside" });
    expect(walker.take(frame.subarray(-1))).toEqual({ bytes: 1, at: "end" });
  }
  expect(walker.take(Buffer.alloc(0))).toEqual({ bytes: 0, at: "inside" });
});

test("an encoded frame has a checksum and decodes to its bytes", async () => {
  const frame = Buffer.from(await encodeFrame(Buffer.from("ä text")));
  expect(frame.readUInt8(4) & 4).toBe(4);
  expect(decodeFrame(frame)?.toString()).toBe("ä text");
  frame.writeUInt8(frame.readUInt8(frame.length - 1) ^ 1, frame.length - 1);
  expect(decodeFrame(frame)).toBeNull();
});

test("errors of damaged frames have the code of the decompressor's errors", async () => {
  const frame = Buffer.from(await encodeFrame(Buffer.from("text")));
  await expect(textOf([frame.subarray(0, -1)])).rejects.toMatchObject({
    message: "its last frame is incomplete",
    code: "ZSTD_FRAME",
  });
  await expect(textOf([Buffer.from("text")])).rejects.toMatchObject({
    message: "it is not Zstandard",
    code: "ZSTD_FRAME",
  });
  expect(await textOf([])).toBe("");
  expect(await textOf([Buffer.alloc(0), frame, Buffer.alloc(0)])).toBe("text");
});

test("a frame within another file may have as many bytes as that file says, and no more", () => {
  const frame = zstdCompressSync(Buffer.alloc(2 ** 20, "x"));
  expect(decodePage(frame, 2 ** 20)).toEqual(Buffer.alloc(2 ** 20, "x"));
  for (const [bytes, max] of [
    [frame, 2 ** 20 - 1],
    [Buffer.from("no frame"), 10],
  ] as const)
    expect(() => decodePage(bytes, max)).toThrow(
      `the Zstandard data is damaged, or has more than the ${max} bytes that it may have`,
    );
});
