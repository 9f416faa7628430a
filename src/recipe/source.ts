// The layers of a recipe: its file, the files that it extends, and the overrides of the command
// line. Each layer is parsed by itself, so that a problem can name the file that wrote the key.

import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { parse, stringify, TomlError } from "smol-toml";
import { MatrixError, messageOf, type Problem } from "../error.ts";
import { DEPTH_MAX, isTooDeep, TOO_DEEP } from "../task/depth.ts";
import type { Json, JsonObject } from "../task/json.ts";
import { locateRecipe } from "./built-in/locate.ts";
import { builtInRecipes } from "./built-in/names.ts";
import { BUILT_IN, openBuiltIn } from "./built-in/place.ts";
import { positionsOf } from "./position.ts";

const KEY_SHOWN_MAX = 60;

export interface Source {
  readonly table: JsonObject;
  /** The folder where relative paths start. */
  readonly folder: string;
  /** The file with its text, or the override as it was typed. */
  readonly origin: { readonly file: string; readonly text: string } | { readonly override: string };
}

/**
 * Reads the recipe and every recipe that it extends; the recipe itself comes last. Fails with
 * `recipe_invalid` and the problem of the first file that cannot be used.
 */
export async function readSources(named: string): Promise<Source[]> {
  return readChain(await locateRecipe(named, "."), []);
}

/** `chain` holds the files that led here. */
async function readChain(path: string, chain: readonly string[]): Promise<Source[]> {
  const file = resolve(path);
  const text = await readRecipe(file);
  if (text.includes(BUILT_IN)) await openBuiltIn();
  const { extends: bases, ...table } = parseToml(text, file);
  const sources: Source[] = [];
  for (const base of basesOf(bases, file, text)) {
    const target = await locateRecipe(base, dirname(file)).catch((thrown: unknown) => {
      throw extendsInvalid(file, text, messageOf(thrown));
    });
    if ([...chain, file].includes(target))
      throw extendsInvalid(
        file,
        text,
        `extends forms a circle: ${[...chain, file, target].join(" → ")}`,
      );
    if (!existsSync(target)) throw extendsInvalid(file, text, `no such file: ${target}`);
    sources.push(...(await readChain(target, [...chain, file])));
  }
  return [...sources, { table, folder: dirname(file), origin: { file, text } }];
}

/**
 * Reads `key.path=VALUE`. A VALUE that is not TOML is taken as text, so that a shell needs no
 * nested quotes. Fails with `usage`.
 */
export function readOverride(override: string, cwd: string): Source {
  const split = override.indexOf("=");
  const key = override.slice(0, split).trim();
  const value = override.slice(split + 1);
  if (split < 1)
    throw new MatrixError("usage", `"${override}" is not an override`, {
      hint: "write key.path=value, for example run.concurrency=500",
    });
  const table = tryParse(`${key} = ${value}`) ?? tryParse(`${key} = ${JSON.stringify(value)}`);
  if (table === null)
    throw new MatrixError("usage", `"${key}" is not a key path`, {
      hint: "write key.path=value, for example run.concurrency=500",
    });
  if (isTooDeep(table)) {
    const what = key.length > KEY_SHOWN_MAX ? `${key.slice(0, KEY_SHOWN_MAX)}…` : key;
    throw new MatrixError("usage", `the override of "${what}" ${TOO_DEEP}`);
  }
  return { table, folder: cwd, origin: { override } };
}

/** A table as TOML text. */
export function writeToml(table: JsonObject): string {
  return stringify(table);
}

async function readRecipe(file: string): Promise<string> {
  try {
    // The decoder drops the byte order mark that some editors write.
    return new TextDecoder("utf-8", { fatal: true }).decode(await readFile(file));
  } catch (cause) {
    const folder = existsSync(file) ? file : dirname(file);
    const near = (await readdir(folder).catch(() => []))
      .filter((name) => name.endsWith(".toml"))
      .sort();
    const name = basename(file, ".toml");
    const isBuiltIn = (await builtInRecipes()).some((one) => one.name === name);
    const hints = [
      ...(isBuiltIn ? [`the recipe in this binary is named without an ending: ${name}`] : []),
      ...(near.length === 0 ? [] : [`recipes in ${folder}: ${near.join(", ")}`]),
    ];
    const hint = hints.length === 0 ? {} : { hint: hints.join("; ") };
    throw new MatrixError("recipe_invalid", `cannot read the recipe ${file}: ${reasonOf(cause)}`, {
      cause,
      ...hint,
    });
  }
}

function reasonOf(cause: unknown): string {
  if (cause instanceof TypeError) return "it is not UTF-8 text";
  const { code } = cause as { code?: unknown };
  if (code === "ENOENT") return "there is no such file";
  return code === "EISDIR" ? "it is a folder" : messageOf(cause);
}

function parseToml(text: string, file: string): JsonObject {
  const table = parseAny(text, file);
  const deep = Object.keys(table).find((key) => isTooDeep(table[key], DEPTH_MAX - 1));
  if (deep === undefined) return table;
  const problem: Problem = { file, key: deep, message: `it ${TOO_DEEP}` };
  throw new MatrixError("recipe_invalid", `${file}: 1 problem`, { problems: [problem] });
}

function parseAny(text: string, file: string): JsonObject {
  try {
    return parse(text) as JsonObject;
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause;
    const message = (cause.message.split("\n")[0] ?? "").replace(
      "Invalid TOML document: ",
      "not valid TOML: ",
    );
    const problem: Problem = { file, line: cause.line, column: cause.column, message };
    throw new MatrixError("recipe_invalid", `${file} is not valid TOML`, {
      cause,
      problems: [problem],
    });
  }
}

function tryParse(text: string): JsonObject | null {
  try {
    return parse(text) as JsonObject;
  } catch {
    return null;
  }
}

function basesOf(bases: Json | undefined, file: string, text: string): readonly string[] {
  if (bases === undefined) return [];
  const list = Array.isArray(bases) ? bases : [bases];
  if (list.every((base) => typeof base === "string")) return list;
  throw extendsInvalid(
    file,
    text,
    `found ${JSON.stringify(bases)}; allowed: a path or a list of paths`,
  );
}

function extendsInvalid(file: string, text: string, message: string): MatrixError {
  const problem: Problem = {
    file,
    ...positionsOf(text).get("extends")?.value,
    key: "extends",
    message,
  };
  return new MatrixError("recipe_invalid", `${file}: 1 problem`, { problems: [problem] });
}
