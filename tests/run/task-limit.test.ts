// run.task_limit in whole runs: the requests that an endpoint sees, and how the tasks end.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { readRecords } from "../../src/records/read-records.ts";
import { prepare } from "../../src/run/prepare.ts";
import { runRecipe } from "../../src/run/run-recipe.ts";
import type { TrajectoryRecord } from "../../src/task/record.ts";
import { answer, completion, TestEndpoint } from "../model/endpoint.ts";
import { withFolder } from "../parts/folder.ts";
import { writeSmallRun } from "./small-run.ts";

const TABLES = {
  a: '{ agent = "llm", model = "m", prompt = { text = "{{ row.n }} {{ history | length }}" } }',
  b: '{ agent = "llm", model = "m", prompt = { text = "{{ row.n }} {{ history | length }}" } }',
  code: '{ agent = "grade.ts" }',
};
const recipeOf = (roles: readonly (keyof typeof TABLES)[], orchestrator: string) => `
name = "limited"
dataset.path = "rows.jsonl"
orchestrator = { ${orchestrator} }
${roles.map((role) => `roles.${role} = ${TABLES[role]}\n`).join("")}
[models.m]
kind = "openai"
model = "x"
base_url = "http://127.0.0.1:9/v1"
price = { prompt = 1000, completion = 1000 }
`;
const LOOP = recipeOf(["a", "b"], 'pattern = "dialogue", speakers = ["a", "b"], max_turns = 20');

async function play(
  folder: string,
  recipe: string,
  endpoint: TestEndpoint,
  ...overrides: readonly string[]
) {
  const path = await writeSmallRun(folder, { recipe, rows: 1 });
  const given = [`models.m.base_url="${endpoint.url}"`, ...overrides];
  const plan = await prepare(path, { overrides: given, env: {}, cwd: folder });
  const directory = join(folder, "run");
  const summary = await runRecipe(plan, { directory });
  return { plan, directory, summary, record: await onlyRecord(directory) };
}

async function onlyRecord(directory: string): Promise<TrajectoryRecord> {
  const records: TrajectoryRecord[] = [];
  for await (const batch of readRecords(directory)) records.push(...batch);
  if (records[0] === undefined || records.length > 1) throw new Error("there is not one record");
  return records[0];
}

const USAGE = { prompt_tokens: 60, completion_tokens: 40 };
const start = () => TestEndpoint.start(answer(completion({ usage: USAGE })));

for (const [limit, words] of [
  ["calls=3", "3 of 3 calls"],
  ["tokens=250", "300 of 250 tokens"],
  ["cost=0.3", "a cost of 0.3 of 0.3"],
] as const)
  test(`a task with the limit ${limit} asks three times and ends with task_limit`, () =>
    withFolder(async (folder) => {
      await using endpoint = await start();
      const { summary, record } = await play(folder, LOOP, endpoint, `run.task_limit.${limit}`);
      expect(endpoint.asked).toHaveLength(3);
      expect(record).toMatchObject({
        status: "failed",
        stop_reason: "task_limit",
        score: null,
        error: {
          code: "task_limit",
          message: `the task has used ${words} (run.task_limit) and would ask a model again`,
          role: "b",
          hop: 3,
        },
        usage: { requests: 3, prompt_tokens: 180, completion_tokens: 120 },
        cost: 0.3,
      });
      expect(record.history).toHaveLength(3);
      expect(summary.stop_reasons).toEqual({ task_limit: 1 });
    }));

test("a task may end with its last call, and roles without a model act after it", () =>
  withFolder(async (folder) => {
    await using endpoint = await start();
    const recipe = recipeOf(["a", "b", "code"], 'pattern = "sequence", roles = ["a", "b", "code"]');
    const { record } = await play(folder, recipe, endpoint, "run.task_limit.calls=2");
    expect([record.status, record.history.length, record.score]).toEqual(["ok", 3, 1]);
  }));

test("an answer that misses its schema is not asked for again past the limit", () =>
  withFolder(async (folder) => {
    await using endpoint = await start();
    const recipe = recipeOf(["a"], 'pattern = "sequence", roles = ["a"]');
    const schema = 'roles.a.schema={ type = "object" }';
    const limited = await play(folder, recipe, endpoint, schema, "run.task_limit.calls=1");
    expect(endpoint.asked).toHaveLength(1);
    expect(limited.record.error).toMatchObject({ code: "task_limit", role: "a" });
    const other = join(folder, "other");
    const free = await play(other, recipe, endpoint, schema, "run.task_limit.calls=2");
    expect(endpoint.asked).toHaveLength(3);
    expect(free.record.error).toMatchObject({ code: "schema_mismatch" });
  }));

const BRANCHES = recipeOf(
  ["a", "code"],
  'pattern = "best-of-n", roles = ["a", "code"], n = 4, parallel = true',
);

for (const [limit, calls, reason] of [
  [2, 2, "task_limit"],
  [3, 3, "task_limit"],
  [4, 4, "completed"],
] as const)
  test(`four branches with ${limit} calls together make ${calls}, and the task ends as ${reason}`, () =>
    withFolder(async (folder) => {
      await using endpoint = await start();
      const { record } = await play(folder, BRANCHES, endpoint, `run.task_limit.calls=${limit}`);
      expect(endpoint.asked).toHaveLength(calls);
      expect(record.stop_reason).toBe(reason);
      // Everything that the branches did is in the record, with its usage.
      expect(record.usage.requests).toBe(calls);
      expect(record.error?.message ?? "").toBe(
        reason === "completed"
          ? ""
          : "the branch, with its share, has used 0 of 0 calls (run.task_limit) and would ask a model again",
      );
    }));

test("a replay of tasks that reached their limit ends them at the same place", () =>
  withFolder(async (folder) => {
    await using endpoint = await start();
    for (const [name, recipe] of [
      ["loop", LOOP],
      ["branches", BRANCHES],
    ] as const) {
      const limit = "run.task_limit.calls=3";
      const { plan, directory, record } = await play(join(folder, name), recipe, endpoint, limit);
      const again = join(folder, name, "again");
      await runRecipe(plan, { directory: again, replay: directory });
      const { history, error, stop_reason, usage, cost } = await onlyRecord(again);
      expect({ error, stop_reason, usage, cost }).toEqual({
        error: record.error,
        stop_reason: "task_limit",
        usage: record.usage,
        cost: record.cost,
      });
      const results = (hops: TrajectoryRecord["history"]) =>
        hops.map(({ role, branch, result }) => [role, branch, result]);
      expect(results(history)).toEqual(results(record.history));
    }
    expect(endpoint.asked).toHaveLength(6);
  }));

test("failed tries are no calls of the task", () =>
  withFolder(async (folder) => {
    await using endpoint = await start();
    let tries = 0;
    endpoint.behaviour = (asked) =>
      (tries++ % 2 === 0 ? answer({}, 500) : answer(completion({ usage: USAGE })))(asked);
    const { record } = await play(folder, LOOP, endpoint, "run.task_limit.calls=2");
    expect(endpoint.asked).toHaveLength(4);
    expect(record.usage).toMatchObject({ requests: 4, failed_requests: 2 });
    expect(record.stop_reason).toBe("task_limit");
  }));
