// The JSON schema of an answer: which texts count as an answer, and what is wrong with the others.

import { format, Validator } from "@cfworker/json-schema";
import { messageOf } from "../error.ts";
import { isTooDeep, TOO_DEEP } from "../task/depth.ts";
import { ExactNumber, parseJson } from "../task/exact.ts";
import type { Json, JsonObject } from "../task/json.ts";
import { boundSchema, PATTERN_FORMAT } from "./bounded-schema.ts";

const PROBLEMS_SHOWN = 3;
/** Python reads no whole number of more digits, and refuses the file that has one. */
const NUMBER_CHARS_MAX = 4300;
/**
 * Characters of a text whose problems are all listed. A longer text gets its first problem alone,
 * because a list of all may be larger than memory.
 */
const EXPLAINED_CHARS_MAX = 2 ** 20;

export type Checked =
  | { readonly ok: true; readonly value: Json }
  | { readonly ok: false; readonly problem: string };

export interface AnswerSchema {
  /** The schema itself, for `response_format`. */
  readonly definition: JsonObject;
  check(content: string | null): Checked;
}

/** Fails with `recipe_invalid` for a schema with a pattern that cannot be checked. */
export function createAnswerSchema(definition: JsonObject): AnswerSchema {
  const bounded = boundSchema(definition, format);
  let checker: { readonly schema: JsonObject; readonly validator: Validator } | null = null;
  const check = (content: string | null): Checked => {
    let value: Json;
    // The validator knows the numbers of JavaScript alone.
    let plain: Json;
    try {
      const text = unfence(content ?? "");
      value = parseJson(text) as Json;
      plain = JSON.parse(text) as Json;
    } catch (cause) {
      return { ok: false, problem: `it is not JSON (${messageOf(cause)})` };
    }
    if (isTooDeep(value)) return { ok: false, problem: `it ${TOO_DEEP}` };
    if (hasLongNumber(value))
      return { ok: false, problem: `it has a number of more than ${NUMBER_CHARS_MAX} characters` };
    const schema = bounded(plain);
    if (typeof schema === "string") return { ok: false, problem: schema };
    if (checker?.schema !== schema)
      checker = { schema, validator: new Validator(schema, "2020-12", true) };
    const { valid, errors } = checker.validator.validate(plain);
    if (valid) return { ok: true, value };
    const isLong = (content ?? "").length > EXPLAINED_CHARS_MAX;
    return { ok: false, problem: explain(isLong ? errors : allErrors(schema, plain)) };
  };
  return {
    definition,
    check,
  };
}

/** A number with this many digits stays an ExactNumber. */
function hasLongNumber(value: Json): boolean {
  if (value instanceof ExactNumber) return value.toString().length > NUMBER_CHARS_MAX;
  if (typeof value !== "object" || value === null) return false;
  return Object.values(value).some(hasLongNumber);
}

type Problems = ReturnType<Validator["validate"]>["errors"];

function allErrors(schema: JsonObject, value: Json): Problems {
  return new Validator(schema, "2020-12", false).validate(value).errors;
}

/** The validator reports from the outside in, so the last errors name the exact place. */
function explain(errors: Problems): string {
  return errors
    .slice(-PROBLEMS_SHOWN)
    .map(({ instanceLocation, error }) => `${instanceLocation}: ${worded(error)}`)
    .join("; ");
}

function worded(error: string): string {
  const [, pattern] = error.split(`format "${PATTERN_FORMAT}`);
  return pattern === undefined ? error : `String does not match pattern "${pattern}`;
}

/** Takes the JSON out of a Markdown fence, in which models like to wrap it. */
function unfence(content: string): string {
  const text = content.trim();
  if (!text.startsWith("```") || !text.endsWith("```")) return content;
  const inside = text.slice(text.startsWith("```json") ? 7 : 3, -3);
  const isFenced = startsLine(inside) && endsLine(inside);
  return isFenced ? inside.trim() : content;
}

/** True when nothing but white space stands before the first line break. */
function startsLine(text: string): boolean {
  return text.slice(0, text.length - text.trimStart().length).includes("\n");
}

function endsLine(text: string): boolean {
  return text.slice(text.trimEnd().length).includes("\n");
}
