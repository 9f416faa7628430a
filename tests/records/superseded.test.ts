// What superseded records say of the tasks that run again: their next attempt, their seed, and what
// was spent on them.

import { expect, test } from "bun:test";
import { appendFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  FIRST_BEGINNING,
  nextBeginning,
  parseTaskName,
  readSuperseded,
  taskName,
} from "../../src/records/superseded.ts";
import type { TrajectoryRecord } from "../../src/task/record.ts";
import { deriveSeed, taskSeed } from "../../src/task/seed.ts";
import { withFolder } from "../parts/folder.ts";
import { failedRecordOf, recordOf } from "./made.ts";

const failedBy = (code: string, more: Partial<TrajectoryRecord> = {}) =>
  failedRecordOf("a", { error: { code, message: "no", role: null, hop: null }, ...more });

test("a run without superseded records begins every task at attempt 1 with its own seed", () =>
  withFolder(async (folder) => {
    expect(await readSuperseded(join(folder, "trajectories.jsonl"))).toEqual({
      count: 0,
      used: { requests: 0, prompt_tokens: 0, completion_tokens: 0, cost: 0 },
      beginnings: new Map(),
    });
    expect(FIRST_BEGINNING).toEqual({ attempt: 1, redraws: 0 });
    expect(taskSeed(7, "a", 2)).toBe(deriveSeed(7, "a", 2));
    expect(taskSeed(7, "a", 2, 0)).toBe(deriveSeed(7, "a", 2));
  }));

test("a task begins after the highest attempt of its superseded records, whose usage adds up", () =>
  withFolder(async (folder) => {
    const records = [
      failedBy("model_failed", { attempt: 3 }),
      failedBy("agent_failed", { attempt: 4, cost: null }),
      failedRecordOf("b:1", { trial: 1 }),
    ];
    const path = join(folder, "superseded.jsonl");
    await writeFile(path, records.map((record) => `${JSON.stringify(record)}\n`).join(""));
    await appendFile(path, '{"torn');
    const { count, used, beginnings } = await readSuperseded(join(folder, "trajectories.jsonl"));
    expect(count).toBe(3);
    expect(used).toEqual({
      requests: 9,
      prompt_tokens: 90,
      completion_tokens: 36,
      cost: 1,
    });
    expect(beginnings).toEqual(
      new Map([
        ["0:a", { attempt: 5, redraws: 1 }],
        ["1:b:1", { attempt: 2, redraws: 1 }],
      ]),
    );
  }));

test.each([
  "model_unavailable",
  "model_overloaded",
  "model_lost",
  "model_failed",
  "model_timeout",
  "model_denied",
  "agent_timeout",
  "task_timeout",
  "sandbox_lost",
  "program_failed",
  "sandbox_unavailable",
  "sandbox_fenced",
  "host_lost",
  "not_recorded",
])("a task that failed by %s keeps its seed, because no answer was to blame", (code) => {
  expect(nextBeginning(FIRST_BEGINNING, failedBy(code))).toEqual({ attempt: 2, redraws: 0 });
});

test.each([
  "schema_mismatch",
  "agent_failed",
  "orchestrator_failed",
  "model_bad_answer",
  "model_refused_request",
  "max_hops",
  "task_too_large",
])("a task that failed by %s draws another seed, or the same answers would come again", (code) => {
  expect(nextBeginning({ attempt: 2, redraws: 1 }, failedBy(code, { attempt: 2 }))).toEqual({
    attempt: 3,
    redraws: 2,
  });
});

test("a task that ended with an answer, such as a refusal, draws another seed", () => {
  const cut = recordOf("a", { stop_reason: "cut", score: null });
  expect(nextBeginning(FIRST_BEGINNING, cut)).toEqual({ attempt: 2, redraws: 1 });
});

test("every redraw gives another seed, and another one for each task", () => {
  const seeds = [0, 1, 2].flatMap((redraws) => ["a", "b"].map((id) => taskSeed(7, id, 0, redraws)));
  expect(new Set(seeds).size).toBe(6);
  expect(taskSeed(7, "a", 0, 2)).toBe(deriveSeed(7, "a", 0, "redraw", 2));
});

test("the name of a task tells its row and its trial, also for an id with colons", () => {
  expect(parseTaskName(taskName("a:b:1", 12))).toEqual({ rowId: "a:b:1", trial: 12 });
  expect(taskName("b", 1)).not.toBe(taskName("1:b", 1));
});
