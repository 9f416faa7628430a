// Zstandard: frames end where their headers say, however the bytes come; what is cut or foreign is an error in every runtime.

import { describe, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { findFiles } from "../../src/dataset/files.ts";
import { readItems } from "../../src/dataset/read.ts";
import { decodeFrame, decompress, encodeFrame, FrameWalker } from "../../src/dataset/zstd.ts";
import { findDeno } from "../parts/deno.ts";
import { withFolder } from "../parts/folder.ts";
import { ROOT } from "../parts/repository.ts";

/** Frames of several blocks, of one byte repeated, empty, without a checksum, and one that is to be skipped. */
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

describe("Zstandard", () => {
  test("frames are found whatever the chunks", async () => {
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

  test("of several frames is read to its end, and one cut anywhere is an error, not less text", async () => {
    const { frames, text } = await makeFrames();
    const whole = Buffer.concat(frames);
    expect(await textOf(cut(whole, 10_000))).toBe(text);
    for (const size of [1, 4, 5, 9, 1000, 100_000, whole.length - 12, whole.length - 1])
      await expect(textOf(cut(whole.subarray(0, size), 10_000))).rejects.toThrow();
    await expect(textOf([Buffer.from("no frame at all")])).rejects.toThrow("it is not Zstandard");
    expect(decodeFrame(Buffer.from("no frame"))).toBeNull();
  });

  test("datasets that are cut short are refused, and those of several frames read, under Bun and Deno", () =>
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
        for await (const batch of readItems(
          await findFiles([join(folder, name)], undefined),
          null,
        )) {
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
         for await (const batch of readItems([file], null)) for (const item of batch) item.row === null ? (problem = item.problem) : rows++;
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
});
