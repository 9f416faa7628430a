// The recipes in the binary, by name.

import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  builtInRecipe,
  builtInRecipes,
  descriptionOf,
  isRecipeName,
} from "../../../src/recipe/built-in/names.ts";
import { ROOT } from "../../parts/repository.ts";

test("every recipe of the project is built in, with its text, in the order of the names", async () => {
  const found = await builtInRecipes();
  const files = readdirSync(join(ROOT, "recipes")).filter((name) => name.endsWith(".toml"));
  expect(found.map(({ name }) => name)).toEqual(files.map((file) => file.slice(0, -5)).sort());
  for (const { name, text } of found)
    expect(text).toBe(readFileSync(join(ROOT, "recipes", `${name}.toml`), "utf8"));
});

test("every built-in recipe says in one line what it makes", async () => {
  for (const { description } of await builtInRecipes())
    expect(description).toMatch(/^[A-Z][^\n]{20,110}\.$/);
});

test("a description is the first sentence of the first paragraph of the comment", () => {
  expect(descriptionOf("# One. Two.\n")).toBe("One.");
  expect(descriptionOf("# After A et al. (2025) it\n# goes on. Two.\nname = 1\n")).toBe(
    "After A et al. (2025) it goes on.",
  );
  expect(descriptionOf("# Without an end\n#\n# Other.\n")).toBe("Without an end");
  expect(descriptionOf('name = "x"\n')).toBe("");
});

test("an unknown name is refused with the nearest name and all names", async () => {
  await expect(builtInRecipe("corl")).rejects.toMatchObject({
    code: "recipe_invalid",
    message:
      'there is no file "corl", and no recipe of that name in this binary; did you mean "coral"?',
    hint: expect.stringMatching(/^recipes in this binary: coral, coral-dummy, .*tau2/),
  });
  await expect(builtInRecipe("something-else")).rejects.toMatchObject({
    message: 'there is no file "something-else", and no recipe of that name in this binary',
  });
});

test.each([
  ["coral", true],
  ["coral-gsm8k", true],
  ["coral.toml", false],
  ["./coral", false],
  ["a/b", false],
  ["", false],
])("%p can be the name of a recipe: %p", (word, expected) => {
  expect(isRecipeName(word)).toBe(expected);
});
