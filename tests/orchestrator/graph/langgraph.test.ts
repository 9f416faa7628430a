// LangGraph.js itself beside our rule: one graph, row and set of answers give the same state.

import { expect, test } from "bun:test";
import { CATALOGUE } from "./catalogue.ts";
import { drawGraph } from "./drawn.ts";
import { invoke, playGraph } from "./play.ts";

for (const [name, { build, rows = [{}] }] of Object.entries(CATALOGUE))
  test(`LangGraph and our rule end in the same state: ${name}`, async () => {
    for (const row of rows)
      for (const seed of [1, 2]) {
        const [theirs, ours] = [await invoke(build(), row), await playGraph(build(), row, seed)];
        if ("error" in theirs) expect(ours.state).toHaveProperty("error");
        else expect({ row, state: ours.state }).toEqual({ row, state: theirs });
      }
  });

const DRAWN = Number(process.env["MATRIX_GRAPHS"] ?? 300);
const SEED = Number(process.env["MATRIX_GRAPH_SEED"] ?? 1);

test(`LangGraph and our rule end in the same state for ${DRAWN} graphs that are drawn (MATRIX_GRAPH_SEED=${SEED})`, async () => {
  const seen = { ended: 0, failed: 0, forks: 0, supersteps: 0 };
  for (let seed = SEED; seed < SEED + DRAWN; seed++) {
    const theirs = await invoke(drawGraph(seed), { n: 0 });
    const { state, route } = await playGraph(drawGraph(seed), { n: 0 }, seed);
    if ("error" in theirs || "error" in state) {
      seen.failed++;
      expect({ seed, failed: "error" in state, state }).toEqual({
        seed,
        failed: "error" in theirs,
        state,
      });
      continue;
    }
    seen.ended++;
    seen.supersteps += route.length;
    seen.forks += route.filter(({ length }) => length > 1).length;
    expect({ seed, state }).toEqual({ seed, state: theirs });
  }
  console.log(seen);
}, 120_000);
