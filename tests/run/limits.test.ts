// Rates and budgets of a recipe, and what can be known of them before anything is spent.

import { expect, test } from "bun:test";
import { loadRecipe } from "../../src/recipe/load.ts";
import { boundOf, limitProblems, ratesOf, requestsOf } from "../../src/run/limits.ts";
import { withFolder } from "../parts/folder.ts";
import { prepareSmallRun, writeSmallRun } from "./small-run.ts";

const load = async (folder: string, ...overrides: readonly string[]) =>
  loadRecipe(await writeSmallRun(folder), { overrides, env: {}, cwd: folder });
const served = (more: string) =>
  `models.s={kind="openai", model="x", base_url="http://127.0.0.1:9/v1"${more}}`;

test("rates are those of models that state rpm or tpm", () =>
  withFolder(async (folder) => {
    const { recipe } = await load(
      folder,
      ...["models.a={kind='simulated', rpm=60}", "models.b={kind='simulated', tpm=1000}"],
      'models.c={kind="scripted", replies="rows.jsonl"}',
      served(", rpm=5, tpm=6"),
    );
    expect([...ratesOf(recipe)]).toEqual([
      ["a", { rpm: 60, tpm: undefined }],
      ["b", { rpm: undefined, tpm: 1000 }],
      ["s", { rpm: 5, tpm: 6 }],
    ]);
  }));

test("a host sends each replica that the recipe lists as many requests as the model's concurrency", () =>
  withFolder(async (folder) => {
    const of = async (override: string, name = "s") => {
      const { recipe } = await load(folder, override);
      const config = recipe.models[name];
      if (config === undefined) throw new Error("the recipe has it");
      return requestsOf(config);
    };
    expect(await of(served(", concurrency=7"))).toBe(7);
    const two = '["http://a.test/v1", "http://b.test/v1"]';
    expect(await of(`models.s={kind="openai", model="x", base_url=${two}, concurrency=7}`)).toBe(
      14,
    );
    const file = '{ file = "replicas.txt" }';
    expect(await of(`models.s={kind="openai", model="x", base_url=${file}, concurrency=7}`)).toBe(
      7,
    );
    expect(await of("models.m.concurrency=3", "m")).toBe(3);
  }));

for (const [name, overrides, bound] of [
  ["by no limit that it does not state", [], null],
  ["by no limit that is as large", ["roles.student.concurrency=5000"], null],
  [
    "by its own limit",
    ["roles.student.concurrency=4999"],
    { steps: 4999, key: "roles.student.concurrency" },
  ],
  ["by its model's limit", ["models.m.concurrency=7"], { steps: 7, key: "models.m.concurrency" }],
  [
    "by the lower limit of the two",
    ["models.m.concurrency=7", "roles.student.concurrency=6"],
    { steps: 6, key: "roles.student.concurrency" },
  ],
  [
    "by the limits of all replicas that are listed",
    [
      'models.s={kind="openai", model="x", base_url=["http://a/v1", "http://b/v1"], concurrency=20}',
      'roles.student.model="s"',
    ],
    { steps: 40, key: "models.s.concurrency" },
  ],
  [
    "by no limit of replicas that are found in the run",
    [
      'models.s={kind="openai", model="x", base_url={ dns = "http://a/v1" }, concurrency=20}',
      'roles.student.model="s"',
    ],
    null,
  ],
] as const) {
  test(`a role of a run with 5,000 tasks in flight is bound ${name}`, () =>
    withFolder(async (folder) => {
      const { recipe } = await load(folder, "run.concurrency=5000", ...overrides);
      expect(boundOf(recipe, "student")).toEqual(bound);
    }));
}

test("a budget of money needs the price of each model that a role asks", () =>
  withFolder(async (folder) => {
    const problems = async (...overrides: readonly string[]) =>
      limitProblems(await load(folder, ...overrides)).map(({ key, message }) => [key, message]);
    expect(await problems("run.budget.money=1", served(""))).toEqual([
      [
        "models.m",
        "run.budget.money needs the price of every model in use: set models.m.price = { prompt = …, completion = … }",
      ],
    ]);
    expect(await problems("run.task_limit.cost=1", served(""))).toEqual([
      [
        "models.m",
        "run.task_limit.cost needs the price of every model in use: set models.m.price = { prompt = …, completion = … }",
      ],
    ]);
    expect(await problems("run.task_limit.calls=1", served(""))).toEqual([]);
    expect(await problems("run.budget.money=1", "models.m.price={prompt=0, completion=1}")).toEqual(
      [],
    );
    expect(await problems("run.budget.tokens=1")).toEqual([]);
    expect(await problems()).toEqual([]);
  }));

test("steps that would wait for a permit longer than their timeout are a problem", () =>
  withFolder(async (folder) => {
    // 30 steps wait for 60 requests a minute: the last one for 30 s.
    const problems = async (...overrides: readonly string[]) => {
      const all = ["run.concurrency=30", "models.m.rpm=60", ...overrides];
      return limitProblems(await load(folder, ...all)).map(({ key, message }) => [key, message]);
    };
    const message = (steps: number, most: number) =>
      `${steps} steps of student at 60 requests a minute take longer than one of them may ` +
      `(roles.student.timeout): set run.concurrency to ${most} or less, or a longer timeout`;
    expect(await problems('roles.student.timeout="30s"')).toEqual([
      ["models.m.rpm", message(30, 29)],
    ]);
    expect(await problems('roles.student.timeout="30001ms"')).toEqual([]);
    expect(await problems('roles.student.timeout="10s"')).toEqual([
      ["models.m.rpm", message(30, 9)],
    ]);
    expect(await problems('roles.student.timeout="500ms"')).toEqual([
      ["models.m.rpm", message(30, 1)],
    ]);
    // Whatever bounds the steps that wait makes them fewer.
    for (const fewer of ["roles.student.concurrency=9", "models.m.concurrency=9"])
      expect(await problems('roles.student.timeout="10s"', fewer)).toEqual([]);
    expect(await problems("run.concurrency=9", 'roles.student.timeout="10s"')).toEqual([]);
    // The grader asks no model.
    expect(await problems('roles.grader.timeout="1ms"')).toEqual([]);
  }));

test("a model without a rate makes no step wait", () =>
  withFolder(async (folder) => {
    const plan = await prepareSmallRun(folder, { overrides: ['roles.student.timeout="1ms"'] });
    expect(limitProblems(plan.loaded)).toEqual([]);
  }));
