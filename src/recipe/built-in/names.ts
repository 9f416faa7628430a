// The recipes that the binary carries, by name, with what each says of itself.

import { MatrixError } from "../../error.ts";
import { nearestWord } from "../complaint.ts";
import { carried } from "./carried.ts";

const RECIPE = /^recipes\/([^/]+)\.toml$/;

export interface BuiltInRecipe {
  readonly name: string;
  /** The first sentence of the comment with which the recipe begins. */
  readonly description: string;
  /** The file as it is. */
  readonly text: string;
}

export async function builtInRecipes(): Promise<readonly BuiltInRecipe[]> {
  const { FILES } = await carried();
  const all = [...FILES].flatMap(([path, text]) => {
    const name = RECIPE.exec(path)?.[1];
    return name === undefined ? [] : [{ name, description: descriptionOf(text), text }];
  });
  return all.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Fails with `recipe_invalid` for a name that no built-in recipe has. */
export async function builtInRecipe(name: string): Promise<BuiltInRecipe> {
  const all = await builtInRecipes();
  const found = all.find((one) => one.name === name);
  if (found !== undefined) return found;
  const names = all.map((one) => one.name);
  const near = nearestWord(name, names);
  throw new MatrixError(
    "recipe_invalid",
    `there is no file "${name}", and no recipe of that name in this binary` +
      (near === undefined ? "" : `; did you mean "${near}"?`),
    { hint: `recipes in this binary: ${names.join(", ")}` },
  );
}

/** Tells a word that can be the name of a recipe from one that is written as a path. */
export function isRecipeName(word: string): boolean {
  return /^[\w-]+$/.test(word);
}

export function descriptionOf(toml: string): string {
  const lines = toml.split("\n");
  const end = lines.findIndex((line) => !/^# \S/.test(line));
  const paragraph = lines
    .slice(0, end)
    .map((line) => line.slice(2))
    .join(" ");
  return /^.*?\.(?= [A-Z]|$)/.exec(paragraph)?.[0] ?? paragraph;
}
