// Where a recipe is: what is on the disk comes before what is in the binary.

import { expect, test } from "bun:test";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { locateRecipe } from "../../../src/recipe/built-in/locate.ts";
import { openBuiltIn } from "../../../src/recipe/built-in/place.ts";
import { loadRecipe } from "../../../src/recipe/load.ts";
import { withFolder } from "../../parts/folder.ts";
import { matrix } from "../../parts/program.ts";

test("a name is a file, then a folder with a recipe, then a built-in recipe", () =>
  withFolder(async (folder) => {
    const builtIn = join(await openBuiltIn(), "recipes/coral.toml");
    expect(await locateRecipe("coral", folder)).toBe(builtIn);
    await mkdir(join(folder, "coral"));
    expect(await locateRecipe("coral", folder)).toBe(builtIn);
    await writeFile(join(folder, "coral/recipe.toml"), "");
    expect(await locateRecipe("coral", folder)).toBe(join(folder, "coral/recipe.toml"));
    await mkdir(join(folder, "other"));
    await writeFile(join(folder, "other/coral"), "");
    expect(await locateRecipe("coral", join(folder, "other"))).toBe(join(folder, "other/coral"));
  }));

test("a path stays a path, and a folder without a recipe is left to the reader", () =>
  withFolder(async (folder) => {
    expect(await locateRecipe("coral.toml", folder)).toBe(join(folder, "coral.toml"));
    expect(await locateRecipe("./coral", folder)).toBe(join(folder, "coral"));
    await mkdir(join(folder, "mine"));
    expect(await locateRecipe("mine", folder)).toBe(join(folder, "mine"));
    await expect(locateRecipe("nothing", folder)).rejects.toThrow('there is no file "nothing"');
  }));

test("a recipe extends a built-in one by name, and resolves with paths that hold everywhere", () =>
  withFolder(async (folder) => {
    const path = join(folder, "mine.toml");
    await writeFile(path, 'extends = "coral"\nname = "mine"\n');
    const loaded = await loadRecipe(path, { env: {}, cwd: folder });
    expect(loaded.text).toContain('path = "built-in:recipes/coral/questions.jsonl"');
    expect(loaded.resolved).toMatchObject({
      dataset: { path: "built-in:recipes/coral/questions.jsonl" },
      roles: { matcher: { agent: "built-in:recipes/coral/match.ts" } },
    });
    const root = await openBuiltIn();
    expect(loaded.recipe.dataset.path).toBe(join(root, "recipes/coral/questions.jsonl"));
    const again = join(folder, "again.toml");
    await writeFile(again, loaded.text);
    expect((await loadRecipe(again, { env: {}, cwd: folder })).recipe).toEqual(loaded.recipe);
  }));

test("an override may name a built-in file, and an unknown base is a problem with its place", () =>
  withFolder(async (folder) => {
    const overrides = ["dataset.path=built-in:recipes/coral/gsm8k.jsonl"];
    const { recipe } = await loadRecipe("coral", { env: {}, cwd: folder, overrides });
    expect(recipe.dataset.path).toBe(join(await openBuiltIn(), "recipes/coral/gsm8k.jsonl"));
    const path = join(folder, "mine.toml");
    await writeFile(path, 'extends = "corral"\nname = "mine"\n');
    const problem = { line: 1, column: 11, key: "extends" };
    await expect(loadRecipe(path, { env: {}, cwd: folder })).rejects.toMatchObject({
      problems: [{ ...problem, message: expect.stringContaining('did you mean "coral"?') }],
    });
  }));

test("a run of a built-in recipe names its files alike on every machine, and goes on", () =>
  withFolder(async (folder) => {
    const drive = (limit: string) =>
      matrix(["drive", "coral", "--limit", limit, "-q"], { cwd: folder });
    expect((await drive("1")).code).toBe(0);
    const manifest = JSON.parse(await readFile(join(folder, "runs/coral/manifest.json"), "utf8"));
    expect(Object.keys(manifest.hashes).sort()).toContain("built-in:recipes/coral/match.ts");
    expect(JSON.stringify(manifest)).not.toContain(await openBuiltIn());
    const { code, stdout } = await drive("2");
    expect({ code, ok: stdout.includes("expected 2 = ok 2") }).toEqual({ code: 0, ok: true });
    const { stdout: checked } = await matrix(["check", "runs/coral"], { cwd: folder });
    expect(checked).toContain("module built-in:recipes/coral/match.ts in matrix itself");
  }));

test("a missing file with the name of a built-in recipe is refused with that name", () =>
  withFolder(async (folder) => {
    const { code, stderr } = await matrix(["check", "coral.toml"], { cwd: folder });
    expect(code).toBe(2);
    expect(stderr).toContain("hint: the recipe in this binary is named without an ending: coral\n");
  }));
