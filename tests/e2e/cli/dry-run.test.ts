// Forecasts, beside what the runs then really used.

import { afterAll, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { withFolder } from "../../parts/folder.ts";
import { matrix } from "../../parts/program.ts";
import { CORAL, ROOT } from "../../parts/repository.ts";
import { type CountingEndpoint, serveCounting } from "./counting-endpoint.ts";

interface Range {
  readonly expected: number;
  readonly low: number;
  readonly high: number;
}
interface DryRun {
  readonly tasks: number;
  readonly source: {
    readonly kind: string;
    readonly samples: number;
    readonly models: object;
    readonly left_out: Record<string, number>;
  };
  readonly requests: Range;
  readonly prompt_tokens: Range;
  readonly completion_tokens: Range;
  readonly cost: Range | null;
  readonly time_ms: Range;
  readonly bound_by: string;
  readonly budget: { readonly over: string | null } | null;
  readonly first_prompts: Record<string, readonly { readonly content: string }[] | null>;
}
interface Used {
  readonly usage: {
    readonly requests: number;
    readonly prompt_tokens: number;
    readonly completion_tokens: number;
  };
  readonly cost: number;
}

const PRICED = "models.speaker.price={ prompt = 1, completion = 3 }";
const dryRun = async (...args: string[]): Promise<DryRun> => {
  const { stdout, stderr } = await matrix(["drive", ...args, "--dry-run", "--json"]);
  if (stdout === "") throw new Error(stderr);
  return JSON.parse(stdout) as DryRun;
};
const run = async (directory: string, ...args: string[]): Promise<Used> =>
  JSON.parse(
    (await matrix(["drive", CORAL, "-o", directory, "-q", "--json", PRICED, ...args])).stdout,
  ) as Used;

/** Off by so much, as a fraction of what it was. */
const errorOf = ({ expected }: Range, used: number) => Math.abs(expected - used) / used;

const endpoints: CountingEndpoint[] = [];
afterAll(() => Promise.all(endpoints.map((endpoint) => endpoint.stop())));

test("the forecast of a simulated run with few rows is exact, and makes no directory", () =>
  withFolder(async (folder) => {
    const directory = join(folder, "run");
    const errors = "models.speaker.errors={ rate_limited = 0.1, server_error = 0.05 }";
    const forecast = await dryRun(
      CORAL,
      "-o",
      directory,
      PRICED,
      errors,
      'models.speaker.retry_after="10ms"',
    );
    expect(existsSync(directory)).toBe(false);
    expect(forecast.source).toMatchObject({ kind: "rehearsal", samples: 40 });
    expect(forecast.first_prompts["student"]?.[0]?.content).toContain("You are a student");
    const { usage, cost } = await run(directory, errors, 'models.speaker.retry_after="10ms"');
    expect(usage.requests).toBeGreaterThan(160);
    expect(forecast.requests.expected).toBeCloseTo(usage.requests, 6);
    expect(forecast.prompt_tokens.expected).toBeCloseTo(usage.prompt_tokens, 6);
    expect(forecast.completion_tokens.expected).toBeCloseTo(usage.completion_tokens, 6);
    expect(forecast.cost?.expected).toBeCloseTo(cost, 6);
  }));

test(
  "a forecast from a sample, from another run or from its own first records is within 15 %",
  () =>
    withFolder(async (folder) => {
      const [small, large] = [join(folder, "small"), join(folder, "large")];
      const args = [CORAL, "-o", large, "--trials", "10", PRICED];
      const sampled = await dryRun(...args);
      expect(sampled.source).toMatchObject({ kind: "rehearsal", samples: 100 });
      await run(small);
      const alike = await dryRun(...args, "--like", small);
      expect(alike.source).toMatchObject({ kind: "records", samples: 40 });
      const first = await run(large, "--trials", "2");
      const own = await dryRun(...args);
      expect(own).toMatchObject({ tasks: 320, source: { kind: "records", samples: 80 } });
      const whole = await run(large, "--trials", "10");
      expect(errorOf(sampled.prompt_tokens, whole.usage.prompt_tokens)).toBeLessThan(0.15);
      expect(errorOf(alike.prompt_tokens, whole.usage.prompt_tokens)).toBeLessThan(0.15);
      for (const tokens of ["prompt_tokens", "completion_tokens"] as const) {
        const rest = whole.usage[tokens] - first.usage[tokens];
        expect(errorOf(own[tokens], rest)).toBeLessThan(0.15);
      }
    }),
  60_000,
);

test("the forecast for a served model uses what the recipe states, says what it assumes, and asks no endpoint", () =>
  withFolder(async (folder) => {
    const endpoint = serveCounting();
    endpoints.push(endpoint);
    const recipe = join(folder, "recipe.toml");
    await writeFile(join(folder, "rows.jsonl"), '{"q": "one"}\n'.repeat(50));
    const model = `kind = "openai"\nbase_url = "${endpoint.url}"\nmodel = "x"`;
    const write = (more: string) =>
      writeFile(
        recipe,
        `name = "served"\ndataset.path = "rows.jsonl"\nrun.concurrency = 10\n[models.m]\n${model}\n${more}\n[roles.a]\nagent = "llm"\nmodel = "m"\nprompt = { text = "{{ row.q }}" }\n[orchestrator]\npattern = "sequence"\nroles = ["a", "a"]\n`,
      );
    await write('expect = { output_tokens = 100, latency = "1s", tokens_per_second = 100 }');
    const stated = await dryRun(recipe);
    expect(stated.source.models).toEqual({ m: "as models.m.expect says" });
    expect(stated.requests.expected).toBe(100);
    // 50 tasks of two answers of two seconds each, ten at once.
    expect(stated.time_ms.expected).toBeGreaterThan(18_000);
    expect(stated.time_ms.expected).toBeLessThan(22_000);
    expect(stated.bound_by).toBe("run.concurrency = 10");
    await write("rpm = 60");
    const limited = await dryRun(recipe);
    expect(limited.source.models).toEqual({
      m: "ASSUMED output_tokens, latency, tokens_per_second: state models.m.expect",
    });
    expect(limited).toMatchObject({
      bound_by: "models.m.rpm = 60",
      time_ms: { expected: 100_000 },
    });
    expect(endpoint.arrivals).toEqual([]);

    // A length that the recipe does not state ends no task and makes no budget sufficient.
    await write("price = { prompt = 1, completion = 1 }");
    const tight = [recipe, "roles.a.sampling.max_tokens=10", "run.budget.tokens=1"];
    const assumed = await dryRun(...tight);
    expect(assumed.requests.expected).toBe(100);
    expect(assumed.completion_tokens.expected).toBeLessThanOrEqual(1000);
    expect(assumed.budget?.over).toBeNull();
    const { code, stdout } = await matrix(["drive", ...tight, "--dry-run"]);
    expect(code).toBe(0);
    expect(stdout).toContain("of 1 tokens: UNKNOWN (output_tokens assumed: set expect)");
    // A value that is the same in every case is one number, and the figures come last.
    expect(stdout).toMatch(/^requests {4}100$/m);
    expect(stdout.indexOf("first prompt of a")).toBeLessThan(stdout.indexOf("served: a forecast"));
    await write("expect = { output_tokens = 100 }");
    // One that is stated does: the first of two answers is cut.
    expect((await dryRun(recipe, "roles.a.sampling.max_tokens=10")).requests.expected).toBe(50);
  }));

test("records of a run with other roles are refused as the base of a forecast", () =>
  withFolder(async (folder) => {
    const directory = join(folder, "run");
    await run(directory, "--limit", "5");
    const other = [
      "drive",
      join(ROOT, "recipes/natural-reasoning.toml"),
      "--dry-run",
      "--like",
      directory,
    ];
    const { code, stderr } = await matrix(other);
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /--like \S+ is a run of other roles: its llm roles are student, teacher, those of the recipe are /,
    );
  }));

