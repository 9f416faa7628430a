// The end of a run in a few lines: the accounting first, then what it cost, what failed, and what to type next.

import { usedUp } from "../driver/ledger.ts";
import { trajectoriesPath } from "../records/record-file.ts";
import type { Summary } from "../run/summary.ts";
import { isUnanswered, type Unanswered } from "../task/task.ts";
import { formatDuration, grouped } from "./panel.ts";

export function renderSummary(summary: Summary): string {
  const {
    name,
    directory,
    state,
    simulated,
    replayed,
    expected,
    ok,
    failed,
    lost,
    recorded_before: before,
  } = summary;
  const recorded = ok + failed + lost;
  const made = recorded - before;
  const labels = [...(simulated ? ["simulated model"] : []), ...(replayed ? ["replayed"] : [])];
  const label = labels.length === 0 ? "" : ` (${labels.join(", ")})`;
  const lines: string[] = [];
  if (state === "complete" && made === 0 && before > 0)
    lines.push(`${name}: was complete already${label}`);
  else
    lines.push(
      `${name}: ${state} after ${formatDuration(summary.elapsed_ms)}${label}, ${grouped(made)} records${before > 0 ? `, ${grouped(before)} from before` : ""}`,
    );
  if (state === "complete")
    lines.push(
      `expected ${grouped(expected)} = ok ${grouped(ok)} + failed ${grouped(failed)} + lost ${grouped(lost)}`,
    );
  else
    lines.push(
      `${grouped(recorded)} of ${grouped(expected)} recorded: ok ${grouped(ok)} + failed ${grouped(failed)} + lost ${grouped(lost)}`,
    );
  if (made > 0) lines.push(...detailsOf(summary));
  const unanswered = state === "complete" ? unansweredHint(summary.stop_reasons) : null;
  if (unanswered !== null) lines.push(unanswered);
  lines.push(`records: ${trajectoriesPath(directory)}`);
  const used = summary.budget === null ? null : usedUp(summary.spent, summary.budget);
  if (state === "stopped") lines.push(goOn(used));
  else if (used !== null) lines.push(`over run.budget: ${used}`);
  return lines.join("\n");
}

function goOn(used: string | null): string {
  if (used === null) return "the same command goes on where it stands";
  return `run.budget is used up: ${used}; the same command with a higher budget goes on where it stands`;
}

function detailsOf({ replayed, stop_reasons, errors, usage, cost, score }: Summary): string[] {
  const lines = [`ended: ${listed(stop_reasons)}`];
  if (Object.keys(errors).length > 0) lines.push(`errors: ${listed(errors)}`);
  if (usage.requests > 0) {
    const money = cost === null ? "" : `, cost ${cost.toFixed(4)}`;
    const used = `${grouped(usage.requests)} requests, ${grouped(usage.prompt_tokens)} tokens in, ${grouped(usage.completion_tokens)} out${money}`;
    lines.push(replayed ? `no model was asked; recorded then: ${used}` : `model: ${used}`);
  }
  if (score !== null)
    lines.push(`score: mean ${score.mean.toFixed(3)} over ${grouped(score.scored)}`);
  return lines;
}

/** What helps where a model gave no task a whole answer. */
const UNANSWERED_HELP: Readonly<Record<Unanswered, string>> = {
  context_length: "shorten what is asked, or use a model that takes more",
  refused: 'ask otherwise, or let roles accept it (accepts = ["refused"])',
  content_filtered: 'ask otherwise, or let roles accept it (accepts = ["content_filtered"])',
  cut: 'raise max_tokens, or let roles accept it (accepts = ["cut"])',
};

/** By the most frequent reason. Null when any task ended otherwise. */
function unansweredHint(stopReasons: Summary["stop_reasons"]): string | null {
  const [reason = "", ...others] = inOrder(stopReasons).map(([name]) => name);
  if (!isUnanswered(reason) || !others.every(isUnanswered)) return null;
  return `no task has a whole answer: ${UNANSWERED_HELP[reason]}`;
}

function listed(counts: Readonly<Record<string, number>>): string {
  return inOrder(counts)
    .map(([what, count]) => `${what} ${grouped(count)}`)
    .join(", ");
}

function inOrder(
  counts: Readonly<Record<string, number>>,
): (readonly [what: string, count: number])[] {
  return Object.entries(counts).sort(([, a], [, b]) => b - a);
}
