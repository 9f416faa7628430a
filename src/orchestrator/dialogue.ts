// dialogue: speakers take turns until a condition holds or the turns are used up. After each turn
// the roles `between` act in order (an extractor, a judge). The last result is the outcome of the
// task.

import type { PatternConfig } from "../recipe/schema/orchestrator-schema.ts";
import type { Json, JsonObject } from "../task/json.ts";
import {
  done,
  type EndReason,
  type Orchestrator,
  type Route,
  type RouteContext,
  to,
} from "./contract.ts";
import { compileOptional, outcomeOf, scoreOf, variablesOf } from "./results.ts";

interface State extends JsonObject {
  /** The number of finished turns. */
  readonly turn: number;
  /** The role that acts: 0 for the speaker, i for the i-th role of `between`. */
  readonly step: number;
}

export function createDialogue(
  config: Extract<PatternConfig, { pattern: "dialogue" }>,
): Orchestrator<State> {
  const { speakers, between, max_turns: maxTurns } = config;
  const until = compileOptional(config.until);
  const scoring = compileOptional(config.score);
  const speak = (turn: number): Route<State> =>
    to<State>(speakers[turn % speakers.length] ?? "", { turn, step: 0 });

  const end = (
    reason: EndReason,
    turn: number,
    result: Json,
    context: RouteContext,
  ): Route<State> => {
    const outcome = { turns: turn, ...outcomeOf(result) };
    return done({
      reason,
      outcome,
      score: scoreOf(scoring, outcome, () => variablesOf(context, result, { turn })),
    });
  };

  return {
    start: () => speak(0),
    next: ({ turn, step }, result, context) => {
      const following = between[step];
      if (following !== undefined) return to<State>(following, { turn, step: step + 1 });
      const turns = turn + 1;
      if (until?.(variablesOf(context, result, { turn: turns })) === true)
        return end("agreed", turns, result, context);
      return turns >= maxTurns ? end("max_turns", turns, result, context) : speak(turns);
    },
  };
}
