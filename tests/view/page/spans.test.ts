import { expect, test } from "bun:test";
import type { HopLine } from "../../../src/view/api.ts";
import { lanesOf, spanOf, ticksOf } from "../../../src/view/page/trajectory/spans.ts";

function hop(index: number, role: string, extra: Partial<HopLine> = {}): HopLine {
  return {
    ...{ hop: index, role, host: "driver", startMs: index * 100, queueMs: 20, runMs: 50 },
    ...{ model: "m", chars: 1 },
    ...extra,
  };
}

test("a span begins with the first wait and ends with the last work", () => {
  expect(spanOf([hop(0, "a", { startMs: -5 }), hop(1, "a", { runMs: 70 })])).toEqual({
    ...{ from: -25, to: 170 },
  });
  expect(spanOf([])).toEqual({ from: 0, to: 0.001 });
});

test("each role has a lane with its waits and its work, in pixels", () => {
  const { model: _, ...tool } = hop(1, "tools", { error: "agent_failed" });
  const lanes = lanesOf([hop(0, "solver"), tool], { from: 0, to: 200 }, 400);
  expect(lanes.map(({ name, hops }) => [name, hops])).toEqual([
    ["solver", [0]],
    ["tools", [1]],
  ]);
  const pieces = lanes.map((lane) => lane.pieces.map(({ kind, x, width }) => [kind, x, width]));
  expect(pieces).toEqual([
    [
      ["queue", -40, 40],
      ["model", 0, 100],
    ],
    [
      ["queue", 160, 40],
      ["code", 200, 100],
      ["error", 300, 0],
    ],
  ]);
});

test("pieces narrower than a pixel are joined, and wide ones are not", () => {
  const many = Array.from({ length: 10_000 }, (_, index) =>
    hop(index, "a", { startMs: index, queueMs: 0, runMs: 1 }),
  );
  const [lane] = lanesOf(many, spanOf(many), 500);
  expect(lane?.pieces).toHaveLength(1);
  expect(lane?.pieces[0]?.width).toBeCloseTo(501.95, 1);
  const few = [hop(0, "a", { queueMs: 0 }), hop(1, "a", { startMs: 50, queueMs: 0 })];
  expect(lanesOf(few, spanOf(few), 500)[0]?.pieces).toHaveLength(2);
});

test("roles beyond the twelfth share a lane", () => {
  const hops = Array.from({ length: 15 }, (_, index) => hop(index, `role-${index}`));
  const lanes = lanesOf(hops, spanOf(hops), 500);
  expect(lanes).toHaveLength(12);
  expect(lanes.at(-1)).toMatchObject({ name: "others", hops: [11, 12, 13, 14] });
});

test("ticks stand at round times within the span", () => {
  expect(ticksOf({ from: 0, to: 480 })).toEqual([0, 100, 200, 300, 400]);
  expect(ticksOf({ from: -0.5, to: 1.8 })).toEqual([-0.5, 0, 0.5, 1, 1.5]);
});
