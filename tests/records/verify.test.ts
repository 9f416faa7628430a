// The accounting from the files: a sound run has no findings, and every edit of its records or its
// manifest has one.

import { expect, test } from "bun:test";
import { appendFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Manifest } from "../../src/records/manifest.ts";
import { shardOf, verifyRun } from "../../src/records/verify.ts";
import { IdSet } from "../../src/task/id-set.ts";
import type { TrajectoryRecord } from "../../src/task/record.ts";
import { deriveSeed, taskSeed } from "../../src/task/seed.ts";
import { withFolder } from "../parts/folder.ts";
import { failedRecordOf, manifestOf, RUN_SEED, recordOf, writeRun } from "./made.ts";

const RECORDS = ["0", "1", "2", "3"].map((id) => recordOf(id));

/** Findings about a run with these records and this manifest, each with its line. */
async function findingsOf(
  records: readonly TrajectoryRecord[] = RECORDS,
  manifest: Partial<Manifest> = {},
  edit: (path: string) => Promise<void> = async () => undefined,
): Promise<string[]> {
  return withFolder(async (folder) => {
    await writeRun(folder, records, manifest);
    await edit(join(folder, "trajectories.jsonl"));
    const { findings } = await verifyRun(folder);
    return findings.map(({ line, message }) => (line === null ? message : `${line}: ${message}`));
  });
}

test("a sound run is complete and has no findings", () =>
  withFolder(async (folder) => {
    const records = [...RECORDS, failedRecordOf("4"), recordOf("0", { trial: 1 })];
    const dataset = { ...manifestOf(records).dataset, rows: 3 };
    await writeRun(folder, records, { trials: 2, dataset });
    const { manifest, ...verification } = await verifyRun(folder);
    expect(verification).toEqual({
      counts: { ok: 5, failed: 1, lost: 0 },
      superseded: 0,
      complete: true,
      findings: [],
      more: 0,
    });
    expect(manifest.expected).toBe(6);
  }));

test("a compressed run is verified like a plain one", () =>
  withFolder(async (folder) => {
    await writeRun(folder, RECORDS, {}, "trajectories.jsonl.zst");
    expect(await verifyRun(folder)).toMatchObject({ complete: true, findings: [] });
  }));

test("a run that goes on may have more records than its manifest says, and not fewer", async () => {
  const running = { ...manifestOf(RECORDS), state: "running" } as const;
  expect(await findingsOf(RECORDS, { ...running, ok: 3 })).toEqual([]);
  expect(await findingsOf(RECORDS.slice(1), { ...running, ok: 3 })).toEqual([]);
  expect(await findingsOf(RECORDS.slice(1), running)).toEqual([
    "the manifest counts 4 ok, the records 3",
  ]);
});

test("a stopped run is sound without all its records", async () => {
  const { dataset, expected } = manifestOf(RECORDS);
  const stopped = { state: "stopped", dataset, expected } as const;
  expect(await findingsOf(RECORDS.slice(1), stopped)).toEqual([]);
});

test("a removed record is missed", async () => {
  expect(await findingsOf(RECORDS.slice(1), manifestOf(RECORDS))).toEqual([
    "the manifest counts 4 ok, the records 3",
    "the run is complete, but 1 of 4 records are missing",
  ]);
});

test("a doubled record is found at its second line, and is not counted", async () => {
  const doubled = [...RECORDS, recordOf("2")];
  expect(await findingsOf(doubled, manifestOf(RECORDS))).toEqual([
    "5: row 2, trial 0 is there twice",
  ]);
  const replaced = [...RECORDS.slice(1), recordOf("1")];
  expect(await findingsOf(replaced, manifestOf(RECORDS))).toEqual([
    "4: row 1, trial 0 is there twice",
    "the manifest counts 4 ok, the records 3",
    "the run is complete, but 1 of 4 records are missing",
  ]);
});

test("a record too many is found", async () => {
  const more = [...RECORDS, recordOf("4")];
  expect(await findingsOf(more, manifestOf(RECORDS))).toEqual([
    "the manifest counts 4 ok, the records 5",
    "there are 5 records, but only 4 are expected",
  ]);
});

test("a record of another row is found by the digest of the dataset", async () => {
  const others = [...RECORDS.slice(1), recordOf("9")];
  expect(await findingsOf(others, manifestOf(RECORDS))).toEqual([
    "the recorded rows and trials are not those of the dataset",
  ]);
});

test("a trial beyond the run's and a seed that does not follow are found", async () => {
  expect(await findingsOf([recordOf("0", { trial: 1 })])).toEqual([
    "1: trial 1 is not one of the run's 1",
  ]);
  expect(await findingsOf([recordOf("0", { seed: 1 })])).toEqual([
    "1: the seed does not follow from the run's seed, the id and the trial",
  ]);
  expect(await findingsOf(RECORDS.slice(0, 1), { seed: RUN_SEED + 1 })).toHaveLength(1);
});

