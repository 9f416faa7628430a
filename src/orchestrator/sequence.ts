// sequence: roles act in order, each once. The last result is the outcome.

import type { PatternConfig } from "../recipe/schema/orchestrator-schema.ts";
import { done, type Orchestrator, to } from "./contract.ts";
import { compileOptional, outcomeOf, scoreOf, variablesOf } from "./results.ts";

/** The index of the role that acts. */
type State = number;

export function createSequence({
  roles,
  score,
}: Extract<PatternConfig, { pattern: "sequence" }>): Orchestrator<State> {
  const scoring = compileOptional(score);
  return {
    start: () => to<State>(roles[0] ?? "", 0),
    next: (state, result, context) => {
      const following = roles[state + 1];
      if (following !== undefined) return to<State>(following, state + 1);
      const outcome = outcomeOf(result);
      return done({
        outcome,
        score: scoreOf(scoring, outcome, () => variablesOf(context, result)),
      });
    },
  };
}
