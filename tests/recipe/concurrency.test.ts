// The limits of roles and endpoints that a recipe does not state, through the loader.

import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { loadRecipe } from "../../src/recipe/load.ts";
import { withFolder } from "../parts/folder.ts";

const RECIPE = `name = "mine"
dataset.path = "d.jsonl"
models.stated = { kind = "openai", model = "x", base_url = "http://a/v1", concurrency = 30 }
models.served = { kind = "openai", model = "x", base_url = "http://a/v1" }
models.simulated.kind = "simulated"
roles.stated = { agent = "a.ts", concurrency = 1000 }
roles.other = { agent = "a.ts" }
orchestrator = { pattern = "sequence", roles = ["stated", "other"] }
`;

const limits = (...overrides: readonly string[]) =>
  withFolder(async (folder) => {
    const path = join(folder, "r.toml");
    await writeFile(path, RECIPE);
    for (const file of ["a.ts", "d.jsonl"]) await writeFile(join(folder, file), "");
    const { recipe } = await loadRecipe(path, { overrides, env: {}, cwd: folder });
    const of = (tables: Readonly<Record<string, { readonly concurrency: number }>>) =>
      Object.fromEntries(
        Object.entries(tables).map(([name, { concurrency }]) => [name, concurrency]),
      );
    return { models: of(recipe.models), roles: of(recipe.roles) };
  });

test("limits that are not stated are 1,000 when the run does less than that", async () => {
  for (const overrides of [[], ["run.concurrency=999"], ["run.concurrency=1000"]])
    expect(await limits(...overrides)).toEqual({
      models: { stated: 30, served: 1000, simulated: 100_000 },
      roles: { stated: 1000, other: 1000 },
    });
});

test("limits that are not stated follow a run that does more, and stated ones bind", async () => {
  expect(await limits("run.concurrency=1001")).toEqual({
    models: { stated: 30, served: 1001, simulated: 100_000 },
    roles: { stated: 1000, other: 1001 },
  });
  expect(await limits("run.concurrency=200000", "roles.other.concurrency=5")).toEqual({
    models: { stated: 30, served: 200_000, simulated: 200_000 },
    roles: { stated: 1000, other: 5 },
  });
});
