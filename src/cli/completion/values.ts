// Values that only this machine knows: recipes, keys of a recipe, run directories, rows and roles.

import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { ERROR_CODES } from "../../error.ts";
import { builtInRecipes } from "../../recipe/built-in/names.ts";
import { openBuiltIn } from "../../recipe/built-in/place.ts";
import { mergeTables } from "../../recipe/compose.ts";
import { readSources } from "../../recipe/source.ts";
import { RunIndex } from "../../records/index/run-index.ts";
import { MANIFEST_FILE } from "../../records/manifest.ts";
import { isJsonObject, type JsonObject } from "../../task/json.ts";
import { STOP_REASONS } from "../../task/task.ts";
import { templates } from "../init/templates.ts";
import type { Candidate, Place, ValuesOf } from "./candidates.ts";
import { keyCandidates } from "./recipe-keys.ts";

/** Rows that a shell can show. */
const ROWS_MAX = 200;

type Values = (place: Place) => Promise<readonly Candidate[]> | readonly Candidate[];

const runs: Values = ({ word }) => runDirectories(word);
const rolesOfRun: Values = async ({ given, word }) =>
  listed(word, await namesIn("roles", join(given[0] ?? "", "recipe.toml")));
const rolesOfRecipe: Values = async ({ given, word }) =>
  listed(word, await namesIn("roles", given[0]));

/**
 * Values by the name of the argument or flag, or by command and name where several share the name.
 */
const VALUES: Readonly<Record<string, Values>> = {
  recipe: ({ word }) => recipes(word),
  "key=value": async ({ given, word }) => keyCandidates(word, await recipeAt(given[0])),
  dir: runs,
  place: runs,
  id: ({ given, word }) => rows(given[0] ?? "", word),
  other: ({ given, word }) => rows(given[0] ?? "", word),
  template: async () => (await templates()).map((it) => ({ value: it.name, text: it.description })),
  "recipes show name": () => builtIn(),
  "sandbox build name": async () => plain(await foldersIn(join(await openBuiltIn(), "sandboxes"))),
  "init --from": () => builtIn(),
  "init dir": () => [],
  "types dir": () => [],
  "--recipe": ({ word }) => recipes(word),
  "--model": async ({ flags, word }) =>
    listed(word, await namesIn("models", flags.get("--recipe"))),
  "--join": runs,
  "--like": runs,
  "--replay": runs,
  "--role": async ({ flags, word }) =>
    listed(word, await namesIn("roles", join(flags.get("--join") ?? "", "recipe.toml"))),
  "--ask": rolesOfRecipe,
  "--from": rolesOfRecipe,
  "--as": rolesOfRun,
  "--train-on": rolesOfRun,
  "--error": () => plain(ERROR_CODES),
  "--retry": ({ word }) => listed(word, ["failed", "lost", ...ERROR_CODES, ...STOP_REASONS]),
};

export const valuesOf: ValuesOf = (name, place) => {
  const bare = name.replace(/\.\.\.$/, "");
  const own = `${place.command} ${bare}`;
  const values = [own, bare].find((key) => Object.hasOwn(VALUES, key));
  return values === undefined ? [] : (VALUES[values]?.(place) ?? []);
};

async function builtIn(): Promise<readonly Candidate[]> {
  return (await builtInRecipes()).map(({ name, description }) => ({
    value: name,
    text: description,
  }));
}

/** Names of the binary, and recipes of this folder. A path is left to the shell. */
async function recipes(word: string): Promise<readonly Candidate[]> {
  if (word.includes("/")) return [];
  const entries = await readdir(".", { withFileTypes: true });
  const here = entries.flatMap((entry) => {
    if (entry.isFile() && entry.name.endsWith(".toml")) return [entry.name];
    return entry.isDirectory() && existsSync(join(entry.name, "recipe.toml")) ? [entry.name] : [];
  });
  return [...plain(here), ...(await builtIn())];
}

/** Run directories of `runs`. Others are left to the shell. */
async function runDirectories(word: string): Promise<readonly Candidate[]> {
  const folder = word.includes("/") ? word.slice(0, word.lastIndexOf("/")) : "runs";
  const found = (await foldersIn(folder)).map((name) => join(folder, name));
  return plain(found.filter((path) => existsSync(join(path, MANIFEST_FILE))));
}

async function rows(directory: string, word: string): Promise<readonly Candidate[]> {
  const index = await RunIndex.open(directory);
  const ids = new Set<string>();
  for (let n = 0; n < index.size && ids.size < ROWS_MAX; n++) {
    const id = index.idOf(n);
    if (id.startsWith(word)) ids.add(id);
  }
  return plain([...ids]);
}

async function recipeAt(path: string | undefined): Promise<JsonObject> {
  if (path === undefined) return {};
  const sources = await readSources(path).catch(() => []);
  return sources.map(({ table }) => table).reduce((a, b) => mergeTables(a, b), {});
}

async function namesIn(section: string, path: string | undefined): Promise<readonly string[]> {
  const table = (await recipeAt(path))[section];
  return isJsonObject(table) ? Object.keys(table) : [];
}

/** Names for the last element of a list with commas. */
function listed(word: string, names: readonly string[]): readonly Candidate[] {
  const before = word.slice(0, word.lastIndexOf(",") + 1);
  const given = before.split(",");
  return plain(names.filter((name) => !given.includes(name)).map((name) => before + name));
}

function plain(values: readonly string[]): readonly Candidate[] {
  return values.map((value) => ({ value, text: "" }));
}

async function foldersIn(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries.flatMap((entry) => (entry.isDirectory() ? [entry.name] : [])).sort();
}
