// best-of-n: several candidates for one row, each made by the same roles in order, scored, and the best one chosen. One that is
// accepted ends the task at once: rejection sampling. Candidates come one after the other within one task, so that custody and
// accounting are those of any task, and nothing is spent on candidates after the accepted one. All of them stay in the record.

import type { PatternConfig } from "../recipe/schema.ts";
import type { Json, JsonObject } from "../task/json.ts";
import { done, type Orchestrator, type Route, type RouteContext, to } from "./contract.ts";
import { compileOptional, outcomeOf, scoreOf, variablesOf } from "./results.ts";

interface Candidate extends JsonObject {
  readonly score: number | null;
  /** Null where nothing is asked for: the best of all is taken. */
  readonly accepted: boolean | null;
}

interface State extends JsonObject {
  /** The index of the role that runs. */
  readonly at: number;
  /** Those that are finished. */
  readonly candidates: readonly Candidate[];
}

export function createBestOfN({ roles, n, ...config }: Extract<PatternConfig, { pattern: "best-of-n" }>): Orchestrator<State> {
  const scoring = compileOptional(config.score);
  const accept = compileOptional(config.accept);
  const begin = (candidates: readonly Candidate[]): Route<State> => to<State>(roles[0] ?? "", { at: 0, candidates });

  const judge = (result: Json, context: RouteContext, candidate: number): Candidate => {
    const score = scoreOf(scoring, outcomeOf(result), () => variablesOf(context, result, { candidate }));
    return { score, accepted: accept === null ? null : accept(variablesOf(context, result, { candidate, score })) === true };
  };

  const end = (candidates: readonly Candidate[], { history }: RouteContext): Route<State> => {
    const chosen = bestOf(candidates);
    const { score = null, accepted = null } = candidates[chosen] ?? {};
    // Every candidate takes as many hops as there are roles, and its last one is what it comes to.
    const result = history[(chosen + 1) * roles.length - 1]?.result ?? null;
    return done({ reason: accepted === false ? "max_turns" : "completed", score, outcome: { ...outcomeOf(result), chosen, candidates } });
  };

  return {
    start: () => begin([]),
    next: ({ at, candidates }, result, context) => {
      const following = roles[at + 1];
      if (following !== undefined) return to<State>(following, { at: at + 1, candidates });
      const judged = [...candidates, judge(result, context, candidates.length)];
      const isOver = judged.length >= n || judged.at(-1)?.accepted === true;
      return isOver ? end(judged, context) : begin(judged);
    },
  };
}

/** The accepted one, which is the last; else that of the highest score, and of equals the first. */
function bestOf(candidates: readonly Candidate[]): number {
  const accepted = candidates.findIndex((candidate) => candidate.accepted === true);
  if (accepted !== -1) return accepted;
  const scores = candidates.map(({ score }) => score ?? Number.NEGATIVE_INFINITY);
  return scores.indexOf(Math.max(...scores));
}
