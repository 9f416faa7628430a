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

test("shards show each directory, what is wrong or missing, and their sum", async () => {
  const one = await verification();
  const part = await verification({ complete: false, findings: [{ line: 1, message: "odd" }] });
  const sums = { expected: 8, counts: { ok: 4, failed: 2, lost: 2 } };
  const shards = [
    { directory: "a", verification: one },
    { directory: "b", verification: part },
  ];
  expect(
    renderShards({ ...sums, shards, missing: ["2/3"], complete: false, findings: ["twice"] }),
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
    renderShards({ ...sums, shards: whole, findings: [], ...more })
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
