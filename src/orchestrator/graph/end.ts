// The end of a graph, in TypeScript or Python: what its state and last results say of the record.

import { isJsonObject, type Json, type JsonObject } from "../../task/json.ts";
import { type Done, done, END_REASONS, type EndReason, type RouteContext } from "../contract.ts";
import { type Compiled, outcomeOf, scoreOf, variablesOf } from "../results.ts";

/** Channels of the state that say how the record ends, if the graph has them. */
const ENDING = { reason: "stop_reason", score: "score", outcome: "outcome" } as const;

export function endOf(
  values: JsonObject,
  result: Json,
  scoring: Compiled,
  context: RouteContext,
): Done {
  const {
    [ENDING.reason]: reason = "completed",
    [ENDING.outcome]: told = null,
    [ENDING.score]: stated,
  } = values;
  if (!isEndReason(reason))
    throw new Error(
      `${ENDING.reason} is ${JSON.stringify(reason)}; allowed: ${END_REASONS.join(", ")}`,
    );
  const outcome = isJsonObject(told) ? told : outcomeOf(result);
  const score = scoreOf(scoring, stated === undefined ? outcome : { score: stated }, () =>
    variablesOf(context, result, values),
  );
  return done({ reason, outcome, score });
}

function isEndReason(value: Json): value is EndReason {
  return END_REASONS.some((reason) => reason === value);
}
