// Keys and values of a recipe for `key=value`, from the JSON Schema that editors have. The recipe
// itself knows the names of its roles, models and sandboxes.

import { isJsonObject, type JsonObject } from "../../task/json.ts";
import recipeSchemaText from "../editor/recipe.schema.json.txt" with { type: "text" };
import { type Candidate, firstLine } from "./candidates.ts";

/** A part of the schema, as far as it is read here. */
interface Node {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly additionalProperties?: Node | boolean;
  readonly anyOf?: readonly Node[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly required?: readonly string[];
  readonly if?: Node;
  readonly then?: Node;
  readonly else?: Node;
}

/** Keys whose values are names of tables in another section. */
const NAMES: readonly (readonly [key: RegExp, section: string])[] = [
  [/^roles\.[^.]+\.model$/, "models"],
  [/^roles\.[^.]+\.sandbox$/, "sandboxes"],
];

/** `recipe` is the table as it is written; empty when there is none to read. */
export function keyCandidates(word: string, recipe: JsonObject): readonly Candidate[] {
  const equals = word.indexOf("=");
  return equals === -1
    ? keysAfter(word, recipe)
    : valuesOfKey(word.slice(0, equals), recipe).map((value) => ({
        value: `${word.slice(0, equals)}=${value}`,
        text: "",
      }));
}

function keysAfter(word: string, recipe: JsonObject): readonly Candidate[] {
  const parts = word.split(".").slice(0, -1);
  const at = nodeAt(parts);
  if (at === null) return [];
  const prefix = parts.map((part) => `${part}.`).join("");
  const table = tableAt(recipe, parts);
  const names = isNode(at.additionalProperties) ? Object.keys(table) : [];
  const isTop = parts.length === 0;
  // An override cannot extend another recipe.
  const open = keysOf(at, table).filter((key) => !(isTop && key === "extends"));
  const keys = open.map((key) => [key, at.properties?.[key] ?? {}] as const);
  return [
    ...names.map((name) => ({ value: `${prefix}${name}.`, text: "" })),
    ...keys.map(([key, node]) => ({
      value: `${prefix}${key}${isTable(node) ? "." : "="}`,
      text: firstLine(node.description ?? ""),
    })),
  ];
}

function valuesOfKey(key: string, recipe: JsonObject): readonly string[] {
  const section = NAMES.find(([pattern]) => pattern.test(key))?.[1];
  if (section !== undefined) return Object.keys(tableAt(recipe, [section]));
  const node = nodeAt(key.split("."));
  if (node === null) return [];
  const { enum: values = [], type } = node;
  return [type].flat().includes("boolean") ? ["true", "false"] : values.map(String);
}

/** The part of the schema for a key path; null for a path that no recipe has. */
function nodeAt(parts: readonly string[]): Node | null {
  let node: Node = JSON.parse(recipeSchemaText);
  for (const part of parts) {
    const table = [node, ...(node.anyOf ?? [])].find(isTable);
    const inner = table?.properties?.[part] ?? table?.additionalProperties;
    if (!isNode(inner)) return null;
    node = inner;
  }
  return [node, ...(node.anyOf ?? [])].find(isTable) ?? node;
}

/** The keys of a table, of its form alone where the recipe has chosen one. */
function keysOf(node: Node, table: JsonObject): readonly string[] {
  // The condition of the whole recipe is about `extends`, and names no form.
  for (let form: Node | undefined = node; form?.if?.required !== undefined; form = form.else)
    if (isOfForm(form.if, table)) return Object.keys(form.then?.properties ?? {});
  return Object.keys(node.properties ?? {});
}

function isOfForm({ required = [], properties = {} }: Node, table: JsonObject): boolean {
  return required.every((key) => {
    const wanted = properties[key]?.const;
    return wanted === undefined ? key in table : table[key] === wanted;
  });
}

function isTable(node: Node): boolean {
  return node.properties !== undefined || isNode(node.additionalProperties);
}

function tableAt(recipe: JsonObject, parts: readonly string[]): JsonObject {
  let table = recipe;
  for (const part of parts) {
    const inner = table[part];
    table = isJsonObject(inner) ? inner : {};
  }
  return table;
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null;
}
