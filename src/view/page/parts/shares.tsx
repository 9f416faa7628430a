// Named counts as horizontal bars, the largest first, each a link to its records.

import type { NamedCount } from "../../api.ts";
import { count, percent } from "../format.ts";

export function Shares({
  counts,
  to,
  tone,
}: {
  readonly counts: readonly NamedCount[];
  readonly to?: (name: string) => string;
  readonly tone?: (name: string) => string;
}) {
  const total = counts.reduce((sum, one) => sum + one.count, 0);
  const most = Math.max(1, ...counts.map((one) => one.count));
  const sorted = [...counts].sort((a, b) => b.count - a.count);
  return (
    <ul class="shares">
      {sorted.map((one) => (
        <li key={one.name} class="share">
          <span class="share-name">
            {to === undefined ? one.name : <a href={to(one.name)}>{one.name}</a>}
          </span>
          <span class="share-track" aria-hidden="true">
            <span
              class={`share-fill fill-${tone?.(one.name) ?? "plain"}`}
              style={{ width: `${(one.count / most) * 100}%` }}
            />
          </span>
          <span class="number share-count">{count(one.count)}</span>
          <span class="number muted share-percent">{percent(one.count / total)}</span>
        </li>
      ))}
    </ul>
  );
}
