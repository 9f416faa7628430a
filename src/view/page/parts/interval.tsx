// A difference with its 95 % confidence interval: the numbers, and a line across zero.

import type { Difference } from "../../api.ts";
import { signed } from "../format.ts";

export function Interval({
  difference,
  scale,
  show,
}: {
  readonly difference: Difference;
  /** The largest distance from zero that is drawn. */
  readonly scale: number;
  readonly show: (value: number) => string;
}) {
  const { delta, low, high } = difference;
  const at = (value: number) =>
    `${50 + (Math.max(-scale, Math.min(scale, value)) / (scale || 1)) * 48}%`;
  const isSure = low !== null && high !== null && (low > 0 || high < 0);
  return (
    <div class="interval">
      <div class="interval-numbers">
        <strong class="number">{signed(delta, show)}</strong>
        {low !== null && high !== null && (
          <span class="number muted">
            {signed(low, show)} … {signed(high, show)}
          </span>
        )}
      </div>
      <svg class={`interval-line${isSure ? " is-sure" : ""}`} aria-hidden="true">
        <line class="interval-zero" x1="50%" x2="50%" y1="0" y2="100%" />
        {low !== null && high !== null && (
          <line class="interval-range" x1={at(low)} x2={at(high)} y1="50%" y2="50%" />
        )}
        <circle class="interval-dot" cx={at(delta)} cy="50%" r="4" />
      </svg>
    </div>
  );
}
