// Finds a recipe by a path, a folder with a recipe.toml, or the name of a built-in recipe. What is
// on the disk comes first.

import { existsSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { builtInRecipe, builtInRecipes, isRecipeName } from "./names.ts";
import { openBuiltIn } from "./place.ts";

/** The file of a folder that is a recipe. */
const IN_FOLDER = "recipe.toml";

/**
 * The path of the recipe's file, which may not exist. Fails with `recipe_invalid` for a name that
 * is neither on the disk nor built in.
 */
export async function locateRecipe(named: string, folder: string): Promise<string> {
  const path = resolve(folder, named);
  const isThere = existsSync(path);
  if (isThere && !statSync(path).isDirectory()) return path;
  if (existsSync(join(path, IN_FOLDER))) return join(path, IN_FOLDER);
  if (!isRecipeName(named)) return path;
  // The reader refuses a folder, and says that it is one.
  if (isThere && !(await builtInRecipes()).some(({ name }) => name === named)) return path;
  const { name } = await builtInRecipe(named);
  return join(await openBuiltIn(), "recipes", `${name}.toml`);
}
