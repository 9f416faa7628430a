// What a run costs, counted once: hops, records, report, summary and manifest agree to the last
// digit, in one process and over starts.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { UsageTally } from "../../src/cli/text/usage.ts";
import { contradictionsIn } from "../../src/records/check-record.ts";
import { readManifest } from "../../src/records/manifest.ts";
import { readRecords } from "../../src/records/read-records.ts";
import { prepare } from "../../src/run/prepare.ts";
import { runRecipe } from "../../src/run/run-recipe.ts";
import type { JsonObject } from "../../src/task/json.ts";
import { addSpent, NO_USAGE, NOTHING_SPENT } from "../../src/task/spent.ts";
import { answer, completion, TestEndpoint } from "../model/endpoint.ts";
import { withFolder } from "../parts/folder.ts";
import { writeSmallRun } from "./small-run.ts";

const RECIPE = `
name = "paid"
dataset.path = "rows.jsonl"
roles.a = { agent = "llm", model = "m", prompt = { text = "{{ row.n }}" } }
roles.b = { agent = "llm", model = "m", prompt = { text = "{{ row.n }} again" } }
orchestrator = { pattern = "sequence", roles = ["a", "b"] }

[models.m]
kind = "openai"
model = "x"
base_url = "http://127.0.0.1:9/v1"
price = { prompt = 0.37, completion = 1.13, cached = 0.031, cache_write = 0.41, reasoning = 1.7 }
`;

/** Usages of successive answers, with and without a cost or counts of the endpoint's own. */
const usages = (number: number): JsonObject | null =>
  number % 5 === 4
    ? null
    : {
        prompt_tokens: 1000 + 37 * number,
        completion_tokens: 50 + number,
        prompt_tokens_details: { cached_tokens: 900 + number, cache_write_tokens: 7 },
        completion_tokens_details: { reasoning_tokens: 11 + number },
        ...(number % 3 === 2 ? { cost: 0.0001234 * number } : {}),
      };

test("the costs of hops, records, report, summary and manifest agree exactly, also when a run goes on", () =>
  withFolder(async (folder) => {
    await using endpoint = await TestEndpoint.start();
    let asked = 0;
    endpoint.behaviour = (request) => answer(completion({ usage: usages(asked++) }))(request);
    const path = await writeSmallRun(folder, { recipe: RECIPE, rows: 30 });
    const directory = join(folder, "run");
    const start = async (limit: number) =>
      runRecipe(
        await prepare(path, {
          overrides: [`models.m.base_url="${endpoint.url}"`, `dataset.limit=${limit}`],
          env: {},
          cwd: folder,
        }),
        { directory },
      );
    const first = await start(20);
    const second = await start(30);
    expect([first.state, second.state, second.recorded_before]).toEqual([
      "complete",
      "complete",
      20,
    ]);
    const records = [];
    for await (const batch of readRecords(directory)) records.push(...batch);
    expect(records).toHaveLength(30);
    expect(records.flatMap(contradictionsIn)).toEqual([]);
    const byHops = records
      .flatMap(({ history }) => history)
      .reduce(
        (sum, { usage = NO_USAGE, cost = 0 }) => addSpent(sum, { ...usage, cost }),
        NOTHING_SPENT,
      );
    const byRecords = records.reduce(
      (sum, { usage, cost }) => addSpent(sum, { ...usage, cost: cost ?? 0 }),
      NOTHING_SPENT,
    );
    expect(byRecords).toEqual(byHops);
    expect(byHops).toMatchObject({ requests: 60, estimated_requests: 12 });
    expect(byHops.stated_cost).toBeGreaterThan(0);
    const tally = new UsageTally();
    for (const record of records) tally.add(record);
    const { roles, models, tasks } = tally.report;
    for (const lines of [roles, models, [tasks]])
      expect(
        lines.reduce(
          (sum, line) => addSpent(sum, { ...line, cost: line.cost ?? 0 }),
          NOTHING_SPENT,
        ),
      ).toEqual(byHops);
    const { hosts: _, ...noted } = (await readManifest(directory))?.spent ?? { hosts: {} };
    expect(noted).toEqual(byHops);
    expect(second.spent).toEqual(byHops);
  }));

test("a budget holds with an endpoint that counts no tokens, by estimates", () =>
  withFolder(async (folder) => {
    await using endpoint = await TestEndpoint.start(answer(completion({ usage: null })));
    const path = await writeSmallRun(folder, { recipe: RECIPE, rows: 30 });
    const overrides = [
      `models.m.base_url="${endpoint.url}"`,
      ...["run.budget.tokens=60", "run.concurrency=1"],
    ];
    const plan = await prepare(path, { overrides, env: {}, cwd: folder });
    const { state, ok, spent, usage } = await runRecipe(plan, { directory: join(folder, "run") });
    // Two requests of a task: prompts of 5 and 6 tokens, and an answer of one token each.
    expect([state, ok]).toEqual(["stopped", 5]);
    expect(spent.prompt_tokens + spent.completion_tokens).toBe(65);
    expect(usage).toEqual({
      requests: 10,
      prompt_tokens: 55,
      completion_tokens: 10,
      estimated_requests: 10,
    });
  }));
