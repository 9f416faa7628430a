// pipeline: stages act in order, and each may end the task early as `filtered`, as most rows of a
// curation run do.

import type { PatternConfig } from "../recipe/schema/orchestrator-schema.ts";
import { done, type Orchestrator, to } from "./contract.ts";
import { compileOptional, outcomeOf, scoreOf, variablesOf } from "./results.ts";

/** The index of the stage that acts. */
type State = number;

export function createPipeline(
  config: Extract<PatternConfig, { pattern: "pipeline" }>,
): Orchestrator<State> {
  const stages = config.stages.map(({ role, keep }) => ({ role, keep: compileOptional(keep) }));
  const scoring = compileOptional(config.score);
  return {
    start: () => to<State>(stages[0]?.role ?? "", 0),
    next: (state, result, context) => {
      const stage = stages[state];
      if (stage?.keep && stage.keep(variablesOf(context, result)) !== true) {
        return done({
          reason: "filtered",
          outcome: { filtered_by: stage.role, ...outcomeOf(result) },
        });
      }
      const following = stages[state + 1];
      if (following !== undefined) return to<State>(following.role, state + 1);
      const outcome = outcomeOf(result);
      return done({
        outcome,
        score: scoreOf(scoring, outcome, () => variablesOf(context, result)),
      });
    },
  };
}
