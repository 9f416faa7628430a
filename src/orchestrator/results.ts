// What the expressions of patterns can see: the last result of each role, read from the history rather than carried twice.

import { compileExpression, type Expression } from "../recipe/expression.ts";
import type { Json, JsonObject } from "../task/json.ts";
import { isJsonObject } from "../task/json.ts";
import type { RouteContext } from "./contract.ts";

export type Compiled = Expression | null;

/** Compiles an optional expression of a pattern. */
export function compileOptional(source: string | undefined): Compiled {
  return source === undefined ? null : compileExpression(source);
}

/** The variables of a pattern's expressions: `row`, `result`, `results` (last result of each role) and what the pattern adds. */
export function variablesOf(
  context: RouteContext,
  result: Json,
  more: JsonObject = {},
): JsonObject {
  const results: Record<string, Json> = {};
  for (const hop of context.history) results[hop.role] = hop.result;
  return { row: context.row, result, results, ...more };
}

/** The score of a finished task: by the pattern's expression, else the `score` of its outcome, else none. */
export function scoreOf(
  score: Compiled,
  outcome: JsonObject | null,
  variables: () => JsonObject,
): number | null {
  const value = score === null ? outcome?.["score"] : score(variables());
  if (typeof value === "boolean") return value ? 1 : 0;
  return typeof value === "number" ? value : null;
}

/** A result as the outcome of a task: an object stands as it is, of a chat message its checked answer, anything else under `result`. */
export function outcomeOf(result: Json): JsonObject {
  if (!isJsonObject(result)) return { result };
  if (!("role" in result)) return result;
  return isJsonObject(result["parsed"]) ? result["parsed"] : { result };
}
