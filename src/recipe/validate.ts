// Checks a table against the schema and reports every problem at once, in words on which a user can
// act.

import * as v from "valibot";
import { isJsonObject, type Json, type JsonObject } from "../task/json.ts";
import { type Complaint, wrongWord } from "./complaint.ts";
import { joinKey } from "./key-path.ts";
import { hasCredentials } from "./keys.ts";
import { Mending, type Soundness } from "./mending.ts";
import { type Recipe, recipeSchema } from "./schema/schema.ts";
import { keysAt } from "./schema/schema-keys.ts";

/** The path of an issue begins at the root of the recipe. */
type Issue = v.BaseIssue<unknown> & { readonly path: readonly { readonly key: unknown }[] };
type Path = readonly string[];

export interface Validated {
  /** Null when there are complaints. */
  readonly recipe: Recipe | null;
  /** The recipe without everything that is wrong. Checks look at it; it is never run. */
  readonly mended: Recipe;
  readonly soundness: Soundness;
  readonly complaints: readonly Complaint[];
}

/** Makes of a misspelt key's value what the loader makes of values of the key that was meant. */
export type Settle = (value: Json, written: string, meant: string) => Json;

export function validateRecipe(table: JsonObject, settle: Settle = (value) => value): Validated {
  const unknown: Complaint[] = [];
  const others = new Map<string, Complaint>();
  /** Tables with an unknown key that stands for no other. */
  const settled = new Set<string>();
  const mending = new Mending(table);
  for (;;) {
    const result = v.safeParse(recipeSchema, mending.table);
    const { soundness } = mending;
    mending.beginRound();
    if (result.success) {
      const complaints = [...unknown, ...others.values()];
      const recipe = complaints.length === 0 ? result.output : null;
      return { recipe, mended: result.output, soundness, complaints };
    }
    const issues = result.issues.flatMap(deepest);
    const path = issues.find(isUnknownKey)?.path.map(({ key }) => String(key));
    if (path !== undefined) {
      // The schema reports one unknown key of a table at a time. So each is taken out, and the
      // table is checked again.
      const found = unknownKey(path, mending.table);
      const written = soundness.writtenAs(found.key);
      mending.rename(path, found.suggestion, (value, key) => settle(value, written, key));
      unknown.push({ ...found, key: written });
      if (found.suggestion === undefined) settled.add(path.slice(0, -1).reduce(joinKey, ""));
      continue;
    }
    for (const issue of issues) {
      const complaint = complaintOf(issue);
      const key = soundness.writtenAs(complaint.key);
      const isNew = soundness.isWhole(complaint.key) && !settled.has(complaint.key);
      if (isNew && !others.has(key)) others.set(key, { ...complaint, key });
      const at = issue.path.map((part) => String(part.key));
      if (issue.received === "undefined") mending.takeOut(at);
      else mending.replace(at, complaint.suggestion);
    }
  }
}

/** Replaces the issue of a union by those of the branches that read part of the value. */
function deepest(issue: v.BaseIssue<unknown>): Issue[] {
  const path = issue.path ?? [];
  const inner =
    issue.type === "union"
      ? (issue.issues ?? []).filter((branch) => (branch.path?.length ?? 0) > 0)
      : [];
  if (inner.length === 0) return [{ ...issue, path } as Issue];
  return inner.flatMap((branch) =>
    deepest({ ...branch, path: [...path, ...(branch.path ?? [])] } as Issue),
  );
}

function isUnknownKey(issue: Issue): boolean {
  return issue.type === "strict_object" && issue.expected === "never";
}

function unknownKey(path: Path, table: JsonObject): Complaint {
  const name = path.at(-1) ?? "";
  const allowed = keysAt(recipeSchema, path.slice(0, -1), table);
  const message = `unknown key "${name}"; allowed: ${allowed.join(", ")}`;
  return wrongWord(path.reduce(joinKey, ""), message, name, allowed);
}

function complaintOf(issue: Issue): Complaint {
  const key = issue.path.reduce((path, { key }) => joinKey(path, String(key)), "");
  if (issue.received === "undefined") return { key, message: "missing; it must be set" };
  const found = foundIn(issue.input);
  if (issue.type === "picklist" || issue.type === "variant" || issue.type === "literal") {
    const options = quotedIn(issue.expected ?? "");
    const message = `found ${found}; allowed: ${options.join(", ")}`;
    return wrongWord(key, message, String(issue.input), options);
  }
  return { key, message: `found ${found}; allowed: ${expectation(issue)}` };
}

function foundIn(input: unknown): string {
  if (isJsonObject(input)) return "a table";
  const text = JSON.stringify(input);
  return hasCredentials(text ?? "") ? "a URL with credentials" : text;
}

function quotedIn(text: string): readonly string[] {
  return [...text.matchAll(/"([^"]*)"/g)].map((match) => match[1] as string);
}

/** The allowed values: the message of our own schemas, or the type that the library expected. */
function expectation(issue: Issue): string {
  if (!issue.message.startsWith("Invalid ")) return issue.message;
  if (issue.type === "integer") return "a whole number";
  if (issue.type === "non_empty") return "a text that is not empty";
  return (issue.expected ?? "another value")
    .split(" | ")
    .map((part) => part.replace(/^\(|\)$/g, ""))
    .map((part) => EXPECTED[part] ?? part.replace(/^>=/, "at least ").replace(/^<=/, "at most "))
    .map((part) => part.replace(/^>/, "more than "))
    .join(" or ");
}

/** The library's names for types, in words. */
const EXPECTED: Readonly<Record<string, string>> = {
  Object: "a table",
  Array: "a list",
  number: "a number",
  boolean: "true or false",
  string: "a text",
};
