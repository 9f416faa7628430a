// Forecasts of small runs: where their samples come from, and what they say.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { planStandIn } from "../../../src/model/stand-in.ts";
import type { Range } from "../../../src/run/forecast/forecast.ts";
import { type ForecastOptions, forecastRun, SELF } from "../../../src/run/forecast/forecast-run.ts";
import { prepare } from "../../../src/run/prepare.ts";
import { runRecipe } from "../../../src/run/run-recipe.ts";
import { withFolder } from "../../parts/folder.ts";
import { prepareSmallRun, type SmallRun, writeSmallRun } from "../small-run.ts";

const PRICE = ["models.m.price={ prompt = 1000, completion = 2000 }"];
const served = (more: string) =>
  `models.m={kind="openai", model="x", base_url="http://127.0.0.1:9/v1"${more}}`;

async function foresee(folder: string, small: SmallRun = {}, more: Partial<ForecastOptions> = {}) {
  const path = await writeSmallRun(folder, small);
  const { overrides = [] } = small;
  const plan = await prepare(path, { overrides, env: {}, cwd: folder, planModel: planStandIn });
  const options = { directory: join(folder, "run"), like: null, hosts: 1, fresh: false, ...more };
  return forecastRun(plan, options);
}

const play = async (folder: string, small: SmallRun = {}) =>
  runRecipe(await prepareSmallRun(folder, small), { directory: join(folder, "run") });

test("the forecast of a simulated run is what the run then uses, and writes nothing", () =>
  withFolder(async (folder) => {
    const small = { rows: 6, overrides: [...PRICE, "run.concurrency=2", "run.trials=2"] };
    const made = await foresee(folder, small);
    expect(existsSync(join(folder, "run"))).toBe(false);
    const { usage, cost } = await play(folder, small);
    const exact = (value: number) => ({ expected: value, low: value, high: value });
    expect(made).toMatchObject({
      ...{ name: "small", simulated: true, tasks: 12, recorded: 0, budget: null },
      source: {
        ...{ kind: "rehearsal", directory: null, samples: 12 },
        ...{ models: { m: SELF }, assumes_length: false, left_out: {} },
      },
      requests: exact(12),
      prompt_tokens: exact(usage.prompt_tokens),
      completion_tokens: exact(usage.completion_tokens),
      first_prompts: {
        student: [{ role: "user", content: "What is 0 + 0?" }],
        grader: null,
      },
    });
    expect(made.cost?.expected).toBeCloseTo(cost ?? 0, 6);
    expect(made.bound_by).toBe("run.concurrency = 2");
  }));

test("a forecast counts the tasks that are not recorded yet, or all of them for a fresh run", () =>
  withFolder(async (folder) => {
    await play(folder, { rows: 2 });
    const small = { rows: 2, overrides: ["run.trials=3"] };
    expect(await foresee(folder, small)).toMatchObject({ tasks: 4, recorded: 2 });
    expect(await foresee(folder, small, { fresh: true })).toMatchObject({ tasks: 6, recorded: 0 });
    expect(await foresee(folder, { rows: 2 })).toMatchObject({
      ...{ tasks: 0, recorded: 2, requests: { expected: 0, low: 0, high: 0 } },
    });
  }));

test("a forecast of a shard without a row is nothing at all", () =>
  withFolder(async (folder) => {
    const made = await foresee(folder, { rows: 1, overrides: ['dataset.shard="1/2"', ...PRICE] });
    const nothing = { expected: 0, low: 0, high: 0 };
    expect(made).toMatchObject({
      ...{ tasks: 0, recorded: 0, source: { kind: "rehearsal", samples: 0 }, cost: null },
      ...{ requests: nothing, tokens: nothing, time_ms: nothing },
      roles: [{ name: "student", requests: 0, prompt_tokens: 0, completion_tokens: 0 }],
    });
  }));

test("records that failed or were lost are no tasks any more", () =>
  withFolder(async (folder) => {
    await play(folder, { rows: 3 });
    const path = join(folder, "run", "manifest.json");
    const manifest = JSON.parse(await readFile(path, "utf8"));
    await writeFile(path, JSON.stringify({ ...manifest, ok: 1, failed: 1, lost: 1 }));
    const small = { rows: 3, overrides: ["run.trials=2"] };
    expect(await foresee(folder, small)).toMatchObject({ tasks: 3, recorded: 3 });
  }));

