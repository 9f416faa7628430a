// Loading: from files and overrides to a typed recipe, with every problem at the place that wrote
// it.

import { describe, expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { MatrixError, type Problem } from "../../src/error.ts";
import { recipeDifferences } from "../../src/recipe/difference.ts";
import { loadModel, loadRecipe } from "../../src/recipe/load.ts";
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
    const all = { "base.toml": BASE, "p.md": "Q", "sub/p.md": "Q", ...files };
    for (const [name, text] of Object.entries(all)) await writeFile(join(folder, name), text);
    return use(folder);
  });
}

/** The problems of a recipe, with files named from its folder. */
const problemsOf = (
  files: Record<string, string>,
  overrides: string[] = [],
  env: Record<string, string> = {},
): Promise<readonly Problem[]> =>
  withRecipes(files, async (folder) => {
    const thrown = await load(join(folder, "base.toml"), overrides, env).catch((error) => error);
    if (!(thrown instanceof MatrixError)) throw new Error("the recipe loads");
    return JSON.parse(JSON.stringify(thrown.problems).replaceAll(`${folder}/`, ""));
  });

describe("a recipe", () => {
  test("a recipe extends others from left to right: tables merge and lists are replaced", () =>
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

  test("paths are resolved where they are written, in files and on the command line", () =>
    withRecipes(
      { "sub/top.toml": 'extends = "../base.toml"\n[roles.a]\nsystem = "p.md"\n' },
      async (folder) => {
        const overrides = ["dataset.path=mine.jsonl"];
        const { recipe, files } = await load(
          join(folder, "sub/top.toml"),
          overrides,
          {},
          "/elsewhere",
        );
        expect(recipe.roles["a"]).toMatchObject({
          prompt: join(folder, "p.md"),
          system: join(folder, "sub/p.md"),
        });
        expect(recipe.dataset.path).toBe("/elsewhere/mine.jsonl");
        expect(files).toEqual([join(folder, "sub/p.md"), join(folder, "p.md")]);
      },
    ));

  test("a file that several keys name is listed once", () =>
    withRecipes({}, async (folder) => {
      const { files } = await load(join(folder, "base.toml"), ["roles.a.system=p.md"], {}, folder);
      expect(files).toEqual([join(folder, "p.md")]);
    }));

  test("overrides are laid over the file in their order", () =>
    withRecipes({}, async (folder) => {
      const overrides = [
        "run.concurrency=500",
        "name=other",
        'models.m.latency={ kind = "uniform", min = "1s", max = "2s" }',
        "dataset.shuffle=true",
        "run.timeout=4m",
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

  test("a table whose kind changes is replaced, so that old keys do not stay", () =>
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

  test("the environment is filled in, also for numbers, and a secret is never written down", () =>
    withRecipes({}, async (folder) => {
      const overrides = [
        "run.seed=${env:SEED}",
        "run.compress=${env:FLAG:-true}",
        "dataset.id=${env:WHO:-nobody}",
        "models.m.concurrency=${env:SEED}",
        "models.m.kind=openai",
        "models.m.base_url=http://localhost:1/v1",
        "models.m.model=x",
        "models.m.api_key=${env:KEY}",
        'models.m.headers={ Authorization = "Bearer ${env:KEY}" }',
      ];
      const env = { SEED: "7", KEY: "hunter2" };
      const { recipe, text } = await load(join(folder, "base.toml"), overrides, env);
      expect(recipe).toMatchObject({
        dataset: { id: "nobody" },
        run: { seed: 7, compress: true },
      });
      // A continued run reads numbers, not texts.
      expect(text).toContain("seed = 7");
      expect(recipe.models["m"]).toMatchObject({
        api_key: "hunter2",
        headers: { Authorization: "Bearer hunter2" },
      });
      expect(text).not.toContain("hunter2");
      expect(text).toContain("Bearer ${env:KEY}");
    }));

  test("a reference alone stands for a number where text is not allowed", async () => {
    await withRecipes({}, async (folder) => {
      const { recipe } = await load(join(folder, "base.toml"), ["dataset.id=${env:N}"], { N: "7" });
      expect(recipe.dataset.id).toBe("7");
    });
    expect(await problemsOf({}, ["run.seed=1${env:N}"], { N: "7" })).toMatchObject([
      { key: "run.seed", message: 'found "17"; allowed: a number' },
    ]);
    expect(await problemsOf({}, ["run.seed=${env:N}"], { N: "x" })).toMatchObject([
      { key: "run.seed", message: 'found "x"; allowed: a number' },
    ]);
  });

  test("only a reference is read as a number, whatever else is wrong", async () => {
    const overrides = ["run.trials=0", "run.seed=${env:N}"];
    expect(await problemsOf({}, overrides, { N: "7" })).toMatchObject([{ key: "run.trials" }]);
    expect(await problemsOf({}, ['run.seed="7"'])).toMatchObject([
      { key: "run.seed", message: 'found "7"; allowed: a number' },
    ]);
  });

  test("the resolved text is the same recipe again", () =>
    withRecipes({}, async (folder) => {
      const first = await load(join(folder, "base.toml"), ["run.seed=3"]);
      await writeFile(join(folder, "sub/again.toml"), first.text);
      const again = await load(join(folder, "sub/again.toml"));
      expect(again.recipe).toEqual(first.recipe);
      expect(recipeDifferences(first.resolved, again.resolved)).toEqual([]);
    }));

  test("a program role has its sandbox, with the environment of the loader", () =>
    withRecipes({ "s.py": "" }, async (folder) => {
      const overrides = ['roles.b={ agent = "s.py" }', 'orchestrator.roles=["a", "b"]'];
      const loaded = await load(join(folder, "base.toml"), overrides, { A: "1" }, folder);
      expect(loaded.recipe.sandboxes["b (process)"]).toMatchObject({ env: { A: "1" } });
      expect(loaded.resolved["sandboxes"]).toBeUndefined();
    }));
});

describe("the place of a problem", () => {
  test("a wrong value is shown at the value, an unknown or missing key at a key", async () => {
    const text = `${BASE}[run]\nmax_hops = 0\nsed = 1\n[models.n]\nkind = "openai"\nmodel = "x"\n`;
    expect(await problemsOf({ "base.toml": text })).toMatchObject([
      { file: "base.toml", line: 16, column: 1, key: "run.sed", suggestion: "seed" },
      { file: "base.toml", line: 15, column: 12, key: "run.max_hops" },
      { file: "base.toml", line: 17, column: 2, key: "models.n.base_url" },
    ]);
  });

  test("a missing table is shown at the beginning of the recipe", async () => {
    expect(await problemsOf({ "base.toml": 'name = "x"\n' })).toMatchObject([
      { file: "base.toml", line: 1, column: 1, key: "dataset" },
      { file: "base.toml", line: 1, column: 1, key: "roles" },
      { file: "base.toml", line: 1, column: 1, key: "orchestrator" },
    ]);
  });

  test("a key that no layer wrote is missing in the recipe itself, not in one that it extends", async () => {
    const files = { "base.toml": 'extends = "low.toml"\n', "low.toml": 'name = "low"\n' };
    expect(await problemsOf(files)).toMatchObject(
      ["dataset", "roles", "orchestrator"].map((key) => ({ file: "base.toml", line: 1, key })),
    );
  });

  test("a problem names the last layer that wrote its key, a file or an override", async () => {
    const files = {
      "base.toml": `extends = "low.toml"\n${BASE}`,
      "low.toml": "run.seed = -1\nrun.trials = -1\n",
    };
    expect(await problemsOf(files, ["run.trials=-2"])).toMatchObject([
      { file: "override run.trials=-2", key: "run.trials" },
      { file: "low.toml", line: 1, column: 12, key: "run.seed" },
    ]);
  });

  test("a problem that is found after loading is placed at its key too", () =>
    withRecipes({}, async (folder) => {
      const file = join(folder, "base.toml");
      const { problemAt } = await load(file, ["run.seed=3"]);
      expect(problemAt("roles.a.prompt", "wrong")).toStrictEqual({
        file,
        line: 9,
        column: 10,
        key: "roles.a.prompt",
        message: "wrong",
      });
      expect(problemAt("roles.a.tools", "wrong")).toMatchObject({ file, line: 6, column: 2 });
      expect(problemAt("run.seed", "wrong")).toMatchObject({ file: "override run.seed=3" });
      expect(problemAt("run.x", "wrong")).toMatchObject({ file: "override run.seed=3" });
      expect(problemAt("store.x", "wrong")).toMatchObject({ file, line: 1, column: 1 });
    }));

  test("an override that may hold a secret is not repeated", async () => {
    expect(await problemsOf({}, ["models.m.api_ky=hunter2"])).toMatchObject([
      { file: "override models.m.api_ky=…" },
    ]);
    const endpoint = [
      "models.m.kind=openai",
      "models.m.base_url=http://localhost:1/v1",
      "models.m.model=x",
    ];
    const problems = await problemsOf({}, [...endpoint, "models.m.api_key=hunter2"]);
    expect(problems).toMatchObject([
      {
        file: "override models.m.api_key=…",
        message: 'a secret must come from the environment: "${env:NAME}"',
      },
    ]);
  });

  test("a value with a missing variable is reported once", async () => {
    expect(await problemsOf({}, ["run.seed=${env:NONE}"])).toHaveLength(1);
    await withRecipes({}, async (folder) => {
      const file = join(folder, "base.toml");
      const messageOf = async (overrides: string[]) =>
        ((await load(file, overrides).catch((error) => error)) as Error).message;
      expect(await messageOf(["run.seed=-1"])).toBe(`${file}: 1 problem`);
      expect(await messageOf(["run.seed=-1", "run.trials=0"])).toBe(`${file}: 2 problems`);
    });
  });
});

describe("a simulated model from overrides alone", () => {
  const options = (overrides: string[]) => ({ overrides, env: { MS: "5ms" }, cwd: "/here" });

  test("a model from overrides alone has the keys of [models.NAME], with paths from the current folder", async () => {
    const overrides = ["models.x.latency=${env:MS}", "models.x.replies=r.ts"];
    expect(await loadModel("x", options(overrides))).toMatchObject({
      kind: "simulated",
      latency: { kind: "constant", value: 5 },
      replies: "/here/r.ts",
    });
  });

  test("a model from overrides alone is refused when a variable is not set", async () => {
    const text = 'models.x.replies={ text = "${env:NONE}" }';
    await expect(loadModel("x", options([text]))).rejects.toMatchObject({
      message: "the model: 1 problem",
    });
  });

  test("a model from overrides alone is refused for a wrong key, value or kind", async () => {
    for (const override of ["models.x.latncy=1s", "models.x.latency=1", "models.x.kind=openai"])
      await expect(loadModel("x", options([override]))).rejects.toMatchObject({
        code: "recipe_invalid",
        message: expect.stringMatching(/^the model: \d problem/),
      });
  });
});
