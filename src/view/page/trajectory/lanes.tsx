// A time line of a record: a lane for each role, with waiting and working.

import { useEffect, useRef, useState } from "preact/hooks";
import type { HopLine } from "../../api.ts";
import { duration } from "../format.ts";
import { visibleText } from "../parts/visible.tsx";
import type { RoleColours } from "./roles.ts";
import { type Lane, lanesOf, type Piece, spanOf, ticksOf } from "./spans.ts";

const LANE = 18;
const BAR = 12;
const AXIS = 18;
const NAMES = 104;

interface Props {
  readonly hops: readonly HopLine[];
  readonly colours: RoleColours;
  readonly current: number;
  readonly show: (index: number) => void;
}

export function Lanes({ hops, colours, current, show }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    if (box.current === null) return;
    const observer = new ResizeObserver(([entry]) => setWidth(entry?.contentRect.width ?? 0));
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  const span = spanOf(hops);
  const plot = Math.max(1, width - NAMES - 8);
  const lanes = lanesOf(hops, span, plot);
  const height = lanes.length * LANE + AXIS;
  const label = `${hops.length} steps of ${lanes.length} roles in ${duration(span.to - span.from)}`;
  const x = (ms: number) =>
    NAMES + ((ms - span.from) / Math.max(0.001, span.to - span.from)) * plot;
  const here = hops[current];
  const click = (event: MouseEvent) => {
    const bounds = (event.currentTarget as Element).getBoundingClientRect();
    const lane = lanes[Math.floor((event.clientY - bounds.top) / LANE)];
    const share = (event.clientX - bounds.left - NAMES) / plot;
    const at = span.from + share * (span.to - span.from);
    const nearest = lane?.hops.toSorted((a, b) => distance(hops[a], at) - distance(hops[b], at))[0];
    if (nearest !== undefined) show(nearest);
  };
  return (
    <div ref={box} class="lanes" style={{ minHeight: `${height}px` }}>
      {width > 0 && (
        // biome-ignore lint/a11y/useKeyWithClickEvents: j and k lead through the same steps.
        <svg width={width} height={height} role="img" aria-label={label} onClick={click}>
          <Patterns />
          {ticksOf(span).map((tick) => (
            <g key={tick} class="lane-tick">
              <line x1={x(tick)} x2={x(tick)} y1={0} y2={height - AXIS} />
              <text
                x={x(tick)}
                y={height - 4}
                text-anchor={tick === span.from ? "start" : "middle"}
              >
                {duration(tick)}
              </text>
            </g>
          ))}
          {lanes.map((lane, index) => (
            <LaneRow
              key={lane.name}
              lane={lane}
              top={index * LANE}
              colour={colours.get(lane.name) ?? "var(--muted)"}
            />
          ))}
          {here !== undefined && (
            <line
              class="lane-here"
              x1={x(here.startMs)}
              x2={x(here.startMs)}
              y1={0}
              y2={height - AXIS}
            />
          )}
        </svg>
      )}
      <p class="lanes-legend" aria-hidden="true">
        <span class="legend-queue" /> in the queue <span class="legend-model" /> model{" "}
        <span class="legend-code" /> code or tool
      </p>
    </div>
  );
}

function distance(hop: HopLine | undefined, at: number): number {
  if (hop === undefined) return Number.POSITIVE_INFINITY;
  const { startMs, runMs } = hop;
  return at < startMs ? startMs - at : Math.max(0, at - startMs - runMs);
}

/** Waiting is hatched, so that it does not rest on its colour. */
function Patterns() {
  return (
    <defs>
      <pattern id="hatch" width="4" height="4" patternUnits="userSpaceOnUse">
        <path d="M0 4L4 0" stroke="var(--muted)" stroke-width="1" opacity="0.7" />
      </pattern>
    </defs>
  );
}

function LaneRow({
  lane,
  top,
  colour,
}: {
  readonly lane: Lane;
  readonly top: number;
  readonly colour: string;
}) {
  const name = visibleText(lane.name);
  const y = top + (LANE - BAR) / 2;
  return (
    <g>
      <text class="lane-name" x={0} y={top + LANE - 5}>
        {name.length > 15 ? `${name.slice(0, 14)}…` : name}
      </text>
      <line class="lane-base" x1={NAMES} x2="100%" y1={top + LANE / 2} y2={top + LANE / 2} />
      {lane.pieces.map((piece) => (
        <PieceMark key={`${piece.kind} ${piece.x}`} piece={piece} y={y} colour={colour} />
      ))}
    </g>
  );
}

function PieceMark({
  piece,
  y,
  colour,
}: {
  readonly piece: Piece;
  readonly y: number;
  readonly colour: string;
}) {
  const { kind, x, width, title } = piece;
  const at = { x: NAMES + x, y, width, height: BAR, rx: 2 };
  return (
    <g>
      <title>{title}</title>
      {kind === "queue" && <rect {...at} y={y + 3} height={BAR - 6} fill="url(#hatch)" />}
      {kind === "model" && <rect {...at} fill={colour} />}
      {kind === "code" && <rect {...at} fill={colour} fill-opacity="0.25" stroke={colour} />}
      {kind === "error" && (
        <path
          class="lane-error"
          d={`M${at.x} ${y}l${BAR} ${BAR}M${at.x + BAR} ${y}l${-BAR} ${BAR}`}
        />
      )}
    </g>
  );
}
