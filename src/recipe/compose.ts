// Composing makes one table from the layers of a recipe. It fills in environment references, makes
// paths absolute, and lays later layers over earlier ones. Secrets stay references until the very
// end: they are filled in on a copy that is never written down.

import { resolve } from "node:path";
import { isJsonObject, type Json, type JsonObject } from "../task/json.ts";
import { schemeOf } from "../task/scheme.ts";
import { placed } from "./built-in/place.ts";
import { joinKey, matchesKey, splitKey } from "./key-path.ts";
import {
  hasCredentials,
  isOpenText,
  isSecretKey,
  isUrlKey,
  mayNameVariable,
  PATH_KEYS,
} from "./keys.ts";
import { BUILT_IN_AGENTS } from "./schema/role-schema.ts";
import { isImagePath } from "./schema/sandbox-schema.ts";
import type { Source } from "./source.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** A problem with a value that is found before the schema checks it. */
export interface LeafProblem {
  readonly key: string;
  readonly message: string;
}

const REFERENCE = /\$\{env:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g;
/** Text that a secret may have before its reference: the scheme of an Authorization header. */
const SCHEME = /^([A-Za-z]+ )?$/;

const REFUSED_MESSAGE =
  "a variable of the environment cannot stand here, because its value would get into prompts or " +
  "records; write the value, or give it on the command line as key=value";

export const SECRET_MESSAGE = 'a secret must come from the environment: "${env:NAME}"';

/**
 * The table of a layer with absolute paths and with references filled in. References in secrets,
 * and references to variables that are not set, stay as they are.
 */
export function resolveLayer({ table, folder }: Source, env: Environment): JsonObject {
  return mapLeaves(table, "", (text, key) => resolveText(text, key, folder, env));
}

/** The same for a value that a layer of this folder wrote, and that belongs at `key`. */
export function resolveValue(value: Json, key: string, folder: string, env: Environment): Json {
  const parts = splitKey(key);
  const last = parts.at(-1) ?? "";
  const inside = parts.slice(0, -1).reduce(joinKey, "");
  const map = (text: string, at: string) => resolveText(text, at, folder, env);
  return mapLeaves({ [last]: value }, inside, map)[last] ?? value;
}

function resolveText(text: string, key: string, folder: string, env: Environment): string {
  if (isSecretKey(key) || !mayNameVariable(key)) return text;
  const filled = fill(text, env);
  if (isUrlKey(key) && hasCredentials(filled)) return text;
  return isPath(key, filled) ? resolve(folder, placed(filled)) : filled;
}

/** The same table with its secrets filled in. */
export function fillSecrets(table: JsonObject, env: Environment): JsonObject {
  return mapLeaves(table, "", (text, key) => (mayBeSecret(key) ? fill(text, env) : text));
}

/** A variable of the environment that a recipe names. */
export interface Reference {
  readonly variable: string;
  readonly key: string;
  /** True when the value stays a reference where the recipe is written down. */
  readonly isSecret: boolean;
}

/** Every reference of a table that was not resolved yet. */
export function referencesIn(table: JsonObject, env: Environment): readonly Reference[] {
  const references: Reference[] = [];
  mapLeaves(table, "", (text, key) => {
    const isSecret = isSecretKey(key) || (isUrlKey(key) && hasCredentials(fill(text, env)));
    for (const [, variable = ""] of text.matchAll(REFERENCE))
      if (mayNameVariable(key)) references.push({ variable, key, isSecret });
    return text;
  });
  return references;
}

/** The value of a text that is a single reference; null for any other text. */
export function singleReference(text: unknown, env: Environment): string | null {
  if (typeof text !== "string" || !/^\$\{env:[^}]*\}$/.test(text)) return null;
  const value = fill(text, env);
  return value === text ? null : value;
}

/** Names of the environment variables to which the secrets of a table refer. */
export function secretNames(table: JsonObject): readonly string[] {
  const names = new Set<string>();
  mapLeaves(table, "", (text, key) => {
    if (mayBeSecret(key)) for (const [, name = ""] of text.matchAll(REFERENCE)) names.add(name);
    return text;
  });
  return [...names];
}

function mayBeSecret(key: string): boolean {
  return isSecretKey(key) || isUrlKey(key);
}

/**
 * Lays one table over another. Tables merge and all other values are replaced. A table of another
 * kind is replaced as a whole, because the keys of the old kind have no meaning in it.
 */
export function mergeTables(below: JsonObject, above: JsonObject, path = ""): JsonObject {
  const merged = new Map(Object.entries(below));
  for (const [key, value] of Object.entries(above)) {
    const old = merged.get(key);
    const at = joinKey(path, key);
    const merges = isJsonObject(old) && isJsonObject(value) && !changesKind(at, old, value);
    merged.set(key, merges ? mergeTables(old, value, at) : value);
  }
  return Object.fromEntries(merged);
}