test("a forecast starts no sandbox, and says which roles it leaves out", async () => {
  const { source } = await dryRun(join(ROOT, "recipes/tau2.toml"), "--limit", "10");
  expect(source.left_out).toEqual({ "tool-executor": 10 });
  const { stdout } = await matrix([
    "drive",
    join(ROOT, "recipes/tau2.toml"),
    "--limit",
    "10",
    "--dry-run",
  ]);
  expect(stdout.trimEnd()).toMatch(
    /\nwithout {5}tool-executor and what comes after: THESE FIGURES LEAVE IT OUT$/,
  );
});

test("a dry run exits with 2 when the forecast and what was spent exceed the budget", () =>
  withFolder(async (folder) => {
    const directory = join(folder, "run");
    const enough = await matrix([
      "drive",
      CORAL,
      "--dry-run",
      "-o",
      directory,
      PRICED,
      "run.budget.money=0.06",
    ]);
    expect(enough.code).toBe(0);
    expect(enough.stdout).toContain("0.0512 of 0.06 in money: enough");
    await run(directory, "run.budget.money=0.06");
    const more = await matrix([
      "drive",
      CORAL,
      "--dry-run",
      "-o",
      directory,
      PRICED,
      "run.budget.money=0.06",
      "--trials",
      "2",
    ]);
    expect(more.code).toBe(2);
    expect(more.stderr).toMatch(/the run would go over run\.budget: 0\.1\d+ of 0\.06 in money/);
    expect(more.stderr).toContain("raise run.budget");
  }));