test("a status that was changed is found in the record and in the counts", async () => {
  const changed = [recordOf("0", { status: "failed", score: null }), ...RECORDS.slice(1)];
  expect(await findingsOf(changed, manifestOf(RECORDS))).toEqual([
    "1: a failed record has no error",
    "the manifest counts 4 ok, the records 3",
    "the manifest counts 0 failed, the records 1",
  ]);
});

test("a line that is not a record is found, and its record is missed", async () => {
  const found = await findingsOf(RECORDS, {}, async (path) => {
    const lines = (await readFile(path, "utf8")).split("\n");
    await writeFile(path, [lines[0], lines[1]?.slice(0, -1), ...lines.slice(2)].join("\n"));
  });
  expect(found).toEqual([
    "2: the line is not JSON",
    "the manifest counts 4 ok, the records 3",
    "the run is complete, but 1 of 4 records are missing",
  ]);
});

test("a torn last line is found, and its record does not count", async () => {
  const found = await findingsOf(RECORDS, {}, (path) => appendFile(path, '{"torn'));
  expect(found).toEqual(["5: the last line is torn; a continued run cuts it off"]);
});

test("every edited number of the manifest is found", async () => {
  const sound = manifestOf(RECORDS);
  const dataset = (more: object) => ({ dataset: { ...sound.dataset, ...more } });
  for (const [edit, finding] of [
    [{ ok: 3 }, "the manifest counts 3 ok, the records 4"],
    [{ failed: 1 }, "the manifest counts 1 failed, the records 0"],
    [{ lost: 1 }, "the manifest counts 1 lost, the records 0"],
    [{ expected: 5 }, "the manifest expects 5, but 4 rows × 1 trials are 4"],
    [{ trials: 2 }, "the manifest expects 4, but 4 rows × 2 trials are 8"],
    [dataset({ rows: 5 }), "the manifest expects 4, but 5 rows × 1 trials are 5"],
    [dataset({ ids_digest: "x" }), "the recorded rows and trials are not those of the dataset"],
  ] as const)
    expect((await findingsOf(RECORDS, edit as Partial<Manifest>))[0]).toBe(finding);
});

test("a replay expects one record for each row, whatever its trials", async () => {
  expect(await findingsOf(RECORDS, { replay: "runs/a", trials: 3 })).toEqual([]);
});

test("at most a hundred findings are listed, and the others counted", () =>
  withFolder(async (folder) => {
    const records = Array.from({ length: 120 }, (_, id) => recordOf(`${id}`, { seed: 1 }));
    await writeRun(folder, records);
    const { findings, more } = await verifyRun(folder);
    expect([findings.length, more]).toEqual([100, 20]);
  }));

test("a task that another shard has recorded is found", () =>
  withFolder(async (folder) => {
    const elsewhere = new IdSet();
    elsewhere.add("1", 0);
    await writeRun(folder, RECORDS);
    expect((await verifyRun(folder, elsewhere)).findings).toEqual([
      { line: 2, message: "row 1, trial 0 is in another shard, too" },
    ]);
    expect([elsewhere.size, elsewhere.has("3", 0)]).toEqual([4, true]);
  }));

test("a row number tells its shard, and an id of the dataset's own does not", async () => {
  const recipe = { name: "made", dataset: { path: "d", shard: "1/2" } };
  expect(await findingsOf([recordOf("1"), recordOf("3")], { recipe })).toEqual([]);
  expect(await findingsOf([recordOf("1"), recordOf("2")], { recipe })).toEqual([
    "2: row 2 does not belong to shard 1/2",
  ]);
  const named = { name: "made", dataset: { path: "d", shard: "1/2", id: "row.id" } };
  expect(await findingsOf([recordOf("1"), recordOf("2")], { recipe: named })).toEqual([]);
  expect(shardOf(manifestOf([], { recipe }))).toEqual({ index: 1, count: 2 });
  expect(shardOf(manifestOf([]))).toBeNull();
});

test("verifying fails with usage when the folder is not a run directory", () =>
  withFolder(async (folder) => {
    await expect(verifyRun(folder)).rejects.toMatchObject({
      code: "usage",
      message: `${folder} is not a run directory: it has no manifest.json`,
    });
  }));

/** Findings about a run whose retries moved these records to superseded.jsonl. */
async function findingsAfterRetries(
  superseded: readonly TrajectoryRecord[],
  records: readonly TrajectoryRecord[],
  manifest: Partial<Manifest> = {},
): Promise<string[]> {
  return findingsOf(records, { superseded: superseded.length, ...manifest }, async (path) =>
    writeFile(
      path.replace("trajectories", "superseded"),
      superseded.map((record) => `${JSON.stringify(record)}\n`).join(""),
    ),
  );
}

