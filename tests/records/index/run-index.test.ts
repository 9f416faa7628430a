import { expect, test } from "bun:test";
import { appendFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { RunIndex } from "../../../src/records/index/run-index.ts";
import type { TrajectoryRecord } from "../../../src/task/record.ts";
import { withFolder } from "../../parts/folder.ts";
import { failedRecordOf, recordOf, writeRun } from "../made.ts";

const RECORDS: readonly TrajectoryRecord[] = [
  recordOf("żółw"),
  failedRecordOf("b", { trial: 2, attempt: 3, cost: null, simulated: true }),
  recordOf("c", { score: 0, stop_reason: "max_turns", history: [] }),
];

for (const file of ["trajectories.jsonl", "trajectories.jsonl.zst"]) {
  test(`the index of ${file} gives every record with the fields that lists need`, () =>
    withFolder(async (folder) => {
      await writeRun(folder, RECORDS, {}, file);
      await using index = await RunIndex.open(folder);
      expect(index.size).toBe(3);
      expect(index.row(0)).toEqual({
        id: "żółw",
        trial: 0,
        attempt: 1,
        status: "ok",
        stopReason: "completed",
        score: 1,
        error: null,
        hops: 3,
        models: ["x"],
        simulated: false,
        usage: { requests: 3, prompt_tokens: 30, completion_tokens: 12 },
        cost: 0.5,
        admittedAt: Date.parse("2026-01-01T00:00:00.000Z"),
        endedAt: Date.parse("2026-01-01T00:00:01.000Z"),
        totalMs: 1000,
        queueMs: 0,
        runMs: 2,
        bytes: Buffer.byteLength(JSON.stringify(RECORDS[0])),
      });
      expect(index.row(1)).toMatchObject({
        id: "b",
        trial: 2,
        attempt: 3,
        status: "failed",
        stopReason: "error",
        score: null,
        error: { code: "agent_failed", role: "a", hop: 3, message: "no" },
        simulated: true,
        cost: null,
      });
      expect(index.row(2)).toMatchObject({ hops: 0, models: [], score: 0 });
      expect(() => index.row(3)).toThrow(RangeError);
      for (const [n, record] of RECORDS.entries())
        expect(await index.readRecord(n)).toBe(JSON.stringify(record));
    }));

  test(`the columns of ${file} have a value for each record`, () =>
    withFolder(async (folder) => {
      await writeRun(folder, RECORDS, {}, file);
      await using index = await RunIndex.open(folder);
      expect([...(await index.numbers("score"))]).toEqual([1, Number.NaN, 0]);
      expect([...(await index.numbers("hops"))]).toEqual([3, 3, 0]);
      expect([...(await index.numbers("trial"))]).toEqual([0, 2, 0]);
      const valuesOf = async (column: "status" | "stop_reason" | "error" | "simulated") => {
        const { codes, values } = await index.codes(column);
        return [...codes].map((code) => values[code]);
      };
      expect(await valuesOf("status")).toEqual(["ok", "failed", "ok"]);
      expect(await valuesOf("stop_reason")).toEqual(["completed", "error", "max_turns"]);
      expect(await valuesOf("error")).toEqual(["", "agent_failed", ""]);
      expect(await valuesOf("simulated")).toEqual(["false", "true", "false"]);
    }));
}

test("a record is found by its id and its trial, and by no other trial", () =>
  withFolder(async (folder) => {
    await writeRun(folder, RECORDS);
    await using index = await RunIndex.open(folder);
    expect(await index.find("b", 2)).toBe(1);
    expect(await index.find("żółw", 0)).toBe(0);
    expect(await index.find("b", 0)).toBeNull();
    expect(await index.find("nobody", 0)).toBeNull();
  }));

test("an index takes in what a live run appends, and no torn line", () =>
  withFolder(async (folder) => {
    await writeRun(folder, RECORDS.slice(0, 1));
    const path = join(folder, "trajectories.jsonl");
    await using index = await RunIndex.open(folder);
    const [whole, torn] = [JSON.stringify(RECORDS[1]), JSON.stringify(RECORDS[2])];
    await appendFile(path, `${whole}\n${torn.slice(0, 100)}`);
    expect(await index.refresh()).toBe(1);
    expect(index.size).toBe(2);
    await appendFile(path, `${torn.slice(100)}\n`);
    expect(await index.refresh()).toBe(1);
    expect(await index.refresh()).toBe(0);
    expect(index.row(2).id).toBe("c");
    expect(await index.readRecord(2)).toBe(torn);
  }));

test("a directory without records has an empty index", () =>
  withFolder(async (folder) => {
    await using index = await RunIndex.open(folder);
    expect(index.size).toBe(0);
    expect(await index.find("a", 0)).toBeNull();
  }));

test("a line of a compressed file that spans frames is read whole", () =>
  withFolder(async (folder) => {
    await writeRun(folder, RECORDS.slice(0, 2));
    const { encodeFrame } = await import("../../../src/dataset/zstd.ts");
    const plain = await readFile(join(folder, "trajectories.jsonl"));
    const cut = [0, 100, 150, plain.length - 20, plain.length];
    const frames = await Promise.all(
      cut.slice(1).map((end, n) => encodeFrame(plain.subarray(cut[n], end))),
    );
    await writeFile(join(folder, "trajectories.jsonl.zst"), Buffer.concat(frames));
    await using index = await RunIndex.open(folder);
    expect(await index.readRecord(0)).toBe(JSON.stringify(RECORDS[0]));
    expect(await index.readRecord(1)).toBe(JSON.stringify(RECORDS[1]));
  }));
