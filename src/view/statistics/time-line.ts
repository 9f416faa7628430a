// Records that ended in each step of time.

import type { TimeLine } from "../api.ts";
import type { TextColumn } from "../table/run-table.ts";

const STEPS_MAX = 120;
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** Lengths of a step that people can read. */
const STEPS = [
  ...[0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30].map((count) => count * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((count) => count * MINUTE),
  ...[1, 2, 3, 6, 12].map((count) => count * HOUR),
  ...[1, 2, 7, 30, 365].map((count) => count * DAY),
];

/** Records by the time of their end, where NaN is no time; null when no record has one. */
export function timeLineOf(ended: ArrayLike<number>, status: TextColumn): TimeLine | null {
  let first = Number.POSITIVE_INFINITY;
  let last = Number.NEGATIVE_INFINITY;
  for (let n = 0; n < ended.length; n++) {
    const at = ended[n] ?? Number.NaN;
    if (at < first) first = at;
    if (at > last) last = at;
  }
  if (first > last) return null;
  const stepMs = STEPS.find((step) => (last - first) / step < STEPS_MAX - 1) ?? last - first;
  const from = Math.floor(first / stepMs) * stepMs;
  const steps = Math.min(STEPS_MAX, Math.floor((last - from) / stepMs) + 1);
  const counts = new Map(
    ["ok", "failed", "lost"].map((name) => [name, new Array<number>(steps).fill(0)]),
  );
  for (let n = 0; n < ended.length; n++) {
    const step = Math.min(steps - 1, Math.floor(((ended[n] ?? Number.NaN) - from) / stepMs));
    const line = counts.get(status.strings[status.codes[n] ?? 0] ?? "");
    if (line !== undefined && step >= 0) line[step] = (line[step] ?? 0) + 1;
  }
  const { ok = [], failed = [], lost = [] } = Object.fromEntries(counts);
  return { from, stepMs, ok, failed, lost };
}