const FAILED_BEFORE = failedRecordOf("1", {
  error: { code: "model_failed", message: "no", role: null, hop: null },
});
/** Row 1 ran again after a server had failed, then after an answer that did not fit. */
const RETRIED = [
  FAILED_BEFORE,
  failedRecordOf("1", {
    attempt: 2,
    error: { code: "schema_mismatch", message: "no", role: null, hop: null },
  }),
];
const MENDED = RECORDS.map((record) =>
  record.id === "1" ? { ...record, attempt: 3, seed: taskSeed(RUN_SEED, "1", 0, 1) } : record,
);

/** The same after the server's failure alone. */
const AGAIN = RECORDS.map((record) => (record.id === "1" ? { ...record, attempt: 2 } : record));

test("a run whose rows ran again is sound, and its superseded records are counted", async () => {
  expect(await findingsAfterRetries(RETRIED, MENDED)).toEqual([]);
  await withFolder(async (folder) => {
    await writeRun(folder, MENDED, { superseded: 2 });
    await writeFile(
      join(folder, "superseded.jsonl"),
      RETRIED.map((record) => `${JSON.stringify(record)}\n`).join(""),
    );
    expect(await verifyRun(folder)).toMatchObject({ superseded: 2, complete: true, findings: [] });
  });
});

test("a record that ran again must follow from those that it replaced", async () => {
  const withOne = (more: Partial<TrajectoryRecord>) =>
    MENDED.map((record) => (record.id === "1" ? { ...record, ...more } : record));
  expect(await findingsAfterRetries(RETRIED, withOne({ attempt: 2 }))).toEqual([
    "2: row 1, trial 0 has attempt 2, but a superseded record has 2",
  ]);
  expect(
    await findingsAfterRetries(RETRIED, withOne({ seed: deriveSeed(RUN_SEED, "1", 0) })),
  ).toEqual(["2: the seed does not follow from the run's seed, the id and the trial"]);
});

test("a superseded record that was doubled, edited or removed is found", async () => {
  const [first, second] = RETRIED as [TrajectoryRecord, TrajectoryRecord];
  expect(await findingsAfterRetries([first, first, second], MENDED)).toEqual([
    "2: superseded.jsonl: row 1, trial 0 has attempt 1, but a superseded record has 1",
  ]);
  expect(await findingsAfterRetries([first, { ...second, seed: 1 }], MENDED)).toEqual([
    "2: superseded.jsonl: the seed does not follow from the run's seed, the id and the trial",
  ]);
  expect(await findingsAfterRetries([first, { ...second, error: null }], MENDED)).toContain(
    "2: superseded.jsonl: a failed record has no error",
  );
  expect(await findingsAfterRetries([first], AGAIN, { superseded: 2 })).toEqual([
    "the manifest counts 2 superseded records, the file 1",
  ]);
  expect(await findingsAfterRetries(RETRIED, MENDED, { superseded: 1 })).toEqual([
    "the manifest counts 1 superseded records, the file 2",
  ]);
  expect(await findingsOf(RECORDS, { superseded: 1 })).toEqual([
    "the manifest counts 1 superseded records, the file 0",
  ]);
});

test("a complete run has a record for each superseded one, and a stopped run may lack it", async () => {
  const others = RECORDS.filter(({ id }) => id !== "1");
  const run = { expected: 4, dataset: manifestOf(RECORDS).dataset } as const;
  const findings = await findingsAfterRetries([FAILED_BEFORE], others, run);
  expect(findings).toContain("row 1, trial 0 has a superseded record and no other");
  expect(await findingsAfterRetries([FAILED_BEFORE], others, { ...run, state: "stopped" })).toEqual(
    [],
  );
});

test("while a run goes on, superseded.jsonl may be ahead of the manifest, and not behind it", async () => {
  const running = { state: "running", ok: 0 } as const;
  expect(await findingsAfterRetries(RETRIED, MENDED, { ...running, superseded: 1 })).toEqual([]);
  expect(await findingsAfterRetries(RETRIED, MENDED, { ...running, superseded: 3 })).toEqual([
    "the manifest counts 3 superseded records, the file 2",
  ]);
});

test("what an unfinished retry has appended does not count, and a torn line is found", async () => {
  const torn = (text: string, note: boolean) =>
    findingsOf(RECORDS, {}, async (path) => {
      const superseded = path.replace("trajectories", "superseded");
      await writeFile(superseded, text);
      if (!note) return;
      await writeFile(`${path}.next`, "");
      await writeFile(path.replace("trajectories.jsonl", "retry.json"), '{"bytes":0}');
    });
  expect(await torn('{"torn', true)).toEqual([]);
  expect(await torn('{"torn', false)).toEqual(["1: the last line of superseded.jsonl is torn"]);
  expect(await torn('{"a":1}\n', false)).toEqual([
    expect.stringContaining("1: superseded.jsonl: the line is not a record"),
    "the manifest counts 0 superseded records, the file 1",
  ]);
});