/**
 * Problems that a schema cannot see: references to variables that are not set, secrets in plain
 * text, and numbers that JSON does not have.
 */
export function leafProblems(value: Json, env: Environment, key = ""): LeafProblem[] {
  if (Array.isArray(value))
    return value.flatMap((element, index) =>
      leafProblems(element, env, joinKey(key, String(index))),
    );
  if (isJsonObject(value))
    return Object.entries(value).flatMap(([part, inner]) =>
      leafProblems(inner, env, joinKey(key, part)),
    );
  if (typeof value === "number" && !Number.isFinite(value))
    return [{ key, message: `found ${value}; allowed: a finite number` }];
  if (typeof value !== "string") return [];
  if (isSecretInPlainText(key, value)) return [{ key, message: SECRET_MESSAGE }];
  if (!mayNameVariable(key) && value.search(REFERENCE) !== -1)
    return [{ key, message: REFUSED_MESSAGE }];
  const missing = [...value.matchAll(REFERENCE)].flatMap(([, name = "", fallback]) =>
    env[name] === undefined && fallback === undefined ? [name] : [],
  );
  return missing.map((name) => ({
    key,
    message: `the variable ${name} is not set; set it or write \${env:${name}:-default}`,
  }));
}

/** The kind of each table that has several kinds. Agents that are files are all of one kind. */
const KINDS: readonly (readonly [table: string, kind: (table: JsonObject) => Json | undefined])[] =
  [
    ["models.*", ({ kind }) => kind],
    [
      "roles.*",
      ({ agent }) => agent && (BUILT_IN_AGENTS.includes(String(agent)) ? agent : "module"),
    ],
    [
      "orchestrator",
      ({ pattern, module, graph }) => pattern ?? (module && "module") ?? (graph && "graph"),
    ],
  ];

function changesKind(path: string, below: JsonObject, above: JsonObject): boolean {
  const kindOf = KINDS.find(([table]) => matchesKey(path, table))?.[1];
  const [before, after] = [kindOf?.(below), kindOf?.(above)];
  return before !== undefined && after !== undefined && before !== after;
}

/** Defaults of references are plain text, too. */
function isSecretInPlainText(key: string, text: string): boolean {
  if (isUrlKey(key)) return hasCredentials(fill(text, {}).replace(REFERENCE, ""));
  return isSecretKey(key) && !isOpenText(key, text) && !isReferenceOnly(text);
}

/**
 * Tests that a secret consists of references. A default would be a secret in plain text, so only an
 * empty one is allowed. It makes the secret optional.
 */
function isReferenceOnly(text: string): boolean {
  const defaults = [...text.matchAll(REFERENCE)].map((match) => match[2] ?? "");
  return (
    text === "" ||
    (SCHEME.test(text.replace(REFERENCE, "")) &&
      defaults.length > 0 &&
      defaults.every((fallback) => fallback === ""))
  );
}

function fill(text: string, env: Environment): string {
  return text.replace(
    REFERENCE,
    (reference, name: string, fallback: string | undefined) => env[name] ?? fallback ?? reference,
  );
}

function isPath(key: string, text: string): boolean {
  if (matchesKey(key, "roles.*.agent") && BUILT_IN_AGENTS.includes(text)) return false;
  if (matchesKey(key, "sandboxes.*.image") && !isImagePath(text)) return false;
  if (isInterpreter(key) && !text.includes("/")) return false;
  // An address is not a path. The schema refuses all but those of the hub.
  if (schemeOf(text) !== null) return false;
  // An empty path stays empty, so that the schema refuses it.
  return text !== "" && PATH_KEYS.some((pattern) => matchesKey(key, pattern));
}

/** Tells whether a key names a program, which is a path only when it has a slash. */
function isInterpreter(key: string): boolean {
  return matchesKey(key, "python.command.0") || matchesKey(key, "roles.*.python.0");
}

/** The same table with every text replaced by the result of `map`; `key` is the text's key path. */
export function mapLeaves(
  table: JsonObject,
  prefix: string,
  map: (text: string, key: string) => string,
): JsonObject {
  const mapValue = (value: Json, key: string): Json => {
    if (typeof value === "string") return map(value, key);
    if (Array.isArray(value))
      return value.map((element, index) => mapValue(element, joinKey(key, String(index))));
    // TOML has dates, JSON does not: settings carry them as text.
    if (value instanceof Date) return value.toISOString();
    return isJsonObject(value) ? mapLeaves(value, key, map) : value;
  };
  return Object.fromEntries(
    Object.entries(table).map(([key, value]) => [key, mapValue(value, joinKey(prefix, key))]),
  );
}
