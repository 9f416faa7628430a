// JSON Schemas of recipes and records, for editors and for other programs. They come from the
// schemas that check recipes and records, so that an editor knows what the program knows.

import { toJsonSchema } from "@valibot/to-json-schema";
import * as v from "valibot";
import { WRITTEN } from "../../src/cli/editor/written.ts";
import { ORCHESTRATORS } from "../../src/recipe/schema/orchestrator-schema.ts";
import { extendsSchema, recipeSchema } from "../../src/recipe/schema/schema.ts";
import { recordSchema } from "../../src/records/check-record.ts";

type Node = { [key: string]: unknown };

/** A variable of the environment. A pattern applies to texts alone. */
const REFERENCE = "^\\$\\{env:[^}]*\\}$";
const SCALARS = new Set(["number", "integer", "boolean"]);
/** Tables that a recipe may leave incomplete, because it extends another, need no key. */
const ALWAYS_NEEDED = ["name", "dataset", "roles", "orchestrator"];

export function recipeJsonSchema(): Node {
  const { pattern, module, graph } = ORCHESTRATORS;
  const root = v.strictObject({
    extends: v.optional(extendsSchema),
    ...recipeSchema.entries,
    orchestrator: v.union([...pattern.options, module, graph]),
  });
  const { properties } = forEditors(convert(root)) as { properties: Node };
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    $comment: WRITTEN,
    title: "A recipe of matrix",
    description: "A recipe says everything about a run: rows, roles, models, sandboxes, the rule.",
    type: "object",
    properties,
    additionalProperties: false,
    if: { not: { required: ["extends"] } },
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema.
    then: { required: ALWAYS_NEEDED },
  };
}

export function recordJsonSchema(): Node {
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    $comment: WRITTEN,
    title: "A record of matrix",
    description: "One line of trajectories.jsonl: a (row, trial) and everything that came of it.",
    ...without(convert(recordSchema), "$schema"),
  };
}

function convert(schema: v.GenericSchema): Node {
  return toJsonSchema(schema, {
    typeMode: "input",
    errorMode: "ignore",
    target: "draft-07",
    // The program's own checks of texts have no words in JSON Schema. `matrix check` has them.
    overrideSchema: ({ valibotSchema, jsonSchema }) =>
      valibotSchema.type === "custom" ? { ...jsonSchema, type: "object" } : undefined,
  }) as Node;
}

/**
 * Makes a schema that an editor can work with. A key needs no other key, because a recipe may
 * extend another one. A table with several forms, told apart by a key such as `kind`, offers the
 * keys of all, and a wrong key is reported at the key.
 */
function forEditors(node: Node): Node {
  const { required: _, title: __, ...rest } = node;
  const forms = formsOf(rest);
  if (forms !== null) return withForms({ ...without(rest, "oneOf"), anyOf: forms });
  const made: Node = {};
  for (const [key, value] of Object.entries(rest)) {
    if (key === "properties")
      made[key] = mapValues(value as Node, (inner) => orReference(withDefault(forEditors(inner))));
    else if (key === "additionalProperties" || key === "items")
      made[key] = isNode(value) ? forEditors(value) : value;
    else if (key === "anyOf" || key === "oneOf") made["anyOf"] = (value as Node[]).map(forEditors);
    else made[key] = value;
  }
  return made;
}

/** The forms of a table, where a key with one value tells each. */
function formsOf({ oneOf, anyOf }: Node): readonly Node[] | null {
  const forms = (oneOf ?? anyOf) as readonly Node[] | undefined;
  return forms?.every((form) => isNode(form) && kindOf(form) !== null) === true ? forms : null;
}

/** The condition under which a table has this form. */
function kindOf({ properties = {} }: Node): Node | null {
  const all = properties as { [key: string]: Node };
  const literal = Object.entries(all).find(([, { const: value }]) => value !== undefined);
  if (literal !== undefined)
    return { required: [literal[0]], properties: { [literal[0]]: { const: literal[1]["const"] } } };
  const name = ["module", "graph"].find((name) => name in all);
  return name === undefined ? null : { required: [name] };
}

function withForms({ anyOf, ...rest }: Node): Node {
  const forms = (anyOf as readonly Node[]).map((form): Node => ({ ...form, ...forEditors(form) }));
  const all = new Map<string, Node[]>();
  for (const { properties } of forms)
    for (const [key, schema] of Object.entries(properties as { [key: string]: Node })) {
      const known = all.get(key) ?? [];
      if (!known.some((one) => JSON.stringify(one) === JSON.stringify(schema))) known.push(schema);
      all.set(key, known);
    }
  return {
    ...rest,
    type: "object",
    properties: Object.fromEntries([...all].map(([key, schemas]) => [key, oneOfMany(schemas)])),
    additionalProperties: false,
    ...choice(forms, (key) => all.get(key)?.length === 1),
  };
}

/**
 * The keys of the form that a table has: if it has the first form, then its keys, else those of the
 * next one. Taplo completes no key of a table with `allOf`.
 */
function choice([form, ...others]: readonly Node[], isAlike: (key: string) => boolean): Node {
  if (form === undefined) return {};
  const properties = Object.entries(form["properties"] as { [key: string]: Node }).map(
    ([key, schema]) => [key, isAlike(key) ? true : withoutTexts(schema)] as const,
  );
  return {
    if: kindOf(form),
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema.
    then: { properties: Object.fromEntries(properties), additionalProperties: false },
    ...(others.length === 0 ? {} : { else: choice(others, isAlike) }),
  };
}

function oneOfMany(schemas: readonly Node[]): Node {
  const [first = {}] = schemas;
  if (schemas.length === 1) return first;
  const values = schemas.flatMap(({ const: value }) => (value === undefined ? [] : [value]));
  if (values.length === schemas.length) return { enum: values };
  const texts = schemas.map(({ description }) => String(description ?? ""));
  return { description: [...new Set(texts)].join("\n\n"), anyOf: schemas };
}

/** The second place of a key needs no texts: an editor reads them at the first. */
function withoutTexts(node: Node): Node {
  const made: Node = {};
  for (const [key, value] of Object.entries(node)) {
    if (key === "description" || key === "examples" || key === "default") continue;
    made[key] = isNode(value)
      ? withoutTexts(value)
      : Array.isArray(value)
        ? value.map((one) => (isNode(one) ? withoutTexts(one) : one))
        : value;
  }
  return made;
}

function withDefault(node: Node): Node {
  const { description, default: value } = node;
  if (typeof description !== "string") return node;
  // Links lead from one page of the documentation to another.
  const plain = description.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1");
  const isPlain = value !== undefined && typeof value !== "object";
  return {
    ...node,
    description: isPlain ? `${plain}\n\nDefault: \`${JSON.stringify(value)}\`` : plain,
  };
}

/** Lets a number or a truth value also be a variable of the environment. */
function orReference(node: Node): Node {
  const { type } = node;
  return typeof type === "string" && SCALARS.has(type)
    ? { ...node, type: [type, "string"], pattern: REFERENCE }
    : node;
}

function mapValues(nodes: Node, map: (node: Node) => Node): Node {
  return Object.fromEntries(Object.entries(nodes).map(([key, node]) => [key, map(node as Node)]));
}

function without(node: Node, ...keys: readonly string[]): Node {
  return Object.fromEntries(Object.entries(node).filter(([key]) => !keys.includes(key)));
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
