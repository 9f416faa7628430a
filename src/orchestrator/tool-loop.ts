// tool-loop: a speaker and its tools act in turn until the speaker calls no tool, a condition
// holds, or the turns are used up. Then the reward role acts, if there is one.

import type { PatternConfig } from "../recipe/schema/orchestrator-schema.ts";
import type { Json } from "../task/json.ts";
import { isJsonObject } from "../task/json.ts";
import {
  done,
  type EndReason,
  type Orchestrator,
  type Route,
  type RouteContext,
  to,
} from "./contract.ts";
import { compileOptional, outcomeOf, scoreOf, variablesOf } from "./results.ts";

type State =
  | { readonly at: "speaker" | "tools"; readonly turn: number }
  /** The loop is over, and the reward role acts. */
  | { readonly at: "reward"; readonly turn: number; readonly reason: EndReason };

export function createToolLoop(
  config: Extract<PatternConfig, { pattern: "tool-loop" }>,
): Orchestrator<State> {
  const { speaker, tools, reward, max_turns: maxTurns } = config;
  const until = compileOptional(config.until);
  const scoring = compileOptional(config.score);

  const finish = (
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
  const leave = (
    reason: EndReason,
    turn: number,
    result: Json,
    context: RouteContext,
  ): Route<State> =>
    reward === undefined
      ? finish(reason, turn, result, context)
      : to<State>(reward, { at: "reward", turn, reason });

  return {
    start: () => to<State>(speaker, { at: "speaker", turn: 0 }),
    next: (state, result, context) => {
      if (state.at === "reward") return finish(state.reason, state.turn, result, context);
      const turn = state.at === "speaker" ? state.turn + 1 : state.turn;
      if (until?.(variablesOf(context, result, { turn })) === true)
        return leave("stopped", turn, result, context);
      if (state.at === "speaker" && callsTools(result))
        return to<State>(tools, { at: "tools", turn });
      if (state.at === "speaker") return leave("stopped", turn, result, context);
      return turn >= maxTurns
        ? leave("max_turns", turn, result, context)
        : to<State>(speaker, { at: "speaker", turn });
    },
  };
}

function callsTools(result: Json): boolean {
  return (
    isJsonObject(result) && Array.isArray(result["tool_calls"]) && result["tool_calls"].length > 0
  );
}