test("a forecast uses five records of its own run or more, and a rehearsal when there are fewer", () =>
  withFolder(async (folder) => {
    const kindOf = async (rows: number) => {
      const own = join(folder, String(rows));
      await play(own, { rows });
      const { source } = await foresee(own, { rows, overrides: ["run.trials=2"] });
      return [source.kind, source.samples, source.directory === join(own, "run")];
    };
    expect(await kindOf(4)).toEqual(["rehearsal", 8, false]);
    expect(await kindOf(5)).toEqual(["records", 5, true]);
  }));

test("a forecast is exact only for tasks that were rehearsed with models that repeat", () =>
  withFolder(async (folder) => {
    const questions = ["a", "a b", "a b c", "a b c d", "a b c d e"];
    const files = {
      "rows.jsonl": questions.map((question, n) => `${JSON.stringify({ n, question })}\n`).join(""),
    };
    const isExact = ({ prompt_tokens: { low, high } }: { prompt_tokens: Range }) => low === high;
    expect(isExact(await foresee(folder, { files }))).toBe(true);
    const stated = served(", expect={ output_tokens=9 }").replace("models.m=", "models.s=");
    const overrides = [
      stated,
      'roles.second={agent="llm", model="s", prompt={ text="{{ row.question }}" }}',
      'orchestrator.roles=["student", "second", "grader"]',
    ];
    expect(isExact(await foresee(folder, { files, overrides }))).toBe(false);
    await play(folder, { files });
    const trials = { files, overrides: ["run.trials=2"] };
    const recorded = await foresee(folder, trials);
    expect(recorded).toMatchObject({ source: { kind: "records", samples: 5 }, tasks: 5 });
    expect(isExact(recorded)).toBe(false);
  }));

test("a forecast from another run's records uses today's prices", () =>
  withFolder(async (folder) => {
    const like = join(folder, "other", "run");
    const { usage } = await play(join(folder, "other"), { rows: 10 });
    const made = await foresee(folder, { rows: 20, overrides: PRICE }, { like });
    expect(made.source).toMatchObject({ kind: "records", directory: like, samples: 10 });
    expect(made.source.models).toEqual({});
    expect(made.tasks).toBe(20);
    expect(made.prompt_tokens.expected).toBeCloseTo(2 * usage.prompt_tokens, 6);
    expect(made.completion_tokens.expected).toBeCloseTo(2 * usage.completion_tokens, 6);
    const cost = 2 * (usage.prompt_tokens * 1000 + usage.completion_tokens * 2000);
    expect(made.cost?.expected).toBeCloseTo(cost / 1e6, 6);
    // Samples of another run are never exact.
    expect(made.requests.high).toBe(20);
    expect(made.prompt_tokens.high).toBeGreaterThanOrEqual(made.prompt_tokens.expected);
  }));

test("a path without a run, and a run with too few records or other roles, is refused as --like", () =>
  withFolder(async (folder) => {
    const refusal = async (like: string, overrides: readonly string[] = []) =>
      foresee(folder, { overrides }, { like }).then(
        () => null,
        ({ code, message }) => `${code}: ${message}`,
      );
    expect(await refusal(folder)).toBe(
      `usage: --like ${folder} is not a run directory: it has no manifest.json`,
    );
    const small = join(folder, "small", "run");
    await play(join(folder, "small"), { rows: 4 });
    expect(await refusal(small)).toBe(
      `usage: --like ${small} has 4 records, and a forecast needs at least 5`,
    );
    const silent = ['roles.student={agent="grade.ts"}', 'models.m={kind="simulated"}'];
    expect(await refusal(small, silent)).toBe(
      `usage: --like ${small} is a run of other roles: its llm roles are student, those of the recipe are none`,
    );
  }));

test("a served model is forecast as its expect table says", () =>
  withFolder(async (folder) => {
    const stated = served(
      ', expect={ output_tokens=100, latency="1s", tokens_per_second=100 }, price={ prompt=0, completion=1000000 }',
    );
    const overrides = [stated, "run.budget={ tokens=10 }"];
    const made = await foresee(folder, { rows: 4, overrides });
    expect(made.simulated).toBe(false);
    expect(made.source).toMatchObject({
      models: { m: "as models.m.expect says" },
      assumes_length: false,
    });
    expect(made.completion_tokens.expected).toBe(400);
    expect(made.cost?.expected).toBe(400);
    // One second until the first token, and one for the others.
    expect(made.time_ms.expected).toBeGreaterThan(1900);
    expect(made.time_ms.expected).toBeLessThan(2100);
  }));

