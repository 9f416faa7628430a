// The JSON schema of an answer: which texts count as an answer, and what is wrong with the others.

import { Validator } from "@cfworker/json-schema";
import { messageOf } from "../error.ts";
import { isTooDeep, TOO_DEEP } from "../task/depth.ts";
import { parseJson } from "../task/exact.ts";
import type { Json, JsonObject } from "../task/json.ts";

const PROBLEMS_SHOWN = 3;

export type Checked =
  | { readonly ok: true; readonly value: Json }
  | { readonly ok: false; readonly problem: string };

export interface AnswerSchema {
  /** The schema itself, for `response_format`. */
  readonly definition: JsonObject;
  check(content: string | null): Checked;
}

export function createAnswerSchema(definition: JsonObject): AnswerSchema {
  const validator = new Validator(definition, "2020-12", false);
  const check = (content: string | null): Checked => {
    let value: Json;
    // The validator knows the numbers of JavaScript alone.
    let plain: unknown;
    try {
      const text = unfence(content ?? "");
      value = parseJson(text) as Json;
      plain = JSON.parse(text);
    } catch (cause) {
      return { ok: false, problem: `it is not JSON (${messageOf(cause)})` };
    }
    if (isTooDeep(value)) return { ok: false, problem: `it ${TOO_DEEP}` };
    const { valid, errors } = validator.validate(plain);
    if (valid) return { ok: true, value };
    // The validator reports from the outside in, so the last errors name the exact place.
    const shown = errors
      .slice(-PROBLEMS_SHOWN)
      .map(({ instanceLocation, error }) => `${instanceLocation}: ${error}`);
    return { ok: false, problem: shown.join("; ") };
  };
  return {
    definition,
    check,
  };
}

/** Takes the JSON out of a Markdown fence, in which models like to wrap it. */
function unfence(content: string): string {
  return /^\s*```(?:json)?\s*\n([\s\S]*?)\n\s*```\s*$/.exec(content)?.[1] ?? content;
}
