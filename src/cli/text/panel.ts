// The progress display: pure functions from a snapshot of a run to lines of text.

import type { Snapshot } from "../../run/snapshot.ts";
import { formatDuration, grouped } from "./figures.ts";

/** Roles that the panel lists. */
const ROLES_MAX = 12;
/** Characters of the bar, and what stands on its line beside it. */
const BAR_MAX = 30;
const BESIDE_BAR = 12;

/** A few lines, none longer than `columns`. */
export function renderPanel(snapshot: Snapshot, columns: number): string[] {
  const { name, simulated, stopping, roles, inFlight } = snapshot;
  const done = doneOf(snapshot) / Math.max(1, snapshot.expected);
  const title = `${name}${simulated ? " · SIMULATED model" : ""}${stopping ? " · stopping" : ""}`;
  const lines = [
    title,
    `${bar(done, Math.max(0, Math.min(BAR_MAX, columns - BESIDE_BAR)))} ${percent(snapshot)}`,
    `${countsOf(snapshot)} · in flight ${grouped(inFlight)}`,
    speedOf(snapshot),
    ...roleLines(roles.slice(0, ROLES_MAX)),
  ];
  if (roles.length > ROLES_MAX) lines.push(`and ${roles.length - ROLES_MAX} more roles`);
  return lines.map((line) => (line.length > columns ? `${line.slice(0, columns - 1)}…` : line));
}

/** One line, for logs and pipes. */
export function renderLine(snapshot: Snapshot): string {
  const { name, simulated, inFlight, stopping } = snapshot;
  const parts = [
    percent(snapshot),
    countsOf(snapshot),
    `in flight ${grouped(inFlight)}`,
    speedOf(snapshot),
    ...(stopping ? ["stopping"] : []),
  ];
  return `${name}${simulated ? " (simulated)" : ""}: ${parts.join(" · ")}`;
}

function doneOf({ ok, failed, lost }: Snapshot): number {
  return ok + failed + lost;
}

function countsOf(snapshot: Snapshot): string {
  const { ok, failed, lost, expected } = snapshot;
  const left = expected - doneOf(snapshot);
  const parts = [
    `ok ${grouped(ok)}`,
    `failed ${grouped(failed)}`,
    ...(lost > 0 ? [`lost ${grouped(lost)}`] : []),
    `left ${grouped(left)}`,
  ];
  return parts.join(" · ");
}

/** Rate, time left, tokens and cost of what this start of the run has made. */
function speedOf(snapshot: Snapshot): string {
  const { before, elapsedMs, expected, promptTokens, completionTokens, cost, waitedFor } = snapshot;
  const made = doneOf(snapshot) - before;
  const perSecond = elapsedMs > 0 ? made / (elapsedMs / 1000) : 0;
  const left = expected - doneOf(snapshot);
  const unknown = waitedFor.length > 0 ? `waiting for ${waitedFor.join(", ")}` : "no estimate yet";
  const parts = [
    `${perSecond < 10 ? perSecond.toFixed(1) : grouped(perSecond)}/s`,
    perSecond > 0 ? `${formatDuration((left / perSecond) * 1000)} left` : unknown,
  ];
  if (promptTokens + completionTokens > 0)
    parts.push(`tokens ${grouped(promptTokens)} in, ${grouped(completionTokens)} out`);
  if (cost !== null) parts.push(`cost ${cost.toFixed(2)}`);
  return parts.join(" · ");
}

function percent(snapshot: Snapshot): string {
  return `${Math.floor((doneOf(snapshot) / Math.max(1, snapshot.expected)) * 100)}%`;
}

function bar(fraction: number, width: number): string {
  const full = Math.round(Math.min(1, fraction) * width);
  return "█".repeat(full) + "░".repeat(Math.max(0, width - full));
}

function roleLines(roles: Snapshot["roles"]): string[] {
  const width = Math.max(0, ...roles.map(({ name }) => name.length));
  return roles.map(
    ({ name, queued, busy, slots }) =>
      `  ${name.padEnd(width)}  busy ${grouped(busy)}/${grouped(slots)}  queued ${grouped(queued)}`,
  );
}
