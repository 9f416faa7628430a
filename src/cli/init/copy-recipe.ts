// A copy of a built-in recipe with everything that it needs, for a folder of the user's own.

import { join, relative, sep } from "node:path";
import { carried } from "../../recipe/built-in/carried.ts";
import { builtInRecipe } from "../../recipe/built-in/names.ts";
import { BUILT_IN, openBuiltIn } from "../../recipe/built-in/place.ts";
import { filesOf, readRecipeFile } from "../../recipe/files.ts";
import { loadRecipe } from "../../recipe/load.ts";
import { readSources } from "../../recipe/source.ts";
import type { Json } from "../../task/json.ts";
import { renamed } from "./templates.ts";

const SCHEMA = "#:schema .matrix/recipe.schema.json\n";

/**
 * The files of the copy by their paths. The recipe becomes `recipe.toml`; recipes that it extends,
 * prompts, modules and rows stay beside it as they were. Fails with `recipe_invalid`.
 */
export async function filesOfRecipe(
  name: string,
  run: string,
): Promise<ReadonlyMap<string, string>> {
  await builtInRecipe(name);
  const { FILES } = await carried();
  const top = await openBuiltIn();
  const path = join(top, "recipes", `${name}.toml`);
  const loaded = await loadRecipe(path, { env: {}, cwd: top });
  const needed = new Set<string>();
  for (const { origin } of await readSources(path)) if ("file" in origin) needed.add(origin.file);
  for (const [, file] of filesOf(loaded.recipe))
    for (const read of await readRecipeFile(file)) needed.add(read.path);
  const named = textsIn(loaded.resolved).filter((text) => text.startsWith(BUILT_IN));
  const all = [...needed].map((file) => relative(top, file).replaceAll(sep, "/"));
  for (const text of named) {
    const at = text.slice(BUILT_IN.length).split("#")[0] ?? "";
    all.push(...[...FILES.keys()].filter((file) => file === at || file.startsWith(`${at}/`)));
  }
  const copy = new Map<string, string>();
  for (const file of [...new Set(all)].sort())
    copy.set(placeOf(file, name), changed(FILES.get(file) ?? "", file, name, run));
  return copy;
}

function placeOf(file: string, name: string): string {
  return file === `recipes/${name}.toml` ? "recipe.toml" : file.replace(/^recipes\//, "");
}

/** The text of a file, where recipes name what is beside them now. */
function changed(text: string, file: string, name: string, run: string): string {
  if (!/^recipes\/[^/]*\.toml$/.test(file)) return text;
  const moved = text
    .replaceAll('"../sandboxes/', '"./sandboxes/')
    .replaceAll(`matrix drive ${name} `, "matrix drive recipe.toml ");
  return file === `recipes/${name}.toml` ? SCHEMA + renamed(moved, run) : moved;
}

function textsIn(value: Json): readonly string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(textsIn) : [];
}
