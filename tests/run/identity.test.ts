// The identity of a run in its manifest.

import { expect, test } from "bun:test";
import { PRICE_LIST } from "../../src/model/price.ts";
import { runtime } from "../../src/platform.ts";
import { identityOf } from "../../src/run/identity.ts";
import { ReplaySource } from "../../src/run/replay/replay-source.ts";
import { datasetWork } from "../../src/run/run-rows.ts";
import { version } from "../../src/version.ts";
import { withFolder } from "../parts/folder.ts";
import { prepareSmallRun } from "./small-run.ts";

test("the identity of a run is its recipe, its files, its rows and its versions", () =>
  withFolder(async (folder) => {
    const overrides = ["run.trials=2", "run.seed=3"];
    const plan = await prepareSmallRun(folder, { rows: 5, overrides });
    const { rows } = await datasetWork(plan, undefined);
    const identity = identityOf(plan, rows);
    expect(identity).toEqual({
      ...{ name: "small", expected: 10, simulated: true, seed: 3, trials: 2 },
      dataset: { rows: 5, digest: rows.scan.digest, ids_digest: rows.scan.idsDigest },
      recipe: plan.loaded.resolved,
      hashes: plan.hashes,
      versions: { matrix: version, runtime: `${runtime.name} ${runtime.version}` },
    });
    const listed = await prepareSmallRun(folder, {
      rows: 5,
      overrides: [
        ...overrides,
        'models.m={kind="openai", base_url="https://api.openai.com/v1", model="gpt-4o", price="auto"}',
      ],
    });
    expect(identityOf(listed, rows).versions).toEqual({
      ...identity.versions,
      prices: PRICE_LIST,
    });
    const replayed = (ask: readonly string[], from: string | number | null) => {
      const wish = { roles: ["student"], ask, from, salt: 0 };
      const source = new ReplaySource(folder, "/runs/a");
      return identityOf(plan, { ...rows, replay: { directory: "/runs/a", wish, source } });
    };
    const replay = "/runs/a";
    expect(replayed([], null)).toEqual({ ...identity, replay });
    expect(replayed(["b", "a"], null)).toEqual({ ...identity, replay, replay_ask: ["a", "b"] });
    expect(replayed([], 0)).toEqual({ ...identity, replay, replay_from: 0 });
    expect(replayed([], "a")).toEqual({ ...identity, replay, replay_from: "a" });
  }));
