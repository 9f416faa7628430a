// A directory and the run that wants it: what may differ, and how each difference is
// told.

import { expect, test } from "bun:test";
import type { MatrixError } from "../../src/error.ts";
import type { Manifest, RunIdentity } from "../../src/records/manifest.ts";
import { refuseOtherRun } from "../../src/records/same-run.ts";
import type { JsonObject } from "../../src/task/json.ts";
import { identityOf, manifestOf } from "./made.ts";

const RECIPE: JsonObject = {
  name: "made",
  dataset: { path: "d.jsonl", limit: 5 },
  run: { trials: 2 },
};
const HASHES = { "p.md": "1", "m.ts": "2" };

/** The reason against continuing the run; null when there is none. */
function against(
  now: Partial<RunIdentity> = {},
  { earlier = {}, digest = "digest" }: { earlier?: Partial<Manifest>; digest?: string | null } = {},
): readonly string[] | null {
  const manifest = manifestOf([], {
    recipe: RECIPE,
    hashes: HASHES,
    dataset: { rows: 5, digest: "digest", ids_digest: "" },
    ...earlier,
  });
  try {
    refuseOtherRun(
      "runs/x",
      manifest,
      identityOf({ recipe: RECIPE, hashes: HASHES, ...now }),
      digest,
    );
    return null;
  } catch (thrown) {
    const error = thrown as MatrixError;
    expect(error).toMatchObject({
      code: "run_refused",
      message: "runs/x holds another run",
      hint:
        "start anew with --fresh (the old directory is kept aside), choose another directory with -o, " +
        "or give this recipe a name of its own",
    });
    return error.problems.map(({ message }) => message);
  }
}
const recipe = (dataset: JsonObject, run: JsonObject, more: JsonObject = {}) => ({
  recipe: { ...RECIPE, dataset, run, ...more },
});

test("the same recipe, files and dataset go on, with another concurrency and more trials", () => {
  expect(against()).toBeNull();
  const grown = recipe({ path: "d.jsonl", limit: 6 }, { trials: 3, concurrency: 9 });
  expect(against(grown)).toBeNull();
});

test("every key that makes another run, or shrinks this one, is told with both values", () => {
  const other = recipe({ path: "e.jsonl", limit: 4 }, { trials: 2 }, { name: "other", seed: 1 });
  const dataset = { rows: 4, digest: "", ids_digest: "" };
  expect(against({ ...other, dataset })?.toSorted()).toEqual([
    "dataset.limit was 5 and is 4 now (it can only grow)",
    'dataset.path was "d.jsonl" and is "e.jsonl" now',
    'name was "made" and is "other" now',
    "seed was unset and is 1 now",
  ]);
  const unset = recipe({ path: "d.jsonl", limit: 5 }, {});
  expect(against(unset)).toEqual(["run.trials was 2 and is unset now (it can only grow)"]);
});

test.each<[before: number | undefined, now: number, rows: number, refused: boolean]>([
  [undefined, 5, 5, false],
  [undefined, 6, 5, false],
  [undefined, 4, 4, true],
  [9, 5, 5, false],
  [9, 4, 4, true],
])(
  "a limit of %p that becomes %p over 5 rows leaves %p: refused %p",
  (before, limit, rows, refused) => {
    const path = "d.jsonl";
    const earlier = {
      recipe: { ...RECIPE, dataset: before === undefined ? { path } : { path, limit: before } },
    };
    const dataset = { rows, digest: "digest", ids_digest: "" };
    const found = against({ ...recipe({ path, limit }, { trials: 2 }), dataset }, { earlier });
    expect(found).toEqual(
      refused
        ? [`dataset.limit was ${before ?? "unset"} and is ${limit} now (it can only grow)`]
        : null,
    );
  },
);

test("trials that shrink are refused where no row is left out", () => {
  const fewer = { ...recipe({ path: "d.jsonl", limit: 5 }, { trials: 1 }) };
  expect(against(fewer)).toEqual(["run.trials was 2 and is 1 now (it can only grow)"]);
});

test("a file that changed is told, and one that came or went is not", () => {
  expect(against({ hashes: { "p.md": "9", "m.ts": "2" } })).toEqual(["p.md has changed"]);
  expect(against({ hashes: { "m.ts": "2", "new.md": "1" } })).toBeNull();
});

test("a run that asks models and one that replays another are told apart", () => {
  expect(against({ replay: "runs/a" })).toEqual(["it asks models, and this run replays runs/a"]);
  expect(against({}, { earlier: { replay: "runs/a" } })).toEqual([
    "it replays runs/a, and this run asks models",
  ]);
  expect(against({ replay: "runs/a" }, { earlier: { replay: "runs/a" } })).toBeNull();
});

test("a dataset that changed in the earlier rows is told, unless a file explains it", () => {
  for (const digest of ["other", null])
    expect(against({}, { digest })).toEqual(["the dataset has changed in its first 5 rows"]);
  expect(against({ hashes: { "p.md": "9" } }, { digest: "other" })).toEqual(["p.md has changed"]);
});
