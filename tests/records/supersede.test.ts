// The move of records out of a run: what moves, and what is left wherever the process is killed.

import { expect, test } from "bun:test";
import { appendFile, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeFrame, FrameWalker } from "../../src/dataset/zstd.ts";
import { MatrixError } from "../../src/error.ts";
import { type Disk, guarded, realDisk } from "../../src/records/disk.ts";
import { openRecordFile, supersededPath } from "../../src/records/record-file.ts";
import { readRecordedTasks } from "../../src/records/recorded-tasks.ts";
import { countedBytes, prepareMove, recoverMove } from "../../src/records/supersede.ts";
import { readSuperseded } from "../../src/records/superseded.ts";
import { withFolder } from "../parts/folder.ts";
import { failedRecordOf, recordOf } from "./made.ts";

/** Short lines, so that a test can cut at every byte. */
const lineOf = (id: string, status: string) =>
  `{"format":"matrix-trajectory-1","id":"${id}","trial":0,"status":"${status}"}\n`;
const OLD = lineOf("b", "failed");
const STAYS = lineOf("a", "ok") + lineOf("c", "ok");
const GOES = lineOf("b", "failed") + lineOf("d", "failed");
const ALL = lineOf("a", "ok") + lineOf("b", "failed") + lineOf("c", "ok") + lineOf("d", "failed");
const FAILED = new Set(["failed"]);

/** A disk that dies after this many units: a byte that is appended, or any other operation. */
class DyingDisk implements Disk {
  #left: number;

  constructor(units: number) {
    this.#left = units;
  }

  get isDead(): boolean {
    return this.#left < 0;
  }

  async append(path: string, bytes: Uint8Array): Promise<void> {
    const room = Math.max(0, this.#left);
    this.#left -= bytes.length;
    if (room > 0 || bytes.length === 0) await realDisk.append(path, bytes.subarray(0, room));
    this.#refuseDead();
  }

  async truncate(path: string, bytes: number): Promise<void> {
    this.#use();
    await realDisk.truncate(path, bytes);
  }

  async sync(path: string): Promise<void> {
    this.#use();
    await realDisk.sync(path);
  }

  async syncFolder(path: string): Promise<void> {
    this.#use();
    await realDisk.syncFolder(path);
  }

  async rename(from: string, to: string): Promise<void> {
    this.#use();
    await realDisk.rename(from, to);
  }

  async remove(path: string): Promise<void> {
    this.#use();
    await realDisk.remove(path);
  }

  #use(): void {
    this.#left--;
    this.#refuseDead();
  }

  #refuseDead(): void {
    if (this.isDead) throw new Error("killed here");
  }
}

async function textOf(path: string, bytes?: number): Promise<string> {
  const { lines, close } = await openRecordFile(path, bytes);
  let text = "";
  for await (const batch of lines) for (const line of batch) text += `${line.text}\n`;
  await close();
  return text;
}

async function write(path: string, text: string): Promise<void> {
  const bytes = Buffer.from(text);
  await writeFile(path, path.endsWith(".zst") ? await encodeFrame(bytes) : bytes);
}

/** Makes a run that was retried once before, in its own folder. */
async function makeRun(folder: string, name: string, file: string): Promise<string> {
  await mkdir(join(folder, name));
  const path = join(folder, name, file);
  await write(path, ALL);
  await write(supersededPath(path), OLD);
  return path;
}

/** The records and the superseded records, as every reader counts them. */
async function stateOf(path: string): Promise<"before" | "after"> {
  const seen = [
    await textOf(path),
    await textOf(supersededPath(path), await countedBytes(path)),
    (await readRecordedTasks(path)).tally.counts,
    (await readSuperseded(path)).count,
  ];
  const before = [ALL, OLD, { ok: 2, failed: 2, lost: 0 }, 1];
  const after = [STAYS, OLD + GOES, { ok: 2, failed: 0, lost: 0 }, 3];
  const isAfter = seen[0] === STAYS;
  expect(seen).toEqual(isAfter ? after : before);
  return isAfter ? "after" : "before";
}

const move = async (path: string, disk?: Disk) => (await prepareMove(path, FAILED, disk))?.commit();

