// `matrix verify` as text and as JSON.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { renderShards, renderVerification } from "../../src/cli/verify.ts";
import { readManifest } from "../../src/records/manifest.ts";
import type { Verification } from "../../src/records/verify.ts";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";
import { DIALOGUE, said, writeRun } from "../parts/run-directory.ts";

async function verification(more: Partial<Verification> = {}): Promise<Verification> {
  return withFolder(async (folder) => {
    await writeRun(folder, DIALOGUE, []);
    const manifest = await readManifest(folder);
    if (manifest === null) throw new Error("the run has no manifest");
    return {
      manifest: { ...manifest, expected: 4 },
      counts: { ok: 2, failed: 1, lost: 1 },
      superseded: 0,
      complete: true,
      findings: [],
      more: 0,
      ...more,
    };
  });
}

test("a sound run shows its accounting, and that it was verified", async () => {
  expect(renderVerification(await verification())).toBe(
    "talk (simulated): expected 4 = ok 2 + failed 1 + lost 1\nverified: every row and trial has exactly one record",
  );
});

test("an unfinished run shows what is recorded and how it goes on", async () => {
  const { manifest } = await verification();
  const unfinished = await verification({
    complete: false,
    manifest: { ...manifest, simulated: false, expected: 9 },
  });
  expect(renderVerification(unfinished)).toBe(
    "talk: 4 of 9 recorded: ok 2 + failed 1 + lost 1\nincomplete: the same `matrix drive` goes on where it stands",
  );
});

test("findings are listed with their lines, and those beyond the list are counted", async () => {
  const findings = [
    { line: 3, message: "odd" },
    { line: null, message: "lost one" },
  ];
  expect(
    renderVerification(await verification({ findings }))
      .split("\n")
      .slice(1),
  ).toEqual(["wrong: line 3: odd", "wrong: lost one"]);
  expect(renderVerification(await verification({ findings, more: 5 }))).toEndWith("\nand 5 more");
});

/** A sound verification of a run whose recipe has this shard. */
async function ofShard(shard: string, more: Partial<Verification> = {}): Promise<Verification> {
  const { manifest } = await verification();
  const recipe = { ...manifest.recipe, dataset: { path: "d.jsonl", shard } };
  return verification({ manifest: { ...manifest, expected: 4, recipe }, ...more });
}

test("a single shard says that it is one of several, and how the whole run is verified", async () => {
  expect(renderVerification(await ofShard("1/4")).split("\n")).toEqual([
    "talk (simulated): expected 4 = ok 2 + failed 1 + lost 1",
    "verified: every row and trial of shard 1/4 has exactly one record",
    "this is one of 4 shards of the run; missing here: 0/4, 2/4, 3/4",
    "to verify the whole run: matrix verify with the directories of all 4 shards",
  ]);
  const finding = { line: 3, message: "odd" };
  const unsound = renderVerification(await ofShard("0/2", { findings: [finding] }));
  expect(unsound.split("\n").slice(1)).toEqual([
    "wrong: line 3: odd",
    "this is one of 2 shards of the run; missing here: 1/2",
    "to verify the whole run: matrix verify with the directories of all 2 shards",
  ]);
  expect(renderVerification(await ofShard("0/1")).split("\n")).toHaveLength(2);
});

test.each<[shard: string, missing: string]>([
  ["10/11", "0/11, 1/11, 2/11, 3/11, 4/11, 5/11, 6/11, 7/11, 8/11, 9/11"],
  ["0/12", "1/12, 2/12, 3/12, 4/12, 5/12, 6/12, 7/12, 8/12, 9/12, 10/12 and 1 more"],
])("of the shards beside %s, ten are named", async (shard, missing) => {
  expect(renderVerification(await ofShard(shard))).toContain(`; missing here: ${missing}\n`);
});

test("shards show each directory, what is wrong or missing, and their sum", async () => {
  const one = await verification();
  const part = await verification({ complete: false, findings: [{ line: 1, message: "odd" }] });
  const sums = { expected: 8, counts: { ok: 4, failed: 2, lost: 2 } };
  const shards = [
    { directory: "a", verification: one },
    { directory: "b", verification: part },
  ];
  expect(
    renderShards({
      ...sums,
      shards,
      missing: ["2/3"],
      givenCount: 2,
      missingCount: 1,
      complete: false,
      findings: ["twice"],
    }),
  ).toBe(
    [
      "a: expected 4 = ok 2 + failed 1 + lost 1",
      "b: 4 of 4 recorded: ok 2 + failed 1 + lost 1",
      "wrong: line 1: odd",
      "wrong: twice",
      "missing: shard 2/3",
      "talk (simulated): 8 of 8 recorded: ok 4 + failed 2 + lost 2 in 2 of 3 shards",
    ].join("\n"),
  );
  const whole = shards.map(({ directory }) => ({ directory, verification: one }));
  const text = (more: { complete: boolean; missing: readonly string[] }) =>
    renderShards({
      ...{ ...sums, shards: whole, findings: [] },
      ...{ givenCount: 2, missingCount: more.missing.length },
      ...more,
    })
      .split("\n")
      .slice(2);
  expect(text({ complete: true, missing: [] })).toEqual([
    "talk (simulated): expected 8 = ok 4 + failed 2 + lost 2",
    "verified: in 2 shards every row and trial has exactly one record",
  ]);
  expect(text({ complete: false, missing: ["2/3"] })).toEqual([
    "missing: shard 2/3",
    "talk (simulated): expected 8 = ok 4 + failed 2 + lost 2 in 2 of 3 shards",
    "incomplete: the same `matrix drive` of each shard goes on where it stands",
  ]);
});

test("verify exits with 1 when something is wrong, and its JSON has every count", () =>
  withFolder(async (folder) => {
    const run = join(folder, "run");
    await writeRun(run, DIALOGUE, [{ id: "1", history: [["student", said("x")]] }]);
    const { code, stdout } = await matrix(["verify", run, "--json"]);
    const result = JSON.parse(stdout);
    expect(code).toBe(1);
    expect(result).toMatchObject({
      name: "talk",
      state: "complete",
      simulated: true,
      shard: null,
      expected: 1,
      ok: 1,
      failed: 0,
      lost: 0,
      complete: true,
      verified: false,
      findings_not_listed: 0,
    });
    expect(result.findings).not.toEqual([]);
    expect((await matrix(["verify", run])).stdout).toStartWith(
      "talk (simulated): expected 1 = ok 1 + failed 0 + lost 0\nwrong: ",
    );
    const both = await matrix(["verify", run, run, "--json"]);
    expect(both.code).toBe(1);
    expect(JSON.parse(both.stdout)).toMatchObject({
      expected: 2,
      ok: 2,
      verified: false,
      missing: [],
      shards: [
        { directory: run, expected: 1 },
        { directory: run, expected: 1 },
      ],
    });
  }));

test("the JSON of a single shard names it", () =>
  withFolder(async (folder) => {
    const recipe = { ...DIALOGUE, dataset: { path: "d.jsonl", shard: "1/3" } };
    await writeRun(folder, recipe, []);
    const { stdout } = await matrix(["verify", folder, "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({ shard: "1/3" });
  }));
