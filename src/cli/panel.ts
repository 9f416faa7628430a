// What progress looks like: pure functions from a snapshot of a run to lines of text.

import type { Snapshot } from "../run/snapshot.ts";

const ROLES_MAX = 12;
const BAR_MAX = 30;

export function renderPanel(snapshot: Snapshot, columns: number): string[] {
  const { name, simulated, stopping, roles, inFlight } = snapshot;
  const done = doneOf(snapshot);
  const title = `${name}${simulated ? " · SIMULATED model" : ""}${stopping ? " · stopping" : ""}`;
  const lines = [
    title,
    `${bar(done / Math.max(1, snapshot.expected), Math.min(BAR_MAX, columns - 12))} ${percent(snapshot)}`,
    `${countsOf(snapshot)} · in flight ${grouped(inFlight)}`,
    speedOf(snapshot),
    ...roleLines(roles.slice(0, ROLES_MAX)),
  ];
  if (roles.length > ROLES_MAX) lines.push(`and ${roles.length - ROLES_MAX} more roles`);
  return lines.map((line) => (line.length > columns ? `${line.slice(0, columns - 1)}…` : line));
}

export function renderLine(snapshot: Snapshot): string {
  const { name, simulated, inFlight, stopping } = snapshot;
  return `${name}${simulated ? " (simulated)" : ""}: ${percent(snapshot)} · ${countsOf(snapshot)} · in flight ${grouped(inFlight)} · ${speedOf(snapshot)}${stopping ? " · stopping" : ""}`;
}

/** 1,234,567 */
export function grouped(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** 950 ms, 3.2 s, 4 min 10 s, 2 h 5 min */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min ${Math.floor((ms % 60_000) / 1000)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function doneOf({ ok, failed, lost }: Snapshot): number {
  return ok + failed + lost;
}

function countsOf(snapshot: Snapshot): string {
  const { ok, failed, lost, expected } = snapshot;
  const left = expected - doneOf(snapshot);
  return `ok ${grouped(ok)} · failed ${grouped(failed)}${lost > 0 ? ` · lost ${grouped(lost)}` : ""} · left ${grouped(left)}`;
}

function speedOf(snapshot: Snapshot): string {
  const { before, elapsedMs, expected, promptTokens, completionTokens, cost, waitedFor } = snapshot;
  const made = doneOf(snapshot) - before;
  const perSecond = elapsedMs > 0 ? made / (elapsedMs / 1000) : 0;
  const left = expected - doneOf(snapshot);
  const unknown = waitedFor.length > 0 ? `waiting for ${waitedFor.join(", ")}` : "no estimate yet";
  const eta = perSecond > 0 ? `${formatDuration((left / perSecond) * 1000)} left` : unknown;
  const tokens =
    promptTokens + completionTokens > 0
      ? ` · tokens ${grouped(promptTokens)} in, ${grouped(completionTokens)} out`
      : "";
  return `${perSecond < 10 ? perSecond.toFixed(1) : grouped(perSecond)}/s · ${eta}${tokens}${cost === null ? "" : ` · cost ${cost.toFixed(2)}`}`;
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
