// What a recipe becomes: layers, overrides, environment, paths, and a resolved text that is itself the recipe.

import { describe, expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { recipeDifferences } from "../../src/recipe/difference.ts";
import { compileExpression } from "../../src/recipe/expression.ts";
import { loadRecipe } from "../../src/recipe/load.ts";
import { parseDuration } from "../../src/recipe/unit.ts";
import { withFolder } from "../parts/folder.ts";

const BASE = `name = "base"
dataset.path = "d.jsonl"
[models.m]
kind = "simulated"
latency = "1s"
[roles.a]
agent = "llm"
model = "m"
prompt = "p.md"
sampling = { temperature = 1.0, stop = ["x"] }
[orchestrator]
pattern = "sequence"
roles = ["a"]
`;

const load = (
  path: string,
  overrides: string[] = [],
  env: Record<string, string> = {},
  cwd = "/",
) => loadRecipe(path, { overrides, env, cwd });

async function withRecipes<T>(
  files: Record<string, string>,
  use: (folder: string) => Promise<T>,
): Promise<T> {
  return withFolder(async (folder) => {
    await mkdir(join(folder, "sub"));
    for (const [name, text] of Object.entries({
      "base.toml": BASE,
      "p.md": "Q",
      "sub/p.md": "Q",
      ...files,
    }))
      await writeFile(join(folder, name), text);
    return use(folder);
  });
}

describe("a recipe", () => {
  test("extends others left to right: tables merge, lists replace", () =>
    withRecipes(
      {
        "more.toml": "run.seed = 1\nrun.trials = 2\n",
        "top.toml":
          'extends = ["base.toml", "more.toml"]\nname = "top"\nrun.seed = 5\nroles.a.sampling = { top_p = 0.5, stop = ["y"] }\n',
      },
      async (folder) => {
        const { recipe } = await load(join(folder, "top.toml"));
        expect(recipe.name).toBe("top");
        expect(recipe.run).toMatchObject({ seed: 5, trials: 2, concurrency: 100 });
        expect(recipe.roles["a"]?.sampling).toEqual({ temperature: 1, top_p: 0.5, stop: ["y"] });
      },
    ));

  test("resolves paths where they are written, in files and on the command line", () =>
    withRecipes(
      { "sub/top.toml": 'extends = "../base.toml"\n[roles.a]\nsystem = "p.md"\n' },
      async (folder) => {
        const { recipe } = await load(
          join(folder, "sub/top.toml"),
          ["dataset.path=mine.jsonl"],
          {},
          "/elsewhere",
        );
        expect(recipe.roles["a"]).toMatchObject({
          prompt: join(folder, "p.md"),
          system: join(folder, "sub/p.md"),
        });
        expect(recipe.dataset.path).toBe("/elsewhere/mine.jsonl");
      },
    ));

  test("takes overrides with TOML values, and bare words as text", () =>
    withRecipes({}, async (folder) => {
      const overrides = [
        "run.concurrency=500",
        "name=other",
        'models.m.latency={ kind = "uniform", min = "1s", max = "2s" }',
        "dataset.shuffle=true",
        "run.timeout=5m",
      ];
      const { recipe } = await load(join(folder, "base.toml"), overrides);
      expect(recipe).toMatchObject({
        name: "other",
        run: { concurrency: 500, timeout: 300_000 },
        dataset: { shuffle: true },
      });
      expect(recipe.models["m"]).toMatchObject({
        latency: { kind: "uniform", min: 1000, max: 2000 },
      });
    }));

  test("replaces a table whose kind changes, so that old keys do not linger", () =>
    withRecipes({}, async (folder) => {
      const overrides = [
        "models.m.kind=openai",
        "models.m.base_url=http://localhost:1/v1",
        "models.m.model=x",
      ];
      const { recipe } = await load(join(folder, "base.toml"), overrides);
      expect(recipe.models["m"]).toMatchObject({ kind: "openai", model: "x" });
      expect(recipe.models["m"]).not.toHaveProperty("latency");
    }));

  test("fills in the environment, also where a number is wanted, but never writes a secret down", () =>
    withRecipes({}, async (folder) => {
      const overrides = [
        "run.seed=${env:SEED}",
        "name=run-${env:WHO:-nobody}",
        "models.m.kind=openai",
        "models.m.base_url=http://localhost:1/v1",
        "models.m.model=x",
        "models.m.api_key=${env:KEY}",
        'models.m.headers={ Authorization = "Bearer ${env:KEY}" }',
      ];
      const { recipe, text } = await load(join(folder, "base.toml"), overrides, {
        SEED: "7",
        KEY: "hunter2",
      });
      expect(recipe).toMatchObject({ name: "run-nobody", run: { seed: 7 } });
      expect(recipe.models["m"]).toMatchObject({
        api_key: "hunter2",
        headers: { Authorization: "Bearer hunter2" },
      });
      expect(text).not.toContain("hunter2");
      expect(text).toContain("Bearer ${env:KEY}");
    }));

  test("resolves to a text that is the same recipe again", () =>
    withRecipes({}, async (folder) => {
      const first = await load(join(folder, "base.toml"), ["run.seed=3"]);
      await writeFile(join(folder, "sub/again.toml"), first.text);
      const again = await load(join(folder, "sub/again.toml"));
      expect(again.recipe).toEqual(first.recipe);
      expect(recipeDifferences(first.resolved, again.resolved)).toEqual([]);
    }));

  test("tells apart what a continued run may change, may raise, and may not touch", () => {
    const before = {
      run: { trials: 2, seed: 1, concurrency: 5 },
      dataset: { limit: 10 },
      models: { m: { headers: { a: "1" }, price: { prompt: 1 } } },
    };
    const now = {
      run: { trials: 3, seed: 2 },
      dataset: {},
      models: { m: { headers: { a: "2" }, price: { prompt: 2 } } },
    };
    const kinds = Object.fromEntries(
      recipeDifferences(before, now).map(({ key, kind }) => [key, kind]),
    );
    expect(kinds).toEqual({
      "run.trials": "grows",
      "run.seed": "conflict",
      "run.concurrency": "free",
      "dataset.limit": "grows",
      "models.m.headers.a": "free",
      "models.m.price.prompt": "free",
    });
    expect(recipeDifferences(now, before).find(({ key }) => key === "run.trials")?.kind).toBe(
      "shrinks",
    );
  });
});

describe("a duration", () => {
  test("is a number with a unit", () => {
    expect(["90s", "1.5h", "500ms", "2m", "1d"].map(parseDuration)).toEqual([
      90_000, 5_400_000, 500, 120_000, 86_400_000,
    ]);
    expect(["90", "s", "-1s", "1 parsec", ""].map(parseDuration)).toEqual([
      null,
      null,
      null,
      null,
      null,
    ]);
  });
});

describe("an expression", () => {
  const evaluate = (
    source: string,
    variables: Parameters<ReturnType<typeof compileExpression>>[0],
  ) => compileExpression(source)(variables);

  test("knows one kind of number, as JSON does", () => {
    expect(evaluate("row.n % 2 == 0 && row.n > 1 && row.n * 2 + 1 == 5.0", { row: { n: 2 } })).toBe(
      true,
    );
    expect(evaluate("size(row.items) + row.n", { row: { items: [1, 2], n: 0.5 } })).toBe(2.5);
  });

  test("is strict about missing keys, and has() asks for them", () => {
    expect(() => evaluate("row.lang == 'en'", { row: {} })).toThrow(
      "the expression `row.lang == 'en'` fails: No such key: lang",
    );
    expect(evaluate("has(row.lang) && row.lang == 'en'", { row: {} })).toBe(false);
  });
});
