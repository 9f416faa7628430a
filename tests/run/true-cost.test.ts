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
import { addSpent, NO_USAGE, NOTHING_SPENT, roundMoney } from "../../src/task/spent.ts";
import { answer, type Behaviour, completion, stream, TestEndpoint } from "../model/endpoint.ts";
import { withFolder } from "../parts/folder.ts";
import { HOSTS, startHost } from "./small-cluster.ts";
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

/** The sums of a run's hops, which are those of its records, its report and its manifest. */
async function sumsOf(directory: string) {
  const records = [];
  for await (const batch of readRecords(directory)) records.push(...batch);
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
  const tally = new UsageTally();
  for (const record of records) tally.add(record);
  const { roles, models, tasks } = tally.report;
  for (const lines of [roles, models, [tasks]])
    expect(
      lines.reduce((sum, line) => addSpent(sum, { ...line, cost: line.cost ?? 0 }), NOTHING_SPENT),
    ).toEqual(byHops);
  const { hosts: _, ...noted } = (await readManifest(directory))?.spent ?? { hosts: {} };
  return { records, byHops, noted };
}

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
    const { records, byHops, noted } = await sumsOf(directory);
    expect(records).toHaveLength(30);
    expect(byHops).toMatchObject({ requests: 60, estimated_requests: 12 });
    expect(byHops.stated_cost).toBeGreaterThan(0);
    expect(noted).toEqual(byHops);
    expect(second.spent).toEqual(byHops);
  }));

/** The usage that the endpoint states for each of its answers, good or not. */
const statedFor = (number: number): JsonObject =>
  usages(number) ?? { prompt_tokens: 3, completion_tokens: 2 };

/** Answers that are no use, with what they cost, and good ones between them. */
const faults = (number: number): Behaviour => {
  const usage = statedFor(number);
  const half = { index: 0, delta: { content: "half" }, finish_reason: null };
  const good = answer(completion({ usage }));
  const kinds: readonly Behaviour[] = [
    answer(completion({ usage }, { message: { role: "assistant", content: "" } })),
    good,
    answer(completion({ usage }, { finish_reason: "error" })),
    good,
    stream([{ choices: [half], usage }]),
    answer({ error: { message: "failed" }, usage }),
    good,
  ];
  return kinds[number % kinds.length] ?? answer();
};

for (const workers of [0, 2])
  test(`answers that are no use cost what they state, with ${workers} further hosts, over starts and in a replay`, () =>
    withFolder(async (folder) => {
      await using endpoint = await TestEndpoint.start();
      let asked = 0;
      endpoint.behaviour = (request) => faults(asked++)(request);
      const path = await writeSmallRun(folder, { recipe: RECIPE, rows: 20 });
      const directory = join(folder, "run");
      const planOf = (limit: number) =>
        prepare(path, {
          overrides: [
            ...[`models.m.base_url="${endpoint.url}"`, `dataset.limit=${limit}`],
            ...["models.m.retries=1", "models.m.first_token_timeout=5s", "run.concurrency=10"],
            "run.stop_after=0",
          ],
          env: {},
          cwd: folder,
        });
      const start = async (limit: number) => {
        const plan = await planOf(limit);
        if (workers === 0) return runRecipe(plan, { directory });
        const running = runRecipe(plan, { directory, hosts: HOSTS });
        const hosts = Array.from({ length: workers }, (_, index) =>
          startHost(directory, folder, { id: `host-${index}-${limit}` }),
        );
        const summary = await running;
        await Promise.all(hosts.map(({ done }) => done));
        return summary;
      };
      await start(10);
      const second = await start(20);
      const { records, byHops, noted } = await sumsOf(directory);
      expect(records).toHaveLength(20);
      const stated = Array.from({ length: asked }, (_, number) => statedFor(number));
      const sumOf = (name: string) =>
        stated.reduce((sum, usage) => sum + Number(usage[name] ?? 0), 0);
      expect(byHops).toMatchObject({
        requests: asked,
        prompt_tokens: sumOf("prompt_tokens"),
        completion_tokens: sumOf("completion_tokens"),
        stated_cost: roundMoney(sumOf("cost")),
      });
      expect(noted).toEqual(byHops);
      expect(second.spent).toEqual(byHops);
      expect(records.filter(({ status }) => status === "failed").length).toBeGreaterThan(0);
      const again = join(folder, "again");
      await runRecipe(await planOf(20), { directory: again, replay: directory });
      expect((await sumsOf(again)).byHops).toEqual(byHops);
      expect(endpoint.asked).toHaveLength(asked);
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

test("a budget is used up by answers that are no use", () =>
  withFolder(async (folder) => {
    const usage = { prompt_tokens: 25, completion_tokens: 5 };
    const empty = { message: { role: "assistant", content: "" } };
    await using endpoint = await TestEndpoint.start(answer(completion({ usage }, empty)));
    const path = await writeSmallRun(folder, { recipe: RECIPE, rows: 30 });
    const overrides = [
      ...[`models.m.base_url="${endpoint.url}"`, "models.m.retries=0", "run.stop_after=0"],
      ...["run.budget.tokens=60", "run.concurrency=1"],
    ];
    const plan = await prepare(path, { overrides, env: {}, cwd: folder });
    const summary = await runRecipe(plan, { directory: join(folder, "run") });
    expect(summary).toMatchObject({ state: "stopped", ok: 0, failed: 2 });
    expect(summary.usage).toEqual({
      requests: 2,
      prompt_tokens: 50,
      completion_tokens: 10,
      failed_requests: 2,
    });
    expect(endpoint.asked).toHaveLength(2);
  }));
