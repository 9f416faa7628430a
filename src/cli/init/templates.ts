// The templates of `matrix init`: projects in two languages around one recipe. Files beside the
// recipe belong to both languages.

import { carried } from "../../recipe/built-in/carried.ts";
import { descriptionOf } from "../../recipe/built-in/names.ts";
import type { Language } from "../editor/editor-files.ts";

const TOP = "recipes/templates/";
const RECIPE = "recipe.toml";
/** Modules that a recipe names, which have the ending of the language. */
const MODULE = /(= "[\w-]+)\.ts"/g;

export interface Template {
  readonly name: string;
  readonly description: string;
}

export async function templates(): Promise<readonly Template[]> {
  const { TEMPLATES } = await carried();
  return [...TEMPLATES].flatMap(([path, text]) => {
    const [name = "", file] = path.slice(TOP.length).split("/");
    return file === RECIPE ? [{ name, description: descriptionOf(withoutSchema(text)) }] : [];
  });
}

/** The files of a template in one language, with the name of the run in the recipe. */
export async function filesOfTemplate(
  template: string,
  language: Language,
  run: string,
): Promise<ReadonlyMap<string, string>> {
  const { TEMPLATES } = await carried();
  const files = new Map<string, string>();
  for (const [path, text] of TEMPLATES) {
    const [name, ...parts] = path.slice(TOP.length).split("/");
    if (name !== template) continue;
    if (parts[0] === language) files.set(parts.slice(1).join("/"), text);
    else if (parts[0] === RECIPE)
      files.set(
        RECIPE,
        renamed(language === "python" ? text.replaceAll(MODULE, '$1.py"') : text, run),
      );
    else if (parts[0] !== "python" && parts[0] !== "typescript") files.set(parts.join("/"), text);
  }
  return files;
}

/** The recipe under another name. */
export function renamed(recipe: string, run: string): string {
  return recipe.replace(/^name = ".*"$/m, `name = "${run}"`);
}

/** The recipe without its first line, which names the schema. Its description follows it. */
function withoutSchema(text: string): string {
  return text.replace(/^#:schema .*\n/, "");
}
