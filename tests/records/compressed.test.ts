// A compressed output: frames that are whole or cut, wherever a process or the power went, by the files and by the binary.

import { describe, expect, test } from "bun:test";
import { statSync } from "node:fs";
import { appendFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readRecords } from "../../src/records/read-records.ts";
import { RecordWriter } from "../../src/records/record-writer.ts";
import { readRecordedTasks } from "../../src/records/recorded-tasks.ts";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";

const FILE = "trajectories.jsonl.zst";
const line = (id: string, more: object = {}) =>
  JSON.stringify({ format: "matrix-trajectory-1", id, trial: 0, status: "ok", ...more });

/** A file with a frame for each append. */
async function writeFrames(
  path: string,
  appends: readonly (readonly string[])[],
): Promise<readonly number[]> {
  const writer = await RecordWriter.open(path, 0);
  const ends: number[] = [];
  for (const lines of appends) {
    await writer.append(lines.map((text) => [text]));
    ends.push(statSync(path).size);
  }
  await writer.close();
  return ends;
}

async function idsIn(folder: string): Promise<string[]> {
  const ids: string[] = [];
  for await (const records of readRecords(folder)) ids.push(...records.map(({ id }) => id));
  return ids;
}

describe("a compressed output", () => {
  test("is what any reader of Zstandard makes lines of", () =>
    withFolder(async (folder) => {
      const path = join(folder, FILE);
      const large = line("c", { text: "ж".repeat(3_000_000) });
      await writeFrames(path, [[line("a"), line("b")], [large], [line("d")]]);
      expect(Bun.zstdDecompressSync(await readFile(path)).toString()).toBe(
        `${[line("a"), line("b"), large, line("d")].join("\n")}\n`,
      );
      expect(await readRecordedTasks(path)).toMatchObject({
        counts: { ok: 4 },
        bytes: statSync(path).size,
        tornBytes: 0,
      });
    }));

  test("cut at any byte holds the frames before the cut, and goes on after them", () =>
    withFolder(async (folder) => {
      const path = join(folder, FILE);
      const ends = await writeFrames(path, [[line("a"), line("b")], [line("c")]]);
      const [first = 0, second = 0] = ends;
      const whole = await readFile(path);
      for (let size = 0; size <= second; size++) {
        await writeFile(path, whole.subarray(0, size));
        const kept = size < first ? 0 : size < second ? first : second;
        const recorded = await readRecordedTasks(path);
        expect({ size, bytes: recorded.bytes, torn: recorded.tornBytes }).toEqual({
          size,
          bytes: kept,
          torn: size - kept,
        });
        const writer = await RecordWriter.open(path, recorded.bytes);
        await writer.append([[line("z")]]);
        await writer.close();
        expect(await idsIn(folder)).toEqual([
          ...(kept >= first ? ["a", "b"] : []),
          ...(kept === second ? ["c"] : []),
          "z",
        ]);
      }
    }));

  test("with holes at its end, as a power cut leaves them, is cut there; damage before the end is refused with its place", () =>
    withFolder(async (folder) => {
      const path = join(folder, FILE);
      const [first = 0, second = 0] = await writeFrames(path, [[line("a")], [line("b")]]);
      const whole = await readFile(path);
      const damaged = (at: number) => {
        const bytes = Buffer.from(whole);
        bytes.writeUInt8(bytes.readUInt8(at) ^ 0xff, at);
        return bytes;
      };
      await writeFile(path, Buffer.concat([whole, Buffer.alloc(3_000_000)]));
      expect(await readRecordedTasks(path)).toMatchObject({
        counts: { ok: 2 },
        bytes: second,
        tornBytes: 3_000_000,
      });
      await writeFile(path, damaged(second - 1));
      expect(await readRecordedTasks(path)).toMatchObject({
        counts: { ok: 1 },
        bytes: first,
        tornBytes: second - first,
      });
      for (const bytes of [
        damaged(first - 1),
        damaged(0),
        damaged(first),
        Buffer.concat([Buffer.alloc(100), whole]),
      ]) {
        await writeFile(path, bytes);
        await expect(readRecordedTasks(path)).rejects.toMatchObject({
          code: "run_refused",
          message: expect.stringContaining("is damaged"),
        });
      }
    }));

  test("is read as a dataset, frame after frame", () =>
    withFolder(async (folder) => {
      await writeFrames(join(folder, FILE), [[line("a"), line("b")], [line("c")], [line("d")]]);
      await writeFile(join(folder, "a.ts"), "export default () => ({ score: 1 });\n");
      await appendFile(
        join(folder, "recipe.toml"),
        `name = "again"\ndataset.path = "${FILE}"\nroles.a.agent = "a.ts"\n[orchestrator]\npattern = "sequence"\nroles = ["a"]\n`,
      );
      const { stdout } = await matrix(["drive", "recipe.toml"], { cwd: folder });
      expect(stdout).toContain("expected 4 = ok 4");
    }));
});
