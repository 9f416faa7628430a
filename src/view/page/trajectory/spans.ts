// The hops of a record as pieces of lanes. Pieces that are narrower than a pixel are joined, so
// that a record of any length is drawn in as many pieces as the screen has room for.

import type { HopLine } from "../../api.ts";
import { duration } from "../format.ts";

export interface Span {
  /** Milliseconds since the task was admitted. */
  readonly from: number;
  readonly to: number;
}

export interface Piece {
  readonly kind: "queue" | "model" | "code" | "error";
  /** In pixels. */
  readonly x: number;
  readonly width: number;
  readonly title: string;
}

export interface Lane {
  readonly name: string;
  readonly pieces: readonly Piece[];
  /** Places in the history. */
  readonly hops: readonly number[];
}

const LANES_MAX = 12;
const WIDTH_MIN = 2;

export function spanOf(hops: readonly HopLine[]): Span {
  let [from, to] = [0, 0];
  for (const { startMs, queueMs, runMs } of hops) {
    from = Math.min(from, startMs - queueMs);
    to = Math.max(to, startMs + runMs);
  }
  return { from, to: Math.max(to, from + 0.001) };
}

/** Lanes in the order in which their roles first act. Roles beyond the last lane share it. */
export function lanesOf(hops: readonly HopLine[], span: Span, pixels: number): readonly Lane[] {
  const lanes = new Map<string, { name: string; pieces: Piece[]; hops: number[] }>();
  const scale = pixels / (span.to - span.from);
  for (const [index, hop] of hops.entries()) {
    const name = lanes.has(hop.role) || lanes.size < LANES_MAX - 1 ? hop.role : "others";
    const lane = lanes.get(name) ?? { name, pieces: [], hops: [] };
    lanes.set(name, lane);
    lane.hops.push(index);
    const at = (ms: number) => (ms - span.from) * scale;
    const { startMs, queueMs, runMs, model, error } = hop;
    if (queueMs * scale >= 1)
      join(lane.pieces, {
        kind: "queue",
        x: at(startMs - queueMs),
        width: queueMs * scale,
        title: `${hop.role}: ${duration(queueMs)} in the queue`,
      });
    const title = `${hop.hop} ${hop.role}: ${duration(runMs)}${model === undefined ? "" : `, ${model}`}`;
    const width = Math.max(WIDTH_MIN, runMs * scale);
    join(lane.pieces, {
      kind: model === undefined ? "code" : "model",
      x: at(startMs),
      width,
      title,
    });
    if (error !== undefined)
      lane.pieces.push({ kind: "error", x: at(startMs + runMs), width: 0, title: error });
  }
  return [...lanes.values()];
}

/** Adds a piece, or makes the last one longer where the two touch and one is hardly seen. */
function join(pieces: Piece[], piece: Piece): void {
  const last = pieces.at(-1);
  const isSmall = piece.width <= WIDTH_MIN || (last?.width ?? 0) <= WIDTH_MIN;
  if (last?.kind !== piece.kind || !isSmall || piece.x > last.x + last.width + 0.5) {
    pieces.push(piece);
    return;
  }
  const end = Math.max(last.x + last.width, piece.x + piece.width);
  pieces[pieces.length - 1] = { ...last, width: end - last.x, title: `${last.title} …` };
}

/** Round times, some four to eight of them. */
export function ticksOf({ from, to }: Span): readonly number[] {
  const rough = (to - from) / 6;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= rough) ?? power;
  const ticks: number[] = [];
  for (let tick = Math.ceil(from / step) * step; tick <= to - step / 3; tick += step)
    ticks.push(Math.round(tick / step) * step);
  return ticks;
}
