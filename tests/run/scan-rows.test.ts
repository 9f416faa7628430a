// The pass over a dataset before a run.

import { expect, test } from "bun:test";
import { datasetWork } from "../../src/run/run-rows.ts";
import { scanRows } from "../../src/run/scan-rows.ts";
import { withFolder } from "../parts/folder.ts";
import { prepareSmallRun } from "./small-run.ts";

test("a scan takes files, columns, id, filter, limit, shuffle and shard from the recipe", () =>
  withFolder(async (folder) => {
    const plain = await scanRows(await prepareSmallRun(folder, { rows: 6 }), undefined);
    expect(plain.source).toMatchObject({
      ...{ columns: null, idField: null, filter: null, limit: null, shuffle: null, shard: null },
      files: [{ path: expect.stringMatching(/rows\.jsonl$/) }],
    });
    expect(plain.scan.rows).toBe(6);
    const overrides = [
      ...['dataset.columns=["n"]', "dataset.id=n", 'dataset.filter="row.n > 1"'],
      ...["dataset.limit=3", "dataset.shuffle=true", "run.seed=5", "dataset.shard=0/1"],
    ];
    const { source, scan } = await scanRows(
      await prepareSmallRun(folder, { rows: 6, overrides }),
      undefined,
    );
    expect(source).toMatchObject({ columns: ["n"], idField: "n", limit: 3, shuffle: 5 });
    expect(source.shard).toEqual({ index: 0, count: 1 } as unknown as typeof source.shard);
    expect([source.filter?.({ n: 1 }), source.filter?.({ n: 2 })]).toEqual([false, true]);
    expect(scan.rows).toBe(3);
  }));

test("a scan gives the digest after as many rows as an earlier start had", () =>
  withFolder(async (folder) => {
    const plan = await prepareSmallRun(folder, { rows: 3 });
    const { scan } = await scanRows(plan, undefined);
    const checked = await scanRows(plan, 3);
    expect(checked.scan.checkpointDigest).toBe(scan.digest);
    expect((await scanRows(plan, 2)).scan.checkpointDigest).not.toBe(scan.digest);
    expect((await scanRows(plan, 4)).scan.checkpointDigest).toBeNull();
  }));

test("the work of a run is every trial of every row", () =>
  withFolder(async (folder) => {
    const overrides = ["run.trials=3", "run.seed=9"];
    const plan = await prepareSmallRun(folder, { rows: 2, overrides });
    const { plan: same, rows } = await datasetWork(plan, undefined);
    expect(same).toBe(plan);
    expect(rows).toMatchObject({
      ...{ expected: 6, trials: 3, seed: 9, simulated: true, replay: null },
      scan: { rows: 2 },
    });
    const stream = await rows.open();
    const ids: string[] = [];
    for (let row = await stream.next(); row !== null; row = await stream.next()) ids.push(row.id);
    expect(ids).toEqual(["0", "1"]);
    await stream.close();
  }));
