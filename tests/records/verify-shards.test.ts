// The accounting of shards: their sums, those that are missing, and what makes them shards of
// different runs.

import { expect, test } from "bun:test";
import { join } from "node:path";
import type { Manifest } from "../../src/records/manifest.ts";
import { type ShardsVerification, verifyShards } from "../../src/records/verify-shards.ts";
import { withFolder } from "../parts/folder.ts";
import { failedRecordOf, recordOf, writeRun } from "./made.ts";

const recipeOf = (shard: string | null, more: object = {}) => ({
  name: "made",
  dataset: { path: "d", ...(shard === null ? {} : { shard }) },
  ...more,
});

interface Shard {
  readonly shard: string | null;
  readonly ids?: readonly string[];
  readonly manifest?: Partial<Manifest>;
}

/**
 * Verifies run directories "0", "1" … with these shards; findings and missing ones speak of the
 * names alone.
 */
async function verify(...shards: readonly Shard[]): Promise<ShardsVerification> {
  return withFolder(async (folder) => {
    const paths = shards.map((_, index) => join(folder, String(index)));
    for (const [index, { shard, ids = [String(index)], manifest = {} }] of shards.entries())
      await writeRun(
        paths[index] as string,
        ids.map((id) => (id === "failed" ? failedRecordOf(String(index)) : recordOf(id))),
        { recipe: recipeOf(shard), ...manifest },
      );
    const verification = await verifyShards(paths);
    const named = (text: string) => text.replaceAll(`${folder}/`, "");
    return { ...verification, findings: verification.findings.map(named) };
  });
}

test("shards that are all there and complete are summed up and complete", async () => {
  const { shards, ...sums } = await verify(
    { shard: "0/2", ids: ["0", "2"] },
    { shard: "1/2", ids: ["failed", "3"] },
  );
  expect(sums).toEqual({
    expected: 4,
    counts: { ok: 3, failed: 1, lost: 0 },
    missing: [],
    givenCount: 2,
    missingCount: 0,
    complete: true,
    findings: [],
  });
  expect(shards.map(({ verification }) => verification.findings)).toEqual([[], []]);
});

test("of a million missing shards, a thousand are listed and all are counted", async () => {
  const { missing, missingCount } = await verify({ shard: "1/999999999", ids: ["1"] });
  expect(missing).toHaveLength(1000);
  expect(missing.slice(0, 2)).toEqual(["0/999999999", "2/999999999"]);
  expect(missingCount).toBe(999_999_998);
});

test("shards that are not given are missing, and the run is not complete", async () => {
  const { missing, complete, findings } = await verify({ shard: "1/4", ids: ["1"] });
  expect({ missing, complete, findings }).toEqual({
    missing: ["0/4", "2/4", "3/4"],
    complete: false,
    findings: [],
  });
});

test("a shard without all its records makes the whole incomplete", async () => {
  const { complete } = await verify(
    { shard: "0/2", ids: ["0"] },
    { shard: "1/2", ids: ["1"], manifest: { state: "stopped", expected: 2 } },
  );
  expect(complete).toBe(false);
});

test("two directories with one shard, another count or no shard are found", async () => {
  const twice = await verify({ shard: "0/2", ids: ["0"] }, { shard: "0/2", ids: ["2"] });
  expect(twice.findings).toEqual(["0 and 1 are both shard 0/2"]);
  expect([twice.givenCount, twice.missingCount]).toEqual([1, 1]);
  expect(
    (await verify({ shard: "0/2", ids: ["0"] }, { shard: "1/3", ids: ["1"] })).findings,
  ).toEqual(["1 is one of 3 shards, but 0 is one of 2"]);
  const none = await verify({ shard: null, ids: ["0"] }, { shard: "1/2", ids: ["1"] });
  expect(none.findings).toEqual(["0 is not a shard: its recipe has no dataset.shard"]);
  expect(none.missing).toEqual(["0/2"]);
});

test("a task that two shards recorded is found in the second", async () => {
  const { shards } = await verify({ shard: "0/2", ids: ["0"] }, { shard: "1/2", ids: ["0"] });
  expect(shards[1]?.verification.findings.map(({ message }) => message)).toContain(
    "row 0, trial 0 is in another shard, too",
  );
});

test("a shard with another recipe or file is found, another concurrency is not", async () => {
  const { findings } = await verify(
    { shard: "0/3", ids: ["0"], manifest: { hashes: { "p.md": "1", "m.ts": "2" } } },
    {
      shard: "1/3",
      ids: ["1"],
      manifest: {
        recipe: recipeOf("1/3", { seed: 5, run: { concurrency: 9 } }),
        hashes: { "p.md": "9", "new.md": "1" },
      },
    },
    { shard: "2/3", ids: ["2"], manifest: { hashes: { "m.ts": "2" } } },
  );
  expect(findings).toEqual(["seed is 5 in 1, and unset in 0", "1 had another p.md than 0"]);
});

test("verifying shards fails with usage when a directory is not a run directory", () =>
  withFolder(async (folder) => {
    await expect(verifyShards([folder])).rejects.toMatchObject({ code: "usage" });
    expect(await verifyShards([])).toMatchObject({ expected: 0, missing: [], findings: [] });
  }));
