// best-of-n: several candidates for one row. The same roles make each candidate in order, an
// expression scores it, and the best one is chosen. An accepted candidate ends the task at once:
// rejection sampling. Candidates are made one after the other, so that nothing is spent after the
// accepted one; or in parallel, each in a branch, and then an accepted candidate makes the other
// branches idle. The record keeps every candidate.

import type { PatternConfig } from "../recipe/schema/orchestrator-schema.ts";
import type { Json, JsonObject } from "../task/json.ts";
import { isUnanswered, type Unanswered } from "../task/task.ts";
import {
  type Done,
  done,
  fork,
  type Orchestrator,
  type Route,
  type RouteContext,
  type ToRole,
  to,
} from "./contract.ts";
import { compileOptional, outcomeOf, scoreOf, variablesOf } from "./results.ts";

interface Candidate extends JsonObject {
  readonly score: number | null;
  /** Null without an `accept` expression: the best of all candidates is taken. */
  readonly accepted: boolean | null;
  /** Set for a candidate for which a model gave no whole answer. */
  readonly stop_reason?: Unanswered;
  /**
   * The number of its hops, set together with `stop_reason`. Every other candidate took one hop for
   * each role.
   */
  readonly hops?: number;
}

interface State extends JsonObject {
  /** The index of the role that acts. */
  readonly at: number;
  /** The index of the candidate that it makes. */
  readonly candidate: number;
  /** Earlier candidates; empty in a branch. */
  readonly candidates: readonly Candidate[];
}

type Config = Extract<PatternConfig, { pattern: "best-of-n" }>;

export function createBestOfN(config: Config): Orchestrator<State> {
  const candidate = createMaker(config);
  return config.parallel ? inParallel(config.n, candidate) : inOrder(config, candidate);
}

/** The life of one candidate. */
interface Maker {
  begin(candidate: number, earlier: readonly Candidate[]): ToRole<State>;
  /** Moves a candidate to its next role, or judges it and calls `finish` after its last role. */
  step(
    state: State,
    result: Json,
    context: RouteContext,
    finish: (judged: Candidate) => Route<State>,
  ): Route<State>;
  /** The candidate that a model gave no whole answer for. */
  unanswered(reason: Unanswered): Candidate;
}

function createMaker(config: Config): Maker {
  const { roles, accept } = config;
  const judge = createJudge(config);
  return {
    begin: (candidate, candidates) => to<State>(roles[0] ?? "", { at: 0, candidate, candidates }),
    step: (state, result, context, finish) => {
      const following = roles[state.at + 1];
      return following === undefined
        ? finish(judge(result, context, state.candidate))
        : to<State>(following, { ...state, at: state.at + 1 });
    },
    unanswered: (reason) => ({
      score: null,
      accepted: accept === undefined ? null : false,
      stop_reason: reason,
    }),
  };
}

/** One candidate after the other. */
function inOrder({ roles, n }: Config, candidate: Maker): Orchestrator<State> {
  const after = (state: State, judged: Candidate, { history }: RouteContext): Route<State> => {
    const candidates = [...state.candidates, judged];
    if (candidates.length < n && judged.accepted !== true)
      return candidate.begin(candidates.length, candidates);
    const chosen = bestOf(candidates);
    const last = history[hopsOfFirst(candidates, chosen + 1, roles.length) - 1];
    return end(candidates, chosen, outcomeOf(last?.result ?? null));
  };
  return {
    start: () => candidate.begin(0, []),
    next: (state, result, context) =>
      candidate.step(state, result, context, (judged) => after(state, judged, context)),
    unanswered: (state, reason, context) =>
      after(state, { ...candidate.unanswered(reason), hops: state.at + 1 }, context),
  };
}

/** Makes all candidates at once, each in a branch. */
function inParallel(n: number, candidate: Maker): Orchestrator<State> {
  return {
    start: () =>
      fork<State>(
        Array.from({ length: n }, (_, index) => candidate.begin(index, [])),
        { at: 0, candidate: 0, candidates: [] },
      ),
    next: (state, result, context) =>
      candidate.step(state, result, context, ({ score, accepted }) =>
        done({ score, outcome: { accepted, outcome: outcomeOf(result) } }),
      ),
    join: (_, ended) => {
      const candidates = ended.map((branch) =>
        branch !== null && isUnanswered(branch.done)
          ? candidate.unanswered(branch.done)
          : candidateOf(branch),
      );
      if (candidates.includes(null) && !candidates.some(isAccepted)) return null;
      const chosen = bestOf(candidates);
      return end(candidates, chosen, (ended[chosen]?.outcome?.["outcome"] ?? {}) as JsonObject);
    },
  };
}

/**
 * The number of hops that the first `count` candidates took, when candidates come one after the
 * other.
 */
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

/** The candidate of a branch that has ended; null for a branch that is under way. */
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

/**
 * The index of the accepted candidate, or of the one with the highest score; the first of equals. A
 * candidate without a whole answer is chosen only when no candidate has one.
 */
function bestOf(candidates: readonly (Candidate | null)[]): number {
  const accepted = candidates.findIndex(isAccepted);
  if (accepted !== -1) return accepted;
  const scores = candidates.map((candidate) => candidate?.score ?? Number.NEGATIVE_INFINITY);
  const best = Math.max(...scores);
  const first = candidates.findIndex(
    (candidate, index) => isAnswered(candidate) && scores[index] === best,
  );
  return Math.max(0, first);
}

function isAnswered(candidate: Candidate | null): boolean {
  return candidate !== null && candidate.stop_reason === undefined;
}
