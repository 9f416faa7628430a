// Variables of the expressions in patterns, and the score and outcome of a finished task. The last
// result of each role is read from the history, so that the state need not carry it again.

import { compileExpression, type Expression } from "../recipe/expression/expression.ts";
import type { Json, JsonObject } from "../task/json.ts";
import { isJsonObject } from "../task/json.ts";
import type { RouteContext } from "./contract.ts";

export type Compiled = Expression | null;

/** Compiles an optional expression of a pattern; null when it is not set. */
export function compileOptional(source: string | undefined): Compiled {
  return source === undefined ? null : compileExpression(source);
}

/**
 * The variables of a pattern's expressions: `row`, `result`, `results` (the last result of each
 * role), and those that the pattern adds.
 */
export function variablesOf(
  context: RouteContext,
  result: Json,
  more: JsonObject = {},
): JsonObject {
  const results: Record<string, Json> = {};
  for (const hop of context.history) results[hop.role] = hop.result;
  return { row: context.row, result, results, ...more };
}

/**
 * The score of a finished task: the value of the `score` expression, or the `score` in the outcome
 * when no expression is set. A boolean counts as 1 or 0. Null for a value that is not a number.
 */
export function scoreOf(
  score: Compiled,
  outcome: JsonObject | null,
  variables: () => JsonObject,
): number | null {
  const value = score === null ? outcome?.["score"] : score(variables());
  if (typeof value === "boolean") return value ? 1 : 0;
  return typeof value === "number" ? value : null;
}

/**
 * A result as the outcome of a task: the parsed answer of a chat message, an object that is not a
 * chat message as it is, and anything else under `result`.
 */
export function outcomeOf(result: Json): JsonObject {
  if (!isJsonObject(result)) return { result };
  if (!("role" in result)) return result;
  return isJsonObject(result["parsed"]) ? result["parsed"] : { result };
}
