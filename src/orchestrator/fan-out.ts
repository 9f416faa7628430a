// fan-out: several roles asked at once, each in a branch of its own, and then the roles that make something of all answers.

import type { PatternConfig } from "../recipe/orchestrator-schema.ts";
import { isJsonObject, type JsonObject } from "../task/json.ts";
import { isUnanswered } from "../task/task.ts";
import { done, fork, type Orchestrator, type Route, type RouteContext, to } from "./contract.ts";
import { compileOptional, outcomeOf, scoreOf, variablesOf } from "./results.ts";

/** Of a branch: nothing. Of the task: the index of the role after the join that runs. */
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
      // Without one of the answers there is nothing to sum up.
      const unanswered = ended.find((branch) => branch !== null && isUnanswered(branch.done));
      if (unanswered != null) return unanswered;
      if (ended.includes(null)) return null;
      const [following] = after;
      if (following !== undefined) return to<State>(following, 0);
      // Without a role that sums up, the outcome is what each one said.
      return end(
        Object.fromEntries(roles.map((role, index) => [role, sole(ended[index]?.outcome ?? {})])),
        context,
      );
    },
  };
}

/** What is no object stands under `result` in an outcome of its own; among others it stands by itself. */
function sole(outcome: JsonObject) {
  return Object.keys(outcome).length === 1 &&
    "result" in outcome &&
    !isJsonObject(outcome["result"])
    ? outcome["result"]
    : outcome;
}
