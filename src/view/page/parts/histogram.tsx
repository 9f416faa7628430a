// A small distribution: bars, the middle and the 95th percentile, and both ends.

import type { Histogram as Bins } from "../../api.ts";
import { count } from "../format.ts";

const WIDTH = 240;
const HEIGHT = 64;
const GAP = 1;

export function Histogram({
  title,
  bins,
  show,
  choose,
}: {
  readonly title: string;
  readonly bins: Bins | null;
  readonly show: (value: number) => string;
  /** The address of the records within a bin. */
  readonly choose?: (from: number, to: number) => string;
}) {
  return (
    <figure class="card figure">
      <figcaption class="figure-title">{title}</figcaption>
      {bins === null || bins.total === 0 ? (
        <p class="figure-none">no values</p>
      ) : (
        <>
          <dl class="figure-facts">
            <Fact name="median" value={show(bins.p50)} />
            <Fact name="mean" value={show(bins.mean)} />
            <Fact name="p95" value={show(bins.p95)} />
          </dl>
          <Bars bins={bins} title={title} show={show} choose={choose} />
          <div class="figure-ends">
            <span>{show(bins.min)}</span>
            <span>{show(bins.max)}</span>
          </div>
        </>
      )}
    </figure>
  );
}

function Fact({ name, value }: { readonly name: string; readonly value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class="number">{value}</dd>
    </div>
  );
}

interface BarsProps {
  readonly bins: Bins;
  readonly title: string;
  readonly show: (value: number) => string;
  readonly choose?: ((from: number, to: number) => string) | undefined;
}

function Bars({ bins, title, show, choose }: BarsProps) {
  const { edges, counts } = bins;
  const most = Math.max(...counts, 1);
  const step = WIDTH / counts.length;
  const label = `${title}: ${count(bins.total)} values, median ${show(bins.p50)}, from ${show(bins.min)} to ${show(bins.max)}`;
  return (
    <svg class="bars" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none">
      <title>{label}</title>
      {counts.map((value, index) => {
        const [from = 0, to = 0] = [edges[index], edges[index + 1]];
        const height = value === 0 ? 0 : Math.max(2, (value / most) * (HEIGHT - 2));
        const bar = (
          <g key={from}>
            <title>{`${show(from)} to ${show(to)}: ${count(value)}`}</title>
            <rect class="bar-back" x={index * step} y={0} width={step} height={HEIGHT} />
            <rect
              class="bar-fill"
              x={index * step + GAP / 2}
              y={HEIGHT - height}
              width={Math.max(0.5, step - GAP)}
              height={height}
            />
          </g>
        );
        return choose === undefined || value === 0 ? (
          bar
        ) : (
          <a key={from} href={choose(from, to)} tabIndex={-1}>
            {bar}
          </a>
        );
      })}
      <line class="bar-base" x1={0} x2={WIDTH} y1={HEIGHT} y2={HEIGHT} />
    </svg>
  );
}
