// A table of runs.

import type { RunCard } from "../../view/api.ts";
import { formatDuration, grouped } from "./figures.ts";
import { renderTable } from "./table.ts";

const HEAD = ["run", "recipe", "state", "records", "failed", "score", "cost", "model", "age"];
const LEFT = new Set(["run", "recipe", "state", "model"]);
const STATE_SHOWN = 60;
const DAY_MS = 86_400_000;

/** `now`: milliseconds since the epoch. */
export function renderRuns(runs: readonly RunCard[], now: number): string {
  if (runs.length === 0) return "no runs here";
  const rows = runs.map((run) => [
    run.path,
    run.name,
    stateOf(run),
    recordsOf(run),
    grouped(run.counts.failed + run.counts.lost),
    run.score === null ? "–" : run.score.mean.toFixed(3),
    run.cost === null ? "–" : run.cost.toPrecision(3),
    `${run.models.join(", ")}${run.simulated ? " (simulated)" : ""}`,
    ageOf(run.updatedAt, now),
  ]);
  return renderTable([HEAD, ...rows], (column) => LEFT.has(HEAD[column] ?? ""));
}

function stateOf({ state, problem }: RunCard): string {
  const text = problem === null ? state : `${state}, ${problem}`;
  return text.length <= STATE_SHOWN ? text : `${text.slice(0, STATE_SHOWN - 1)}…`;
}

/** The number of records, and the part of all that they are while some are missing. */
function recordsOf({ counts: { ok, failed, lost }, expected }: RunCard): string {
  const done = ok + failed + lost;
  if (expected === null || expected === done) return grouped(done);
  return `${grouped(done)} of ${grouped(expected)} (${Math.floor((100 * done) / expected)} %)`;
}

function ageOf(at: string | null, now: number): string {
  if (at === null) return "–";
  const ms = Math.max(0, now - Date.parse(at));
  return ms < DAY_MS ? formatDuration(ms) : `${Math.floor(ms / DAY_MS)} d`;
}
