// The summary of a run in a few lines: the accounting first, then why tasks ended, what was used,
// and what the user can do next.

import { EARLY_STOP_HELP } from "../../driver/early-stop.ts";
import { usedUp } from "../../driver/ledger.ts";
import { trajectoriesPath } from "../../records/record-file.ts";
import type { Summary } from "../../run/summary.ts";
import { combineSpent } from "../../task/spent.ts";
import { isUnanswered } from "../../task/task.ts";
import { renderCredentials } from "./credentials.ts";
import { formatDuration, grouped } from "./figures.ts";
import { originsOf } from "./usage.ts";

export function renderSummary(summary: Summary): string {
  const { directory, state, stopped, recorded_before: before, spent, budget } = summary;
  const made = recordedOf(summary) - before;
  const lines = [titleOf(summary, made), accountOf(summary), ...retriedOf(summary)];
  if (made > 0 || (state === "stopped" && before > 0)) lines.push(...detailsOf(summary));
  const unanswered = state === "complete" ? unansweredHint(summary.stop_reasons) : null;
  if (unanswered !== null) lines.push(unanswered);
  lines.push(...retryHint(summary), ...credentialsOf(summary, made));
  lines.push(`records: ${trajectoriesPath(directory)}`);
  const used = budget === null ? null : usedUp(spent, budget);
  if (stopped?.why === "early_stop") lines.push(`stopped early: ${stopped.message}`);
  if (state === "stopped") lines.push(goOn(used));
  else if (used !== null) lines.push(`over run.budget: ${used}`);
  return lines.join("\n");
}

function recordedOf({ ok, failed, lost }: Summary): number {
  return ok + failed + lost;
}

function titleOf(summary: Summary, made: number): string {
  const { name, state, simulated, replayed, recorded_before: before, elapsed_ms } = summary;
  const labels = [...(simulated ? ["simulated model"] : []), ...(replayed ? ["replayed"] : [])];
  const label = labels.length === 0 ? "" : ` (${labels.join(", ")})`;
  if (state === "complete" && made === 0 && before > 0)
    return `${name}: was complete already${label}${missedOf(summary)}`;
  const records = `${grouped(made)} records${before > 0 ? `, ${grouped(before)} from before` : ""}`;
  return `${name}: ${state} after ${formatDuration(elapsed_ms)}${label}, ${records}`;
}

/** The number of tasks that failed or were lost, and the reasons. */
function missedOf({ failed, lost, all_errors: errors }: Summary): string {
  const parts = [
    ...(failed > 0 ? [`${grouped(failed)} failed`] : []),
    ...(lost > 0 ? [`${grouped(lost)} lost`] : []),
  ];
  return parts.length === 0 ? "" : `, but ${parts.join(" and ")}: ${listed(errors)}`;
}

function accountOf(summary: Summary): string {
  const { state, expected, ok, failed, lost } = summary;
  const parts = `ok ${grouped(ok)} + failed ${grouped(failed)} + lost ${grouped(lost)}`;
  return state === "complete"
    ? `expected ${grouped(expected)} = ${parts}`
    : `${grouped(recordedOf(summary))} of ${grouped(expected)} recorded: ${parts}`;
}

/** The number of records that a retry took out. */
function retriedOf({ retried }: Summary): string[] {
  if (retried === null) return [];
  if (retried === 0) return ["--retry: no record is of that kind"];
  return [`run again: ${grouped(retried)}; their old records are in superseded.jsonl`];
}

/** The command that runs failed and lost tasks of a complete run again. */
function retryHint({ state, failed, lost, all_errors: errors }: Summary): string[] {
  if (state !== "complete" || failed + lost === 0) return [];
  const kinds = [...(failed > 0 ? ["failed"] : []), ...(lost > 0 ? ["lost"] : [])];
  const one = Object.keys(errors).length > 1 ? ` (or one kind: --retry ${firstOf(errors)})` : "";
  return [
    `run ${kinds.join(" and ")} tasks again: the same command with --retry ${kinds.join(",")}${one}`,
  ];
}

function firstOf(counts: Readonly<Record<string, number>>): string {
  return inOrder(counts)[0]?.[0] ?? "";
}

/** The report looks at every record; a run looks at those for which it has time. */
function credentialsOf({ credentials, directory }: Summary, made: number): string[] {
  const found = renderCredentials(credentials);
  if (found === null) return [];
  const of = credentials.looked < made ? ` (of ${grouped(credentials.looked)} looked at)` : "";
  return [`${found}${of}; matrix report ${directory} looks at all records`];
}

function goOn(used: string | null): string {
  if (used === null) return "the same command goes on where it stands";
  return `run.budget is used up: ${used}; the same command with a higher budget goes on where it stands`;
}

function detailsOf(summary: Summary): string[] {
  const { directory, failed, asked, stop_reasons, errors, usage, cost, score } = summary;
  const lines = [`ended: ${listed(stop_reasons)}`];
  if (Object.keys(errors).length > 0) lines.push(`errors: ${listed(errors)}`);
  if (failed > 0) lines.push(`a failed task: matrix show ${directory} --status failed`);
  if (usage.requests > 0) {
    const all = usedText(usage, cost);
    if (asked === null) lines.push(`model: ${all}`);
    else if (asked.requests === 0) lines.push(`no model was asked; recorded then: ${all}`);
    else {
      const then = combineSpent({ ...usage, cost: cost ?? 0 }, asked, (a, b) => a - b);
      lines.push(
        `asked: ${usedText(asked, cost === null ? null : asked.cost)}`,
        `recorded then: ${usedText(then, cost === null ? null : then.cost)}`,
      );
    }
    lines.push(...originsOf(usage));
  }
  if (score !== null)
    lines.push(`score: mean ${score.mean.toFixed(3)} over ${grouped(score.scored)}`);
  return lines;
}

function usedText(usage: Summary["usage"], cost: number | null): string {
  const money = cost === null ? "" : `, cost ${cost.toFixed(4)}`;
  return `${grouped(usage.requests)} requests, ${tokensOf(usage)}${money}`;
}

function tokensOf(usage: Summary["usage"]): string {
  const { prompt_tokens: read, completion_tokens: written } = usage;
  const { cached_tokens: cached = 0, reasoning_tokens: thought = 0 } = usage;
  return [
    `${grouped(read)} tokens in${cached === 0 ? "" : ` (${grouped(cached)} cached)`}`,
    `${grouped(written)} out${thought === 0 ? "" : ` (${grouped(thought)} reasoning)`}`,
  ].join(", ");
}

/** Advice for the most frequent reason; null when any task ended for another kind of reason. */
function unansweredHint(stopReasons: Summary["stop_reasons"]): string | null {
  const [reason = "", ...others] = inOrder(stopReasons).map(([name]) => name);
  if (!isUnanswered(reason) || !others.every(isUnanswered)) return null;
  return `no task has a whole answer: ${EARLY_STOP_HELP[reason]}`;
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
