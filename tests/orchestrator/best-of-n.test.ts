import { expect, test } from "bun:test";
import { hopsOfFirst } from "../../src/orchestrator/best-of-n.ts";
import type { PatternConfig } from "../../src/recipe/schema/orchestrator-schema.ts";
import { Cut, type Script, walkPattern } from "./walk.ts";

type Config = Extract<PatternConfig, { pattern: "best-of-n" }>;

const CONFIG: Config = { pattern: "best-of-n", roles: ["solver", "judge"], n: 4, parallel: false };
const PARALLEL: Config = { ...CONFIG, parallel: true };
const SCORES = [0.2, 0.7, 0.7, 0.4];
const SCRIPT: Script = {
  solver: (turn) => `s${turn}`,
  judge: (turn) => ({ score: SCORES[turn] ?? 0, says: turn }),
};
const ONE: Config = { pattern: "best-of-n", roles: ["a"], n: 3, parallel: false };

for (const config of [CONFIG, PARALLEL]) {
  const form = config.parallel ? "best-of-n in parallel" : "best-of-n";

  test(`${form} makes every candidate and chooses the first of the best`, async () => {
    const { route, ending, task } = await walkPattern(config, SCRIPT);
    expect(route).toEqual(Array(4).fill(["solver", "judge"]).flat());
    expect(ending).toMatchObject({ status: "ok", stopReason: "completed", score: 0.7 });
    expect(ending.outcome).toEqual({
      score: 0.7,
      says: 1,
      chosen: 1,
      candidates: SCORES.map((score) => ({ score, accepted: null })),
    });
    expect(task.history).toHaveLength(8);
  });

  test(`${form} ends at an accepted candidate and makes no further one`, async () => {
    const accept = "score > 0.5 && results.solver == 's1' && candidate == 1";
    const { route, ending } = await walkPattern({ ...config, accept }, SCRIPT);
    expect(route).toEqual(["solver", "judge", "solver", "judge"]);
    expect(ending).toMatchObject({
      stopReason: "completed",
      score: 0.7,
      outcome: { says: 1, chosen: 1 },
    });
    const waiting = config.parallel ? [null, null] : [];
    expect(ending.outcome?.["candidates"]).toEqual([
      { score: 0.2, accepted: false },
      { score: 0.7, accepted: true },
      ...waiting,
    ]);
  });

  test(`${form} ends as max_turns with the best candidate, unless one is accepted`, async () => {
    const { ending } = await walkPattern({ ...config, accept: "score > 0.9" }, SCRIPT);
    expect(ending).toMatchObject({ stopReason: "max_turns", score: 0.7, outcome: { chosen: 1 } });
  });

  test(`${form} chooses the accepted candidate over one with a higher score`, async () => {
    const { ending } = await walkPattern({ ...config, accept: "candidate == 3" }, SCRIPT);
    expect(ending).toMatchObject({ stopReason: "completed", score: 0.4, outcome: { chosen: 3 } });
  });

  test(`${form} goes on after a cut candidate, which is not scored and not chosen`, async () => {
    const cut = { ...SCRIPT, solver: (turn: number) => (turn < 2 ? new Cut() : `s${turn}`) };
    const { route, ending } = await walkPattern(config, cut);
    // The judge is not asked about a cut candidate.
    expect(route).toEqual(["solver", "solver", "solver", "judge", "solver", "judge"]);
    expect(ending).toMatchObject({
      stopReason: "completed",
      score: 0.7,
      outcome: { says: 1, chosen: 3 },
    });
    const hops = config.parallel ? {} : { hops: 1 };
    expect(ending.outcome?.["candidates"]).toEqual([
      { score: null, accepted: null, stop_reason: "cut", ...hops },
      { score: null, accepted: null, stop_reason: "cut", ...hops },
      { score: 0.2, accepted: null },
      { score: 0.7, accepted: null },
    ]);
  });

  test(`${form} ends with the first candidate's reason when no answer is whole`, async () => {
    const { ending } = await walkPattern(
      { ...config, accept: "score > 0" },
      { ...SCRIPT, solver: (turn) => new Cut(turn === 0 ? "refused" : "cut") },
    );
    expect(ending).toMatchObject({
      status: "ok",
      stopReason: "refused",
      score: null,
      outcome: { chosen: 0 },
    });
    expect(ending.outcome?.["candidates"]).toMatchObject(Array(4).fill({ accepted: false }));
  });

  test(`${form} scores each candidate by its expression`, async () => {
    const { ending } = await walkPattern(
      { ...ONE, parallel: config.parallel, score: "size(result) - row.n + candidate * 10" },
      { a: (turn) => "x".repeat(turn + 1) },
    );
    expect(ending).toMatchObject({ score: 20, outcome: { result: "xxx", chosen: 2 } });
  });

  test(`${form} takes an accepted candidate that has no score`, async () => {
    const { ending } = await walkPattern(
      { ...ONE, parallel: config.parallel, accept: "result == 1" },
      { a: (turn) => turn },
    );
    expect(ending).toMatchObject({ score: null, outcome: { result: 1, chosen: 1 } });
  });

  test(`${form} prefers a negative score to a missing one, and else takes the first`, async () => {
    const scored = (scores: readonly (number | null)[]) =>
      walkPattern(
        { ...ONE, parallel: config.parallel },
        { a: (turn) => ({ score: scores[turn] ?? null, turn }) },
      );
    expect((await scored([null, -2, -1])).ending).toMatchObject({
      score: -1,
      outcome: { turn: 2 },
    });
    expect((await scored([null, null, null])).ending).toMatchObject({
      score: null,
      outcome: { turn: 0, chosen: 0 },
    });
  });

  test(`${form} accepts a candidate only when accept is true`, async () => {
    const { ending } = await walkPattern(
      { ...ONE, parallel: config.parallel, accept: "1" },
      { a: (turn) => turn },
    );
    expect(ending.stopReason).toBe("max_turns");
  });
}

