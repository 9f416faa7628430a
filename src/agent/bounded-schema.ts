// A JSON schema in a form whose check takes time with the answer alone. A model writes the answer,
// and so chooses the text that a pattern, a format or a comparison of all items meets. The library
// gives patterns to JavaScript's own engine, and compares each item of a list with all others.
//
// `pattern` becomes a format of the library, since formats are functions. `patternProperties`
// becomes `properties` with the keys that the answer has. The schema that endpoints are sent is not
// touched.

import { MatrixError, messageOf } from "../error.ts";
import { nearestWord } from "../recipe/complaint.ts";
import { isJsonObject, type Json, type JsonObject } from "../task/json.ts";
import { compilePattern, type LinearPattern } from "../task/linear-pattern.ts";

/** Most items of the lists of an answer whose schema has `uniqueItems`. */
const UNIQUE_ITEMS_MAX = 5000;
/** Most checks of keys: objects of the answer times keys that match a pattern. */
const KEY_CHECKS_MAX = 20_000_000;

/** The beginning of the name of a format that is a pattern. */
export const PATTERN_FORMAT = "pattern ";

/** The formats of the library by name: tests of a text. New ones are added. */
type Formats = Record<string, (text: string) => boolean>;

/** The schema for one answer, or what is wrong with the answer. */
type BoundSchema = (value: Json) => JsonObject | string;

/** The types of JSON Schema. The library takes any other word for a type that nothing has. */
const TYPES = ["array", "boolean", "integer", "null", "number", "object", "string"];

/**
 * Fails with `recipe_invalid` for a type that JSON Schema does not have, and for a pattern that no
 * linear engine can match.
 */
export function boundSchema(definition: JsonObject, formats: Formats): BoundSchema {
  formats["url"] = isUrl;
  const keyPatterns = new Map<string, LinearPattern>();
  let comparesItems = false;
  const schema = mapSchema(definition, (part) => {
    refuseType(part);
    comparesItems ||= part["uniqueItems"] === true;
    const keyed = part["patternProperties"];
    for (const source of isJsonObject(keyed) ? Object.keys(keyed) : [])
      keyPatterns.set(source, compile(source, "patternProperties"));
    return withFormat(part, formats);
  }) as JsonObject;
  return (value) => {
    const { names, objects, longest } = measure(value);
    if (comparesItems && longest > UNIQUE_ITEMS_MAX)
      return `it has a list of ${longest} items; with uniqueItems, at most ${UNIQUE_ITEMS_MAX} are compared`;
    if (keyPatterns.size === 0) return schema;
    const matching = new Map<string, readonly string[]>();
    for (const [source, matches] of keyPatterns) matching.set(source, [...names].filter(matches));
    const keys = [...matching.values()].reduce((sum, { length }) => sum + length, 0);
    if (keys * objects > KEY_CHECKS_MAX) return "it has too many different keys to be checked";
    return mapSchema(schema, (part) => withKeys(part, matching)) as JsonObject;
  };
}

/** Keywords whose values are data, and hold no schema. */
const DATA: ReadonlySet<string> = new Set([
  "const",
  "enum",
  "default",
  "examples",
  "required",
  "dependentRequired",
]);
/** Keywords whose values are objects with a schema for each name. */
const MAPS: ReadonlySet<string> = new Set([
  "properties",
  "patternProperties",
  "dependentSchemas",
  "dependencies",
  "$defs",
  "definitions",
]);

/** A copy in which `change` was made to each schema, the inner ones first. */
function mapSchema(
  node: Json | undefined,
  change: (schema: JsonObject) => JsonObject,
  isMap = false,
): Json {
  if (Array.isArray(node)) return node.map((part) => mapSchema(part, change));
  if (!isJsonObject(node)) return node ?? null;
  const parts = Object.entries(node).map(([key, part]) => {
    const isData = !isMap && DATA.has(key);
    return [key, isData ? part : mapSchema(part, change, !isMap && MAPS.has(key))] as const;
  });
  const copy = Object.fromEntries(parts);
  return isMap ? copy : change(copy);
}

function refuseType({ type }: JsonObject): void {
  for (const name of [type].flat()) {
    if (typeof name !== "string" || TYPES.includes(name)) continue;
    const near = nearestWord(name, TYPES);
    const hint = near === undefined ? `types: ${TYPES.join(", ")}` : `did you mean "${near}"?`;
    const message = `the schema's type "${name}" is not a type of JSON Schema`;
    throw new MatrixError("recipe_invalid", message, { hint });
  }
}

/** The schema with its pattern as a format, beside the format that it may have. */
function withFormat(schema: JsonObject, formats: Formats): JsonObject {
  const { pattern, ...rest } = schema;
  if (typeof pattern !== "string") return schema;
  const name = `${PATTERN_FORMAT}${pattern}`;
  formats[name] ??= compile(pattern, "pattern");
  if (rest["format"] === undefined) return { ...rest, format: name };
  const others = Array.isArray(rest["allOf"]) ? (rest["allOf"] as readonly Json[]) : [];
  return { ...rest, allOf: [...others, { format: name }] };
}

/** The library's own test of a URL takes exponential time for some texts. */
function isUrl(text: string): boolean {
  return /^(?:https?|ftp):\/\/\S/i.test(text) && URL.canParse(text);
}

function compile(source: string, keyword: string): LinearPattern {
  try {
    return compilePattern(source);
  } catch (cause) {
    throw new MatrixError(
      "recipe_invalid",
      `the schema's ${keyword} ${JSON.stringify(source)} cannot be checked: ${messageOf(cause)}`,
      {
        hint:
          "patterns are matched in linear time (RE2): without lookaheads and back-references, " +
          "repeats up to 1000; `not`, `allOf`, `minLength` and `maxLength` can say the rest",
        cause,
      },
    );
  }
}

/** The schema with the keys that match a pattern as properties. */
function withKeys(
  schema: JsonObject,
  matching: ReadonlyMap<string, readonly string[]>,
): JsonObject {
  const { patternProperties, ...rest } = schema;
  if (!isJsonObject(patternProperties)) return schema;
  const own = isJsonObject(rest["properties"]) ? rest["properties"] : {};
  const schemas = new Map(Object.entries(own).map(([key, part]) => [key, [part as Json]]));
  for (const [source, part] of Object.entries(patternProperties))
    for (const key of matching.get(source) ?? [])
      schemas.set(key, [...(schemas.get(key) ?? []), part as Json]);
  const properties = Object.fromEntries([...schemas].map(([key, allOf]) => [key, { allOf }]));
  return { ...rest, properties };
}

interface Measured {
  /** The keys of all objects. */
  readonly names: ReadonlySet<string>;
  objects: number;
  /** The length of the longest list. */
  longest: number;
}

function measure(value: Json): Measured {
  const names = new Set<string>();
  const measured = { names, objects: 0, longest: 0 };
  const visit = (part: Json): void => {
    if (Array.isArray(part)) {
      measured.longest = Math.max(measured.longest, part.length);
      for (const item of part) visit(item);
      return;
    }
    if (!isJsonObject(part)) return;
    measured.objects++;
    for (const [key, inner] of Object.entries(part)) {
      names.add(key);
      visit(inner as Json);
    }
  };
  visit(value);
  return measured;
}
