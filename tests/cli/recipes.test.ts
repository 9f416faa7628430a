// `matrix recipes`: the recipes in the binary.

import { expect, test } from "bun:test";
import { builtInRecipe, builtInRecipes } from "../../src/recipe/built-in/names.ts";
import { matrix } from "../parts/program.ts";

test("matrix recipes lists every recipe with a line", async () => {
  const { code, stdout, stderr } = await matrix(["recipes"]);
  expect(code).toBe(0);
  const lines = stdout.trimEnd().split("\n");
  const recipes = await builtInRecipes();
  expect(lines.map((line) => line.split(/ {2,}/))).toEqual(
    recipes.map(({ name, description }) => [name, description]),
  );
  expect(stderr).toContain("matrix drive NAME");
});

test("matrix recipes --json prints an object a line", async () => {
  const { stdout, stderr } = await matrix(["recipes", "--json"]);
  const found = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(found).toEqual(
    (await builtInRecipes()).map(({ name, description }) => ({ name, description })),
  );
  expect(stderr).toBe("");
});

test("matrix recipes show prints the file of a recipe, and refuses another name", async () => {
  const { text } = await builtInRecipe("coral");
  expect(await matrix(["recipes", "show", "coral"])).toEqual({ code: 0, stdout: text, stderr: "" });
  const { code, stderr } = await matrix(["recipes", "show", "corall"]);
  expect(code).toBe(2);
  expect(stderr).toContain('did you mean "coral"?');
});
