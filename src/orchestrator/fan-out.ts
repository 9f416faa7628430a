// fan-out: several roles act at once, each in its own branch. Then the roles `after` act in order
// on all answers.

import type { PatternConfig } from "../recipe/schema/orchestrator-schema.ts";
import { isJsonObject, type JsonObject } from "../task/json.ts";
import { isUnanswered } from "../task/task.ts";
import { done, fork, type Orchestrator, type Route, type RouteContext, to } from "./contract.ts";
import { compileOptional, outcomeOf, scoreOf, variablesOf } from "./results.ts";

/** The index of the role of `after` that acts; null in a branch. */
type State = number | null;

export function createFanOut({
  roles,
  after,
  score,
}: Extract<PatternConfig, { pattern: "fan-out" }>): Orchestrator<State> {
  const scoring = compileOptional(score);

  const end = (outcome: JsonObject, context: RouteContext): Route<State> =>
    done({ outcome, score: scoreOf(scoring, outcome, () => variablesOf(context, outcome)) });

  return {
    start: () =>
      fork<State>(
        roles.map((role) => to<State>(role, null)),
        0,
      ),
    next: (state, result, context) => {
      if (state === null) return done({ outcome: outcomeOf(result) });
      const following = after[state + 1];
      return following === undefined
        ? end(outcomeOf(result), context)
        : to<State>(following, state + 1);
    },
    join: (_, ended, context) => {
      // A missing answer ends the task: the roles `after` need all answers.
      const unanswered = ended.find((branch) => branch !== null && isUnanswered(branch.done));
      if (unanswered != null) return unanswered;
      if (ended.includes(null)) return null;
      const [following] = after;
      if (following !== undefined) return to<State>(following, 0);
      // Without a role `after`, the outcome has the answer of each role under the role's name.
      return end(
        Object.fromEntries(roles.map((role, index) => [role, sole(ended[index]?.outcome ?? {})])),
        context,
      );
    },
  };
}

/**
 * The answer in a branch's outcome. A value that is not an object is kept there under `result`, and
 * here by itself.
 */
function sole(outcome: JsonObject) {
  return Object.keys(outcome).length === 1 &&
    "result" in outcome &&
    !isJsonObject(outcome["result"])
    ? outcome["result"]
    : outcome;
}
