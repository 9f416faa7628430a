// Draws a small valid instance of a JSON schema by seed. The simulated model answers with it when a
// request has a schema.

import { isJsonObject, type Json, type JsonObject } from "../task/json.ts";

/** Deeper levels become null, so that a recursive schema ends. */
const DEPTH_MAX = 8;

/**
 * Covers what schemas of answers use: types, enum, const, properties, items, anyOf, bounds, local
 * $ref.
 */
export function drawInstance(schema: JsonObject, random: () => number, words: () => string): Json {
  const draw = (node: Json | undefined, depth: number): Json => {
    if (!isJsonObject(node) || depth > DEPTH_MAX) return null;
    if ("const" in node) return node["const"] ?? null;
    if (typeof node["$ref"] === "string") return draw(resolve(schema, node["$ref"]), depth + 1);
    const choices = node["enum"] ?? node["anyOf"] ?? node["oneOf"];
    if (Array.isArray(choices)) {
      const choice = pick(choices as readonly Json[], random);
      return node["enum"] === undefined ? draw(choice, depth + 1) : choice;
    }
    const type = Array.isArray(node["type"])
      ? node["type"][0]
      : (node["type"] ?? (node["properties"] === undefined ? "null" : "object"));
    switch (type) {
      case "object": {
        const properties = isJsonObject(node["properties"]) ? node["properties"] : {};
        return Object.fromEntries(
          Object.entries(properties).map(([key, value]) => [key, draw(value, depth + 1)]),
        );
      }
      case "array": {
        const length = Math.max(
          numberOf(node["minItems"], 1),
          Math.min(2, numberOf(node["maxItems"], 2)),
        );
        return Array.from({ length }, () => draw(node["items"], depth + 1));
      }
      case "integer":
      case "number": {
        const min = numberOf(node["minimum"], 0);
        const value = min + (numberOf(node["maximum"], min + 10) - min) * random();
        return type === "integer" ? Math.round(value) : Math.round(value * 100) / 100;
      }
      case "boolean":
        return random() < 0.5;
      case "string":
        return words();
      default:
        return null;
    }
  };
  return draw(schema, 0);
}

/** Follows a pointer into the schema itself, such as "#/$defs/x". */
function resolve(schema: JsonObject, pointer: string): Json | undefined {
  let node: Json | undefined = schema;
  for (const part of pointer.split("/").slice(1))
    node = isJsonObject(node) ? node[part] : undefined;
  return node;
}

function pick<T>(choices: readonly T[], random: () => number): T {
  return choices[Math.floor(random() * choices.length)] as T;
}

function numberOf(value: Json | undefined, fallback: number): number {
  return typeof value === "number" ? value : fallback;
}
