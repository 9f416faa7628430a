// The accounting of a run: a bar of its parts, and the numbers that add up.

import type { Counts } from "../../api.ts";
import { compact, count } from "../format.ts";

interface Part {
  readonly name: string;
  readonly value: number;
  readonly tone: string;
}

export function partsOf(counts: Counts, expected: number | null): readonly Part[] {
  const done = counts.ok + counts.failed + counts.lost;
  return [
    { name: "ok", value: counts.ok, tone: "ok" },
    { name: "failed", value: counts.failed, tone: "failed" },
    { name: "lost", value: counts.lost, tone: "lost" },
    { name: "to do", value: Math.max(0, (expected ?? done) - done), tone: "rest" },
  ];
}

export function CountsBar({
  counts,
  expected,
}: {
  readonly counts: Counts;
  readonly expected: number | null;
}) {
  const parts = partsOf(counts, expected).filter(({ value }) => value > 0);
  const label = parts.map(({ name, value }) => `${count(value)} ${name}`).join(", ");
  return (
    <div class="counts-bar" role="img" aria-label={label === "" ? "no records" : label}>
      {parts.map(({ name, value, tone }) => (
        <span key={name} class={`fill-${tone}`} style={{ flexGrow: value }} />
      ))}
    </div>
  );
}

/** `96 / 120`, and the failures beneath. */
export function CountsText({
  counts,
  expected,
}: {
  readonly counts: Counts;
  readonly expected: number | null;
}) {
  const done = counts.ok + counts.failed + counts.lost;
  return (
    <span class="counts-text">
      <span class="number">
        {compact(done)}
        {expected !== null && expected !== done && (
          <span class="muted"> / {compact(expected)}</span>
        )}
      </span>
      {counts.failed > 0 && <span class="tone-failed"> {compact(counts.failed)} failed</span>}
      {counts.lost > 0 && <span class="tone-lost"> {compact(counts.lost)} lost</span>}
    </span>
  );
}