/** Between two cuts lie this many bytes. A frame is cut at fewer places, because it is one. */
const STEPS = { "trajectories.jsonl": 1, "trajectories.jsonl.zst": 3 } as const;

for (const [file, step] of Object.entries(STEPS)) {
  test(`a move that is killed at any byte of ${file} is whole or has not happened`, () =>
    withFolder(async (folder) => {
      const states = new Set<string>();
      let units = 0;
      for (let isDead = true; isDead; units += step) {
        const path = await makeRun(folder, `cut-${units}`, file);
        const disk = new DyingDisk(units);
        await move(path, disk).catch(() => undefined);
        isDead = disk.isDead;
        const state = await stateOf(path);
        states.add(state);
        await recoverMove(path);
        expect(await stateOf(path)).toBe(state);
        const superseded = supersededPath(file);
        expect((await readdir(join(folder, `cut-${units}`))).sort()).toEqual([superseded, file]);
        await move(path);
        expect(await stateOf(path)).toBe("after");
        await rm(join(folder, `cut-${units}`), { recursive: true });
      }
      expect([...states]).toEqual(["before", "after"]);
      expect(units).toBeGreaterThan(100);
    }));

  test(`what recovers an unfinished move of ${file} may itself be killed anywhere`, () =>
    withFolder(async (folder) => {
      let made = 0;
      // Enough units for a move that has appended its records, and has not renamed its file.
      for (let units = 0, isDead = true; isDead; units += 7 * step) {
        for (let steps = 0, dies = true; dies; steps++) {
          const path = await makeRun(folder, `${++made}`, file);
          const disk = new DyingDisk(units);
          await move(path, disk).catch(() => undefined);
          isDead = disk.isDead;
          const state = await stateOf(path);
          const recovering = new DyingDisk(steps);
          await recoverMove(path, recovering).catch(() => undefined);
          dies = recovering.isDead;
          expect(await stateOf(path)).toBe(state);
          await recoverMove(path);
          expect(await stateOf(path)).toBe(state);
        }
      }
      expect(made).toBeGreaterThan(30);
    }));
}

test("the first move makes superseded.jsonl, and taking it back leaves none", () =>
  withFolder(async (folder) => {
    const path = join(folder, "trajectories.jsonl");
    await write(path, ALL);
    const prepared = await prepareMove(path, FAILED);
    expect(prepared).toMatchObject({ moved: 2, kept: { ok: 2, failed: 0, lost: 0 } });
    expect(await readFile(path, "utf8")).toBe(ALL);
    await prepared?.commit();
    expect(await readFile(path, "utf8")).toBe(STAYS);
    expect(await readFile(join(folder, "superseded.jsonl"), "utf8")).toBe(GOES);

    await writeFile(`${path}.next`, "");
    await writeFile(join(folder, "retry.json"), '{"bytes":0}\n');
    expect((await readSuperseded(path)).count).toBe(0);
    await recoverMove(path);
    expect((await readdir(folder)).sort()).toEqual(["trajectories.jsonl"]);
  }));

test("records move by status, error code and stop reason, and a torn last line stays behind", () =>
  withFolder(async (folder) => {
    const path = join(folder, "trajectories.jsonl");
    const records = [
      recordOf("a"),
      failedRecordOf("b"),
      recordOf("c", { status: "lost", stop_reason: "lost", score: null }),
      recordOf("d", { stop_reason: "cut", score: null }),
      failedRecordOf("e", { stop_reason: "timeout" }),
    ];
    const movedBy = async (...words: string[]) => {
      await writeFile(path, records.map((record) => `${JSON.stringify(record)}\n`).join(""));
      await appendFile(path, '{"torn');
      await prepareMove(path, new Set(words)).then((prepared) => prepared?.commit());
      const superseded = await textOf(supersededPath(path));
      await rm(supersededPath(path), { force: true });
      const idOf = (line: string) => (JSON.parse(line) as { id: string }).id;
      return superseded.split("\n").slice(0, -1).map(idOf).join("");
    };
    expect(await movedBy("failed")).toBe("be");
    expect(await movedBy("lost")).toBe("c");
    expect(await movedBy("agent_failed")).toBe("be");
    expect(await movedBy("timeout")).toBe("e");
    expect(await movedBy("cut", "lost")).toBe("cd");
    expect(await movedBy("model_failed")).toBe("");
    expect(await readFile(path, "utf8")).toEndWith('{"torn');
  }));

