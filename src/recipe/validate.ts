// A table against the schema: every problem at once, in words that a person can act on.

import { closest, distance } from "fastest-levenshtein";
import * as v from "valibot";
import type { JsonObject } from "../task/json.ts";
import { isJsonObject } from "../task/json.ts";
import { joinKey } from "./key-path.ts";
import { type Recipe, recipeSchema } from "./schema.ts";

export interface Complaint {
  /** Path of the key. */
  readonly key: string;
  readonly message: string;
  readonly suggestion?: string;
}

export function validateRecipe(table: JsonObject): {
  readonly recipe: Recipe | null;
  readonly complaints: readonly Complaint[];
} {
  const unknown: Complaint[] = [];
  const settled = new Set<string>();
  let input: JsonObject = table;
  for (;;) {
    const result = v.safeParse(recipeSchema, input);
    if (result.success)
      return { recipe: unknown.length === 0 ? result.output : null, complaints: unknown };
    const issues = result.issues.flatMap(furthest);
    const path = issues.find(isUnknownKey)?.path.map(({ key }) => String(key));
    if (path === undefined) {
      const others = issues.map(complaintOf).filter(({ key }) => !settled.has(key));
      return { recipe: null, complaints: [...unknown, ...others] };
    }
    // One is reported, taken out, and looked again. What its table lacks without it is no further problem.
    const found = unknownKey(path, table);
    const inside = path.slice(0, -1).reduce(joinKey, "");
    unknown.push(found);
    settled.add(inside);
    if (found.suggestion !== undefined) settled.add(joinKey(inside, found.suggestion));
    input = without(input, path) as JsonObject;
  }
}

/** The word of a list that was probably meant, if any is near. */
export function nearest(word: string, words: readonly string[]): string | undefined {
  if (words.length === 0) return undefined;
  const best = closest(word, [...words]);
  return distance(word, best) <= Math.max(2, Math.floor(word.length / 3)) ? best : undefined;
}

/** From the root of the recipe. */
type Issue = v.BaseIssue<unknown> & { readonly path: readonly { readonly key: unknown }[] };
type Path = readonly string[];

/** Of a union, the branches that got furthest into the value say most. */
function furthest(issue: v.BaseIssue<unknown>): Issue[] {
  const path = issue.path ?? [];
  const inner =
    issue.type === "union"
      ? (issue.issues ?? []).filter((branch) => (branch.path?.length ?? 0) > 0)
      : [];
  if (inner.length === 0) return [{ ...issue, path } as Issue];
  return inner.flatMap((branch) =>
    furthest({ ...branch, path: [...path, ...(branch.path ?? [])] } as Issue),
  );
}

function isUnknownKey(issue: Issue): boolean {
  return issue.type === "strict_object" && issue.expected === "never";
}

function unknownKey(path: Path, table: JsonObject): Complaint {
  const name = path.at(-1) ?? "";
  const allowed = keysAt(path.slice(0, -1), table);
  return complaint(
    path.reduce(joinKey, ""),
    `unknown key "${name}"; allowed: ${allowed.join(", ")}`,
    nearest(name, allowed),
  );
}

function complaint(key: string, message: string, suggestion: string | undefined): Complaint {
  return { key, message, ...(suggestion === undefined ? {} : { suggestion }) };
}

function complaintOf(issue: Issue): Complaint {
  const key = issue.path.reduce((path, { key }) => joinKey(path, String(key)), "");
  if (issue.received === "undefined") return { key, message: "missing; it must be set" };
  const found = isJsonObject(issue.input) ? "a table" : JSON.stringify(issue.input);
  const options = [...(issue.expected ?? "").matchAll(/"([^"]*)"/g)].map(
    (match) => match[1] as string,
  );
  if (issue.type === "picklist" || issue.type === "variant" || issue.type === "literal") {
    return complaint(
      key,
      `found ${found}; allowed: ${options.join(", ")}`,
      nearest(String(issue.input), options),
    );
  }
  return { key, message: `found ${found}; allowed: ${expectation(issue)}` };
}

/** Our own messages say what is allowed; the library's give the expected type. */
function expectation(issue: Issue): string {
  if (!issue.message.startsWith("Invalid ")) return issue.message;
  const words: Readonly<Record<string, string>> = {
    Object: "a table",
    Array: "a list",
    integer: "a whole number",
  };
  if (issue.type === "integer") return "a whole number";
  if (issue.type === "url") return "a URL";
  if (issue.type === "non_empty") return "a text that is not empty";
  return (issue.expected ?? "another value")
    .split(" | ")
    .map((part) => words[part] ?? part.replace(/^\(|\)$/g, ""))
    .map((part) => (part in words ? words[part] : part))
    .join(" or ");
}

function without(value: unknown, [key = "", ...rest]: Path): unknown {
  if (Array.isArray(value))
    return value.flatMap((element, index) =>
      String(index) !== key ? [element] : rest.length === 0 ? [] : [without(element, rest)],
    );
  if (!isJsonObject(value)) return value;
  const { [key]: inner, ...others } = value;
  return rest.length === 0 ? others : { ...others, [key]: without(inner, rest) };
}

/** The keys that a table at a path may have, read off the schema. */
function keysAt(path: Path, input: unknown): string[] {
  let schema: unknown = recipeSchema;
  let value = input;
  for (const key of path) {
    schema = childOf(unwrap(schema, value), key);
    value =
      typeof value === "object" && value !== null
        ? (value as Record<string, unknown>)[key]
        : undefined;
  }
  const { entries = {} } = unwrap(schema, value) as { entries?: object };
  return Object.keys(entries);
}

interface SchemaLike {
  readonly type: string;
  readonly wrapped?: unknown;
  readonly getter?: (input: unknown) => unknown;
  readonly options?: readonly SchemaLike[];
  readonly key?: string;
  readonly entries?: Readonly<Record<string, unknown>>;
  readonly value?: unknown;
  readonly item?: unknown;
}

function unwrap(schema: unknown, input: unknown): SchemaLike {
  const like = schema as SchemaLike;
  if (like.wrapped !== undefined) return unwrap(like.wrapped, input);
  if (like.type === "lazy") return unwrap(like.getter?.(input), input);
  if (like.type === "variant")
    return (like.options ?? []).find((option) => accepts(option, like.key ?? "", input)) ?? like;
  if (like.type === "union") {
    const table = (like.options ?? []).find(
      ({ type }) => type === "strict_object" || type === "variant",
    );
    return table === undefined ? like : unwrap(table, input);
  }
  return like;
}

function accepts(option: SchemaLike, key: string, input: unknown): boolean {
  const literal = (option.entries?.[key] as { literal?: unknown } | undefined)?.literal;
  return isJsonObject(input) && literal === input[key];
}

function childOf(schema: SchemaLike, key: string): unknown {
  return schema.entries?.[key] ?? schema.value ?? schema.item;
}
