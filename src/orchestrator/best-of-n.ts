// best-of-n: several candidates for one row, each made by the same roles in order, scored, and the best one chosen. One that is
// accepted ends the task at once: rejection sampling. Candidates come one after the other, so that nothing is spent on those
// after the accepted one, or at once in branches, of which the accepted one makes the others idle. All stay in the record.

import type { PatternConfig } from "../recipe/orchestrator-schema.ts";
import type { Json, JsonObject } from "../task/json.ts";
import { isUnanswered, type Unanswered } from "../task/task.ts";
import {
  type Done,
  done,
  fork,
  type Orchestrator,
  type Route,
  type RouteContext,
  to,
} from "./contract.ts";
import { compileOptional, outcomeOf, scoreOf, variablesOf } from "./results.ts";

interface Candidate extends JsonObject {
  readonly score: number | null;
  /** Null where nothing is asked for: the best of all is taken. */
  readonly accepted: boolean | null;
  /** Only of one that a model did not answer wholly. */
  readonly stop_reason?: Unanswered;
  /** How many it took, of such a one; of others, as many as there are roles. */
  readonly hops?: number;
}

interface State extends JsonObject {
  /** The index of the role that runs. */
  readonly at: number;
  /** Which candidate it makes. */
  readonly candidate: number;
  /** Those before it; none in a branch. */
  readonly candidates: readonly Candidate[];
}

type Config = Extract<PatternConfig, { pattern: "best-of-n" }>;

export function createBestOfN(config: Config): Orchestrator<State> {
  const { roles, n, parallel } = config;
  const judge = createJudge(config);
  const [first = ""] = roles;
  const begin = (candidate: number, candidates: readonly Candidate[]) =>
    to<State>(first, { at: 0, candidate, candidates });
  const unanswered = (reason: Unanswered): Candidate => ({
    score: null,
    accepted: config.accept === undefined ? null : false,
    stop_reason: reason,
  });

  /** Goes on with a candidate, or hands it over when its last role has answered. */
  const step = (
    state: State,
    result: Json,
    context: RouteContext,
    finish: (judged: Candidate) => Route<State>,
  ): Route<State> => {
    const following = roles[state.at + 1];
    return following === undefined
      ? finish(judge(result, context, state.candidate))
      : to<State>(following, { ...state, at: state.at + 1 });
  };

  if (!parallel) {
    const after = (state: State, judged: Candidate, { history }: RouteContext): Route<State> => {
      const candidates = [...state.candidates, judged];
      if (candidates.length < n && judged.accepted !== true)
        return begin(candidates.length, candidates);
      const chosen = bestOf(candidates);
      return end(
        candidates,
        chosen,
        outcomeOf(history[hopsOfFirst(candidates, chosen + 1, roles.length) - 1]?.result ?? null),
      );
    };
    return {
      start: () => begin(0, []),
      next: (state, result, context) =>
        step(state, result, context, (judged) => after(state, judged, context)),
      unanswered: (state, reason, context) =>
        after(state, { ...unanswered(reason), hops: state.at + 1 }, context),
    };
  }
  return {
    start: () =>
      fork<State>(
        Array.from({ length: n }, (_, candidate) => begin(candidate, [])),
        { at: 0, candidate: 0, candidates: [] },
      ),
    next: (state, result, context) =>
      step(state, result, context, ({ score, accepted }) =>
        done({ score, outcome: { accepted, outcome: outcomeOf(result) } }),
      ),
    join: (_, ended) => {
      const candidates = ended.map((branch) =>
        branch !== null && isUnanswered(branch.done)
          ? unanswered(branch.done)
          : candidateOf(branch),
      );
      if (candidates.includes(null) && !candidates.some(isAccepted)) return null;
      const chosen = bestOf(candidates);
      return end(candidates, chosen, (ended[chosen]?.outcome?.["outcome"] ?? {}) as JsonObject);
    },
  };
}

/** Of candidates one after the other, how many hops the first ones took together. */
export function hopsOfFirst(
  candidates: readonly { readonly hops?: number }[],
  count: number,
  roles: number,
): number {
  let hops = 0;
  for (let i = 0; i < count; i++) hops += candidates[i]?.hops ?? roles;
  return hops;
}

function createJudge(
  config: Config,
): (result: Json, context: RouteContext, candidate: number) => Candidate {
  const scoring = compileOptional(config.score);
  const accept = compileOptional(config.accept);
  return (result, context, candidate) => {
    const score = scoreOf(scoring, outcomeOf(result), () =>
      variablesOf(context, result, { candidate }),
    );
    return {
      score,
      accepted:
        accept === null
          ? null
          : accept(variablesOf(context, result, { candidate, score })) === true,
    };
  };
}

/** Null for one that was still being made. */
function candidateOf(ended: Done | null): Candidate | null {
  return ended === null
    ? null
    : { score: ended.score, accepted: ended.outcome?.["accepted"] as boolean | null };
}

function isAccepted(candidate: Candidate | null): boolean {
  return candidate?.accepted === true;
}

function end(candidates: readonly (Candidate | null)[], chosen: number, outcome: JsonObject): Done {
  const { score = null, accepted = null, stop_reason: unanswered } = candidates[chosen] ?? {};
  const reason = unanswered ?? (accepted === false ? "max_turns" : "completed");
  return done({ reason, score, outcome: { ...outcome, chosen, candidates } });
}

/** The accepted one; else that of the highest score, and of equals the first. One without an answer only where none has any. */
function bestOf(candidates: readonly (Candidate | null)[]): number {
  const accepted = candidates.findIndex(isAccepted);
  if (accepted !== -1) return accepted;
  const isAnswered = (candidate: Candidate | null) =>
    candidate !== null && candidate.stop_reason === undefined;
  const best = Math.max(
    ...candidates
      .filter(isAnswered)
      .map((candidate) => candidate?.score ?? Number.NEGATIVE_INFINITY),
  );
  return Math.max(
    0,
    candidates.findIndex(
      (candidate) =>
        isAnswered(candidate) && (candidate?.score ?? Number.NEGATIVE_INFINITY) === best,
    ),
  );
}
