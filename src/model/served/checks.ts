// Checks of the fields of a request to the simulated endpoint, in the words of an OpenAI error: the
// field, and what it must be. Fields that are null count as missing, and unknown fields are left
// alone.

import { isTooDeep, TOO_DEEP } from "../../task/depth.ts";
import { isJsonObject, type Json, type JsonObject } from "../../task/json.ts";

/** A fault of a request, and the field that has it. */
export interface Wrong {
  readonly message: string;
  readonly param: string | null;
}

type Check = readonly [must: string, isRight: (value: Json) => boolean];

export const isText = (value: Json | undefined): value is string => typeof value === "string";
const isFlag = (value: Json) => typeof value === "boolean";
const isWhole = (value: Json): value is number => Number.isInteger(value);

export const TEXT: Check = ["a text", isText];
export const FLAG: Check = ["true or false", isFlag];
export const WHOLE: Check = ["a whole number", isWhole];
export const TABLE: Check = ["an object", isJsonObject];

export function wholeFrom(min: number, max = Number.POSITIVE_INFINITY): Check {
  const bounds = max === Number.POSITIVE_INFINITY ? `from ${min}` : `from ${min} to ${max}`;
  return [`a whole number ${bounds}`, (value) => isWhole(value) && value >= min && value <= max];
}

export function numberFrom(min: number, max: number): Check {
  return [
    `a number from ${min} to ${max}`,
    (value) => typeof value === "number" && value >= min && value <= max,
  ];
}

export function oneOf(...words: readonly string[]): Check {
  return [`one of ${words.join(", ")}`, (value) => isText(value) && words.includes(value)];
}

/** A list that is not empty. */
export function listOf(what: string, isRight: (value: Json) => boolean): Check {
  return [
    `a list of ${what}, at least one`,
    (value) => Array.isArray(value) && value.length > 0 && (value as Json[]).every(isRight),
  ];
}

export function either(...checks: readonly Check[]): Check {
  return [
    checks.map(([must]) => must).join(", or "),
    (value) => checks.some(([, isRight]) => isRight(value)),
  ];
}

/** The fields that endpoints of both kinds take. */
export const SAMPLING: Readonly<Record<string, Check>> = {
  model: TEXT,
  n: wholeFrom(1, 128),
  stream: FLAG,
  stream_options: TABLE,
  seed: WHOLE,
  temperature: numberFrom(0, 2),
  top_p: numberFrom(0, 1),
  max_tokens: wholeFrom(1),
  max_completion_tokens: wholeFrom(1),
  presence_penalty: numberFrom(-2, 2),
  frequency_penalty: numberFrom(-2, 2),
  stop: either(TEXT, ["a list of texts", (value) => Array.isArray(value) && value.every(isText)]),
  logit_bias: TABLE,
  user: TEXT,
};

/** The body as an object without its nulls, or what is wrong with it. */
export function parseBody(
  text: string,
  checks: Readonly<Record<string, Check>>,
): { readonly body: JsonObject } | { readonly wrong: Wrong } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { wrong: { message: "the body is not JSON", param: null } };
  }
  if (isTooDeep(value)) return { wrong: { message: `the body ${TOO_DEEP}`, param: null } };
  if (!isJsonObject(value))
    return { wrong: { message: "the body must be an object", param: null } };
  const body = Object.fromEntries(Object.entries(value).filter(([, field]) => field !== null));
  for (const [param, [must, isRight]] of Object.entries(checks)) {
    const field = body[param];
    if (field !== undefined && !isRight(field))
      return { wrong: { message: `${param} must be ${must}`, param } };
  }
  if (body["stream_options"] !== undefined && body["stream"] !== true)
    return { wrong: { message: "stream_options needs stream = true", param: "stream_options" } };
  return { body };
}
