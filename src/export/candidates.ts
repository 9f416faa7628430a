// The candidates of a record of best-of-n: the hops that made each of them, and its score.

import { hopsOfFirst } from "../orchestrator/best-of-n.ts";
import type { OrchestratorConfig } from "../recipe/schema/orchestrator-schema.ts";
import { isJsonObject, type Json } from "../task/json.ts";
import type { TrajectoryRecord } from "../task/record.ts";
import type { Hop } from "../task/task.ts";

export interface CandidateHops {
  /** Null for a candidate that was not scored, because a model gave no whole answer. */
  readonly score: number | null;
  readonly hops: readonly Hop[];
}

/** The hops of the chosen candidate; all hops of a record that has no candidates. */
export function chosenHops(
  record: TrajectoryRecord,
  orchestrator: OrchestratorConfig,
): readonly Hop[] {
  const chosen = record.outcome?.["chosen"];
  const config = bestOfN(orchestrator);
  return config === null || typeof chosen !== "number"
    ? record.history
    : hopsOf(record, config, chosen);
}

/** All candidates of a record; null for a record that has none. */
export function candidatesOf(
  record: TrajectoryRecord,
  orchestrator: OrchestratorConfig,
): readonly CandidateHops[] | null {
  const candidates = record.outcome?.["candidates"];
  const config = bestOfN(orchestrator);
  if (config === null || !Array.isArray(candidates)) return null;
  return candidates.map((candidate: Json, index) => ({
    score:
      isJsonObject(candidate) && typeof candidate["score"] === "number" ? candidate["score"] : null,
    hops: hopsOf(record, config, index),
  }));
}

type BestOfN = Extract<OrchestratorConfig, { readonly pattern: "best-of-n" }>;

function bestOfN(orchestrator: OrchestratorConfig): BestOfN | null {
  return "pattern" in orchestrator && orchestrator.pattern === "best-of-n" ? orchestrator : null;
}

function hopsOf(
  { history, outcome }: TrajectoryRecord,
  { parallel, roles }: BestOfN,
  index: number,
): readonly Hop[] {
  if (parallel) return history.filter(({ branch }) => branch === index);
  const candidates = (outcome?.["candidates"] ?? []) as readonly { readonly hops?: number }[];
  const upTo = (count: number) => hopsOfFirst(candidates, count, roles.length);
  return history.slice(upTo(index), upTo(index + 1));
}
