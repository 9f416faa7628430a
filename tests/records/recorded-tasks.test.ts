// The tasks of a run that have a record: their ids, their sums, and where a continued run goes on.

import { expect, test } from "bun:test";
import { appendFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readRecordedTasks } from "../../src/records/recorded-tasks.ts";
import { withFolder } from "../parts/folder.ts";
import { failedRecordOf, recordOf, writeRun } from "./made.ts";

test("records are counted by status, their usage and cost summed, and their tasks known", () =>
  withFolder(async (folder) => {
    const path = join(folder, "trajectories.jsonl");
    await writeRun(folder, [
      recordOf("a"),
      recordOf("a", { trial: 1, cost: null }),
      failedRecordOf("b"),
      recordOf("c", { status: "lost", stop_reason: "lost" }),
    ]);
    const { ids, tally, ...rest } = await readRecordedTasks(path);
    expect({ ...tally, spent: tally.spent }).toEqual({
      counts: { ok: 2, failed: 1, lost: 1 },
      stopReasons: { completed: 2, error: 1, lost: 1 },
      errors: { "agent_failed in a": 1 },
      hops: 12,
      usage: { requests: 12, prompt_tokens: 120, completion_tokens: 48 },
      cost: 1.5,
      score: { count: 3, sum: 3 },
      spent: { requests: 12, prompt_tokens: 120, completion_tokens: 48, cost: 1.5 },
    });
    expect(rest).toEqual({
      errors: { agent_failed: 1 },
      used: { requests: 12, prompt_tokens: 120, completion_tokens: 48, cost: 1.5 },
      simulated: false,
      bytes: (await stat(path)).size,
      tornBytes: 0,
    });
    expect(ids.size).toBe(4);
    expect([ids.has("a", 1), ids.has("a", 2), ids.has("d", 0)]).toEqual([true, false, false]);
  }));

test("one record of a simulated model makes the run simulated", () =>
  withFolder(async (folder) => {
    await writeRun(folder, [recordOf("a", { simulated: true }), recordOf("b")]);
    expect((await readRecordedTasks(join(folder, "trajectories.jsonl"))).simulated).toBe(true);
  }));

test("a torn last record is not counted, and its bytes are known", () =>
  withFolder(async (folder) => {
    const path = join(folder, "trajectories.jsonl");
    await writeRun(folder, [recordOf("a")]);
    const whole = (await stat(path)).size;
    await appendFile(path, JSON.stringify(recordOf("b")));
    const { tally, bytes, tornBytes, ids } = await readRecordedTasks(path);
    expect({ counts: tally.counts, bytes, tornBytes, size: ids.size }).toEqual({
      counts: { ok: 1, failed: 0, lost: 0 },
      bytes: whole,
      tornBytes: JSON.stringify(recordOf("b")).length,
      size: 1,
    });
  }));

test("a file that is not there has no tasks", () =>
  withFolder(async (folder) => {
    expect(await readRecordedTasks(join(folder, "none.jsonl"))).toMatchObject({
      tally: { counts: { ok: 0, failed: 0, lost: 0 }, hops: 0, cost: null },
      bytes: 0,
      tornBytes: 0,
    });
  }));

test("a task with two records is refused with the second's place", () =>
  withFolder(async (folder) => {
    const path = join(folder, "trajectories.jsonl");
    await writeRun(folder, [recordOf("a"), recordOf("b"), recordOf("a")]);
    await expect(readRecordedTasks(path)).rejects.toMatchObject({
      code: "run_refused",
      message: `${path}:3: this line is not a record of the run: row a, trial 0 is there twice`,
    });
  }));

test("a record without usage, cost and label counts nothing of them", () =>
  withFolder(async (folder) => {
    const path = join(folder, "t.jsonl");
    const head = { format: "matrix-trajectory-1", id: "a", trial: 0, status: "ok" };
    await writeFile(path, `${JSON.stringify(head)}\n`);
    expect(await readRecordedTasks(path)).toMatchObject({
      simulated: false,
      tally: {
        counts: { ok: 1, failed: 0, lost: 0 },
        ...{ stopReasons: {}, errors: {}, hops: 0, cost: null, score: { count: 0, sum: 0 } },
        usage: { requests: 0, prompt_tokens: 0, completion_tokens: 0 },
      },
    });
  }));
