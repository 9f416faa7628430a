// Reads the allowed keys of a table from a schema. An error message offers them in place of an
// unknown key.

import { isJsonObject } from "../../task/json.ts";

/**
 * The keys of the table at a path. The values of `input`, the whole recipe, decide among variants.
 */
export function keysAt(root: unknown, path: readonly string[], input: unknown): string[] {
  let schema = root;
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

/** The parts of valibot's schemas that are read here. */
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

/** The schema of a table behind optionals, lazy schemas, variants and unions. */
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