test("best-of-n takes the chosen candidate's outcome, even when its second role was cut off", async () => {
  const { ending } = await walkPattern(
    { ...CONFIG, n: 3 },
    { solver: (turn) => turn, judge: (turn) => (turn === 0 ? new Cut() : { score: turn, turn }) },
  );
  expect(ending).toMatchObject({ score: 2, outcome: { turn: 2, chosen: 2 } });
  expect(ending.outcome?.["candidates"]).toMatchObject([{ hops: 2 }, {}, {}]);
});

test("best-of-n with n = 1 makes one candidate", async () => {
  expect((await walkPattern({ ...ONE, n: 1 }, { a: () => 0 })).route).toEqual(["a"]);
});

test("best-of-n carries the indices of role and candidate, and the candidates before", async () => {
  const { state } = await walkPattern({ ...CONFIG, n: 2 }, SCRIPT);
  expect(state).toEqual({ at: 1, candidate: 1, candidates: [{ score: 0.2, accepted: null }] });
});

test("a candidate takes one hop for each role, or the number that it states", () => {
  const candidates = [{}, { hops: 1 }, {}];
  expect([0, 1, 2, 3].map((count) => hopsOfFirst(candidates, count, 2))).toEqual([0, 2, 3, 5]);
});

test("best-of-n counts its candidates from 0 in accept and score", async () => {
  const { route, ending } = await walkPattern(
    { ...ONE, accept: "candidate == 0", score: "candidate" },
    { a: (turn) => turn },
  );
  expect(route).toEqual(["a"]);
  expect(ending).toMatchObject({ stopReason: "completed", score: 0 });
});

test("best-of-n chooses a whole answer without a score before a cut one", async () => {
  const { ending } = await walkPattern(
    { ...ONE, n: 2 },
    { a: (turn) => (turn === 0 ? new Cut() : { turn }) },
  );
  expect(ending).toMatchObject({ stopReason: "completed", outcome: { chosen: 1, turn: 1 } });
});
