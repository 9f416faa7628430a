// The seeded sample, the counts and the list of accepted survivors, on mutants made by hand.

import { describe, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  entryOf,
  formatEntry,
  matchAccepted,
  readAccepted,
} from "../../../scripts/mutation/accepted.ts";
import type { Mutant } from "../../../scripts/mutation/instrument.ts";
import { countFolders, countOutcomes, formatTable } from "../../../scripts/mutation/report.ts";
import { drawSamples } from "../../../scripts/mutation/sample.ts";

function mutant(number: number, over: Partial<Mutant> = {}): Mutant {
  return {
    id: `id${number}`,
    file: "src/task/task.ts",
    operator: "NumericLiteral",
    inside: "count",
    original: `${number}`,
    replacement: `${number + 1}`,
    nth: 1,
    line: number,
    at: [number * 10, number * 10 + 1],
    ordinal: number,
    ...over,
  };
}

const hundred = Array.from({ length: 100 }, (_, i) => mutant(i));
const drawSample = async (
  mutants: readonly Mutant[],
  count: number,
  seed: string,
  refused: () => Promise<ReadonlySet<string>>,
) => (await drawSamples([mutants], count, seed, refused))[0] ?? [];
const compiles = async () => new Set<string>();

describe("the sample", () => {
  test("a seed draws the same mutants again, and another seed draws others", async () => {
    const first = await drawSample(hundred, 10, "a", compiles);
    expect(await drawSample(hundred.toReversed(), 10, "a", compiles)).toEqual(first);
    expect(await drawSample(hundred, 10, "b", compiles)).not.toEqual(first);
    expect(first).toHaveLength(10);
  });

  test("a mutant that is new in a folder takes at most one place of the sample", async () => {
    const first = await drawSample(hundred, 10, "a", compiles);
    const second = await drawSample([...hundred, mutant(100)], 10, "a", compiles);
    expect(second.filter((of) => !first.includes(of)).length).toBeLessThanOrEqual(1);
  });

  test("mutants that do not compile are replaced by the next ones", async () => {
    const odd = new Set(hundred.filter(({ line }) => line % 2 === 1).map(({ id }) => id));
    const drawn = await drawSample(hundred, 40, "a", async () => odd);
    expect(drawn).toHaveLength(40);
    expect(drawn.every(({ line }) => line % 2 === 0)).toBe(true);
  });

  test("a sample holds one mutant of a node, and all of a folder that is too small", async () => {
    const twins = [mutant(1), mutant(2, { at: [10, 11] }), mutant(3)];
    expect(await drawSample(twins, 10, "a", compiles)).toHaveLength(2);
  });
});

describe("accepted survivors", () => {
  test("an entry that the program prints is read back and matches its mutant", async () => {
    const awkward = mutant(7, { original: 'a "b"\n  \\ c', nth: 2 });
    const entry = entryOf(awkward, "It makes no difference.");
    const folder = await mkdtemp(join(tmpdir(), "matrix-test-"));
    try {
      const path = join(folder, "accepted.toml");
      await writeFile(path, `${formatEntry(entry)}\n${formatEntry(entryOf(mutant(1), "None."))}`);
      const accepted = readAccepted(path);
      expect(accepted[0]).toEqual(entry);
      const { ids, stale } = matchAccepted(accepted, [awkward, mutant(8)]);
      expect([...ids]).toEqual([awkward.id]);
      expect(stale.map(({ original }) => original)).toEqual(["1"]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  test("an entry without a reason is refused with its text", async () => {
    const folder = await mkdtemp(join(tmpdir(), "matrix-test-"));
    try {
      const path = join(folder, "accepted.toml");
      await writeFile(path, formatEntry(entryOf(mutant(1), "")));
      expect(() => readAccepted(path)).toThrow("an entry needs file, operator, original");
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  test("accepted mutants count neither as noticed nor as survivors", () => {
    const outcome = (status: "killed" | "timed out" | "survived" | "not reached" | "accepted") => ({
      mutant: mutant(1),
      status,
      by: null,
      tests: [],
    });
    const outcomes = (["killed", "timed out", "survived", "not reached", "accepted"] as const).map(
      outcome,
    );
    expect(countOutcomes("task", outcomes)).toEqual({
      folder: "task",
      mutants: 5,
      killed: 1,
      timedOut: 1,
      survived: 1,
      notReached: 1,
      accepted: 1,
      share: 0.5,
    });
    const table = formatTable(countFolders(outcomes), countOutcomes("all", outcomes));
    expect(table.split("\n").map((line) => line.split(/ {2,}/).at(-1))).toEqual([
      "share",
      "50.0 %",
      "50.0 %",
    ]);
  });
});
