// The keys of a table, read from its schema: name, kind, default, text and examples of each.

import * as v from "valibot";

export interface Key {
  /** From the table: `budget.money`. Keys of tables in a list stand under `NAME[]`. */
  readonly path: string;
  /** In Markdown. */
  readonly kind: string;
  readonly isRequired: boolean;
  /** As a recipe would write it; undefined without a default. */
  readonly default: unknown;
  readonly text: string;
  /** As a recipe would write them. */
  readonly examples: readonly unknown[];
  readonly schema: v.GenericSchema;
}

/** The parts of valibot's schemas that are read here. */
interface SchemaLike {
  readonly type: string;
  readonly wrapped?: v.GenericSchema;
  readonly default?: unknown;
  readonly entries?: Readonly<Record<string, v.GenericSchema>>;
  readonly options?: readonly unknown[];
  readonly item?: v.GenericSchema;
  readonly literal?: unknown;
}

/**
 * Every key of a table; the keys of an inner table follow it. A key without a description is an
 * error, except for a literal.
 */
export function keysOf(table: unknown, prefix = ""): readonly Key[] {
  return Object.entries(like(table).entries ?? {}).flatMap(([name, entry]) => {
    const path = `${prefix}${name}`;
    const optional = like(entry);
    const schema = optional.type === "optional" && optional.wrapped ? optional.wrapped : entry;
    if (like(schema).type === "literal") return [];
    const text = v.getDescription(schema);
    if (text === undefined) throw new Error(`${path} has no description`);
    const key: Key = {
      path,
      kind: kindOf(schema),
      isRequired: optional.type !== "optional",
      default: optional.default,
      text,
      examples: examplesOf(schema),
      schema,
    };
    return [key, ...innerKeys(schema, path)];
  });
}

/** The key with a fixed value that tells one form of a table from another: `kind = "openai"`. */
export function literalOf(table: unknown): readonly [name: string, value: unknown] | null {
  for (const [name, entry] of Object.entries(like(table).entries ?? {}))
    if (like(entry).type === "literal") return [name, like(entry).literal];
  return null;
}

/** The keys of a table, of the tables in a list, or of the table in a union. */
function innerKeys(schema: v.GenericSchema, path: string): readonly Key[] {
  const { type, item, options = [] } = like(schema);
  if (type === "strict_object") return keysOf(schema, `${path}.`);
  if (type === "array" && like(item).type === "strict_object") return keysOf(item, `${path}[].`);
  const table = type === "union" ? options.find((option) => isDescribed(option)) : undefined;
  return table === undefined ? [] : keysOf(table, `${path}.`);
}

/** Tells a table of keys from templates and distributions, which the page describes as kinds. */
function isDescribed(schema: unknown): boolean {
  const { type, entries = {} } = like(schema);
  return type === "strict_object" && Object.values(entries).every((entry) => like(entry).wrapped);
}

function kindOf(schema: v.GenericSchema): string {
  const title = v.getTitle(schema);
  if (title !== undefined) return title;
  const { type, options = [], item } = like(schema);
  if (type === "picklist") return options.map((option) => `\`${option}\``).join(", ");
  if (type === "array" && item !== undefined)
    return like(item).type === "picklist" ? `list of ${kindOf(item)}` : `list of ${kindOf(item)}s`;
  if (type === "strict_object") return "table";
  throw new Error(`a schema of type ${type} has no title`);
}

function examplesOf(schema: v.GenericSchema): readonly unknown[] {
  const { examples } = v.getMetadata(schema);
  return Array.isArray(examples) ? examples : [];
}

function like(schema: unknown): SchemaLike {
  return schema as SchemaLike;
}
