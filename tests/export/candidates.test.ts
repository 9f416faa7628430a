import { expect, test } from "bun:test";
import { candidatesOf, chosenHops } from "../../src/export/candidates.ts";
import type { OrchestratorConfig } from "../../src/recipe/schema/orchestrator-schema.ts";
import type { JsonObject } from "../../src/task/json.ts";
import { hopsOf, recordOf } from "./made.ts";

const config = (parallel: boolean) =>
  ({ pattern: "best-of-n", roles: ["writer", "judge"], n: 3, parallel }) as OrchestratorConfig;
const SEQUENCE = { pattern: "sequence", roles: ["writer"] } as unknown as OrchestratorConfig;

const HISTORY = hopsOf(
  ["writer", "a"],
  ["judge", 1],
  ["writer", "cut"],
  ["writer", "c"],
  ["judge", 3],
);
const OUTCOME: JsonObject = {
  chosen: 2,
  candidates: [
    { score: 1, accepted: null },
    { score: null, accepted: null, stop_reason: "cut", hops: 1 },
    { score: 3, accepted: null },
  ],
};
const results = (hops: readonly { readonly result: unknown }[]) => hops.map(({ result }) => result);

test("candidates that came one after the other have the hops that each of them took", () => {
  const record = recordOf({ outcome: OUTCOME, history: HISTORY });
  const found = candidatesOf(record, config(false)) ?? [];
  expect(found.map(({ score, hops }) => [score, results(hops)])).toEqual([
    [1, ["a", 1]],
    [null, ["cut"]],
    [3, ["c", 3]],
  ]);
  expect(results(chosenHops(record, config(false)))).toEqual(["c", 3]);
});

test("candidates of branches have the hops of their branch, in any order", () => {
  const history = HISTORY.map((hop, index) => ({ ...hop, branch: [2, 2, 1, 0, 0][index] ?? 0 }));
  const record = recordOf({ outcome: { ...OUTCOME, chosen: 0 }, history });
  const found = candidatesOf(record, config(true)) ?? [];
  expect(found.map(({ score, hops }) => [score, results(hops)])).toEqual([
    [1, ["c", 3]],
    [null, ["cut"]],
    [3, ["a", 1]],
  ]);
  expect(results(chosenHops(record, config(true)))).toEqual(["c", 3]);
});

test("a candidate that is still missing has no score", () => {
  const record = recordOf({ outcome: { chosen: 0, candidates: [null] }, history: [] });
  expect(candidatesOf(record, config(true))).toEqual([{ score: null, hops: [] }]);
});

test("a record of another pattern, or without candidates, has all of its hops", () => {
  const record = recordOf({ outcome: OUTCOME, history: HISTORY });
  expect(candidatesOf(record, SEQUENCE)).toBeNull();
  expect(chosenHops(record, SEQUENCE)).toBe(HISTORY);
  const none = recordOf({ outcome: {}, history: HISTORY });
  expect(candidatesOf(none, config(false))).toBeNull();
  expect(chosenHops(none, config(false))).toBe(HISTORY);
  expect(candidatesOf(record, { module: "route.ts" } as OrchestratorConfig)).toBeNull();
});
