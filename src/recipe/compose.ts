// From layers to one table: environment references are filled in, paths made absolute, later layers laid over earlier ones.
// Secrets stay references: they are filled in at the very end, on a copy that is never written down.

import { resolve } from "node:path";
import { isJsonObject, type Json, type JsonObject } from "../task/json.ts";
import { matchesKey, PATH_KEYS, SECRET_KEYS } from "./schema.ts";
import type { Source } from "./source.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** What a layer gets wrong by itself; the key path says where. */
export interface LayerProblem {
  readonly key: string;
  readonly message: string;
}

const REFERENCE = /\$\{env:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g;

/** A layer's table with references filled in (but for secrets) and paths absolute. */
export function resolveLayer({ table, folder }: Source, env: Environment, problems: LayerProblem[]): JsonObject {
  return mapLeaves(table, "", (text, key) => {
    if (SECRET_KEYS.some((pattern) => matchesKey(key, pattern))) {
      if (text !== "" && !text.includes("${env:"))
        problems.push({ key, message: 'a secret must come from the environment: "${env:NAME}"' });
      return text;
    }
    const filled = fill(text, env, key, problems);
    return isPath(key, filled) ? resolve(folder, filled) : filled;
  });
}

/** The same table with its secrets filled in. */
export function fillSecrets(table: JsonObject, env: Environment, problems: LayerProblem[]): JsonObject {
  return mapLeaves(table, "", (text, key) =>
    SECRET_KEYS.some((pattern) => matchesKey(key, pattern)) ? fill(text, env, key, problems) : text,
  );
}

/** Tables merge, all else is replaced. A table of another kind replaces too: its old keys would make no sense in it. */
export function mergeTables(below: JsonObject, above: JsonObject, path = ""): JsonObject {
  const merged: Record<string, Json> = { ...below };
  for (const [key, value] of Object.entries(above)) {
    const old = below[key];
    const at = path === "" ? key : `${path}.${key}`;
    const merges = isJsonObject(old) && isJsonObject(value) && !changesKind(at, old, value);
    merged[key] = merges ? mergeTables(old, value, at) : value;
  }
  return merged;
}

/** Keys that say what kind of thing a table describes. */
const KIND_KEYS: readonly (readonly [table: string, keys: readonly string[]])[] = [
  ["models.*", ["kind"]],
  ["roles.*", ["agent"]],
  ["orchestrator", ["pattern", "module"]],
];

function changesKind(path: string, below: JsonObject, above: JsonObject): boolean {
  const keys = KIND_KEYS.find(([table]) => matchesKey(path, table))?.[1] ?? [];
  return keys.some((key) => above[key] !== undefined && above[key] !== below[key]);
}

function fill(text: string, env: Environment, key: string, problems: LayerProblem[]): string {
  return text.replace(REFERENCE, (_, name: string, fallback: string | undefined) => {
    const value = env[name] ?? fallback;
    if (value === undefined) problems.push({ key, message: `the environment has no ${name}; set it or write \${env:${name}:-default}` });
    return value ?? "";
  });
}

function isPath(key: string, text: string): boolean {
  if (key.startsWith("roles.") && key.endsWith(".agent") && text === "llm") return false;
  return PATH_KEYS.some((pattern) => matchesKey(key, pattern));
}

function mapLeaves(table: JsonObject, prefix: string, map: (text: string, key: string) => string): JsonObject {
  const mapValue = (value: Json, key: string): Json => {
    if (typeof value === "string") return map(value, key);
    if (Array.isArray(value)) return value.map((element) => mapValue(element, key));
    // A TOML date is an object of its own; settings carry it as text.
    if (value instanceof Date) return value.toISOString();
    return isJsonObject(value) ? mapLeaves(value, key, map) : value;
  };
  const entries = Object.entries(table).map(([key, value]) => [key, mapValue(value, prefix === "" ? key : `${prefix}.${key}`)]);
  return Object.fromEntries(entries);
}