test("a move that chooses nothing leaves no file beside the records", () =>
  withFolder(async (folder) => {
    const path = join(folder, "trajectories.jsonl");
    await write(path, STAYS);
    expect(await prepareMove(path, FAILED)).toBeNull();
    expect(await readdir(folder)).toEqual(["trajectories.jsonl"]);
  }));

test("a run of which every record moves has an empty file of records", () =>
  withFolder(async (folder) => {
    for (const file of ["trajectories.jsonl", "trajectories.jsonl.zst"]) {
      const path = join(folder, file);
      await write(path, GOES);
      await move(path);
      expect(await readFile(path)).toHaveLength(0);
      expect(await textOf(supersededPath(path))).toBe(GOES);
    }
  }));

test("a disk that fails during a move gives its reason, and the records are as before", () =>
  withFolder(async (folder) => {
    const path = await makeRun(folder, "run", "trajectories.jsonl");
    const full: Disk = {
      ...realDisk,
      append: async (to, bytes) => {
        if (!to.includes("superseded")) return realDisk.append(to, bytes);
        await realDisk.append(to, bytes.subarray(0, 10));
        throw new Error("no space");
      },
    };
    const prepared = await prepareMove(path, FAILED, full);
    await expect(prepared?.commit()).rejects.toMatchObject({
      code: "storage_failed",
      message: `cannot move records to ${supersededPath(path)}: no space`,
      hint: "no record is lost; run the same command again when the storage is back",
    });
    expect(await stateOf(path)).toBe("before");
    expect((await readdir(join(folder, "run"))).sort()).toEqual([
      "superseded.jsonl",
      "trajectories.jsonl",
    ]);
  }));

test("a note that says nothing is refused, and what it may say is in the hint", () =>
  withFolder(async (folder) => {
    const path = await makeRun(folder, "run", "trajectories.jsonl");
    const note = join(folder, "run", "retry.json");
    await writeFile(`${path}.next`, STAYS);
    for (const text of ["", "\0\0", "{}", '{"bytes":-1}', '{"bytes":1.5}', '{"bytes":"1"}']) {
      await writeFile(note, text);
      await expect(countedBytes(path)).rejects.toMatchObject({
        code: "run_refused",
        message: `${note} does not say how far a retry had come`,
      });
    }
  }));

test("records that are larger than a batch move whole, in several frames of a compressed file", () =>
  withFolder(async (folder) => {
    const path = join(folder, "trajectories.jsonl.zst");
    const large = (id: string) => failedRecordOf(id, { row: { text: id.repeat(3 * 2 ** 20) } });
    const text = ["a", "b", "c"].map((id) => `${JSON.stringify(large(id))}\n`).join("");
    await write(path, text);
    await move(path);
    expect(await textOf(supersededPath(path))).toBe(text);
    const bytes = await readFile(supersededPath(path));
    const first = new FrameWalker().take(bytes);
    expect(first).toMatchObject({ at: "end" });
    expect(new FrameWalker().take(bytes.subarray(first.bytes))).toEqual({
      at: "end",
      bytes: bytes.length - first.bytes,
    });
  }));

test("a driver that lost its directory while it stood still ends its move, and changes nothing more", () =>
  withFolder(async (folder) => {
    const path = await makeRun(folder, "run", "trajectories.jsonl");
    let left = 6;
    const taken = new MatrixError("run_taken", "another driver has it");
    const disk = guarded(realDisk, async () => {
      if (left-- <= 0) throw taken;
    });
    const prepared = await prepareMove(path, FAILED, disk);
    await expect(prepared?.commit()).rejects.toBe(taken);
    expect((await readdir(join(folder, "run"))).sort()).toEqual([
      "retry.json",
      "superseded.jsonl",
      "trajectories.jsonl",
      "trajectories.jsonl.next",
    ]);
    expect(await stateOf(path)).toBe("before");
    await recoverMove(path);
    expect(await stateOf(path)).toBe("before");
  }));