test("a served model whose expect table is not whole is assumed, and named with what it lacks", () =>
  withFolder(async (folder) => {
    const models = async (more: string) => {
      const { source } = await foresee(folder, { overrides: [served(more)] });
      return [source.models["m"], source.assumes_length];
    };
    expect(await models("")).toEqual([
      "ASSUMED output_tokens, latency, tokens_per_second: state models.m.expect",
      true,
    ]);
    expect(await models(", expect={ output_tokens=9 }")).toEqual([
      "ASSUMED latency, tokens_per_second: state models.m.expect",
      false,
    ]);
  }));

test("lengths are assumed when one model of several states none", () =>
  withFolder(async (folder) => {
    const stated = served(", expect={ output_tokens=9 }").replace("models.m=", "models.stated=");
    const unstated = served("").replace("models.m=", "models.unstated=");
    const asks = (model: string) =>
      `roles.${model}={agent="llm", model="${model}", prompt={ text="hi" }}`;
    const assumes = async (...models: readonly string[]) => {
      const roles = ["student", "grader", ...models];
      const overrides = [
        ...[stated, unstated, ...models.map(asks)],
        `orchestrator.roles=${JSON.stringify(roles)}`,
      ];
      return (await foresee(folder, { overrides })).source.assumes_length;
    };
    expect(await assumes("stated")).toBe(false);
    expect(await assumes("unstated")).toBe(true);
    expect(await assumes("stated", "unstated")).toBe(true);
  }));

test("a model that no role asks is left out of a forecast", () =>
  withFolder(async (folder) => {
    const unused = served("").replace("models.m", "models.unused");
    const { source } = await foresee(folder, { overrides: [unused] });
    expect([source.models, source.assumes_length]).toEqual([{ m: SELF }, false]);
  }));

test("a forecast says by how much a budget is too small, unless lengths are assumed", () =>
  withFolder(async (folder) => {
    const over = async (budget: string, ...overrides: readonly string[]) => {
      const small = { rows: 4, overrides: [...overrides, `run.budget=${budget}`] };
      return (await foresee(folder, small)).budget;
    };
    const nothing = { requests: 0, prompt_tokens: 0, completion_tokens: 0, cost: 0 };
    const { prompt_tokens, completion_tokens } = await foresee(folder, { rows: 4 });
    const tokens = prompt_tokens.expected + completion_tokens.expected;
    expect(await over(`{ tokens=${tokens} }`)).toEqual({
      ...{ tokens, spent: nothing, over: `${tokens} of ${tokens} tokens` },
    });
    expect(await over(`{ tokens=${tokens + 1} }`)).toMatchObject({ over: null });
    expect((await over("{ money=0.001 }", ...PRICE))?.over).toMatch(
      /^\d\.\d{4} of 0\.001 in money$/,
    );
    expect(await over("{ tokens=1 }", served(""))).toMatchObject({ over: null });
  }));

test("what earlier starts have spent counts against the budget", () =>
  withFolder(async (folder) => {
    const { usage } = await play(folder, { rows: 4 });
    const spent = usage.prompt_tokens + usage.completion_tokens;
    const overrides = [`run.budget={ tokens=${spent} }`];
    const { budget } = await foresee(folder, { rows: 4, overrides });
    expect(budget).toMatchObject({
      spent: { ...usage, cost: 0 },
      over: expect.stringContaining(" tokens"),
    });
    const more = [`run.budget={ tokens=${spent + 1} }`];
    expect((await foresee(folder, { rows: 4, overrides: more })).budget?.over).toBeNull();
  }));

test("more hosts make a run faster that its slots hold up", () =>
  withFolder(async (folder) => {
    const overrides = ["roles.student.concurrency=1", 'models.m.latency="1s"'];
    const one = await foresee(folder, { rows: 4, overrides });
    const four = await foresee(folder, { rows: 4, overrides }, { hosts: 4 });
    expect(one.bound_by).toBe("roles.student.concurrency");
    expect(one.time_ms.expected).toBeGreaterThan(3.9 * four.time_ms.expected);
  }));

test("a rate and the requests in flight of a model can hold a run up", () =>
  withFolder(async (folder) => {
    const bound = async (...overrides: readonly string[]) =>
      (await foresee(folder, { rows: 4, overrides })).bound_by;
    expect(await bound("models.m.rpm=1", "run.concurrency=1")).toBe("models.m.rpm = 1");
    expect(await bound("models.m.tpm=1")).toBe("models.m.tpm = 1");
    expect(await bound("models.m.concurrency=1", 'models.m.latency="1s"')).toBe(
      "models.m.concurrency",
    );
  }));
