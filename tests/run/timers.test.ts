// Runs, hosts and forecasts leave no timer behind: one that stays would keep the process alive.

import { expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { parseSegmentName } from "../../src/model/answers/answer-line.ts";
import { planStandIn } from "../../src/model/stand-in.ts";
import { readManifest } from "../../src/records/manifest.ts";
import { forecastRun } from "../../src/run/forecast/forecast-run.ts";
import { prepare } from "../../src/run/prepare.ts";
import { runRecipe } from "../../src/run/run-recipe.ts";
import type { RunContext } from "../../src/run/settings.ts";
import { withFolder } from "../parts/folder.ts";
import { timersLeftBy, withTimers } from "../parts/timers.ts";
import { until } from "../parts/until.ts";
import { listen, startHost } from "./small-cluster.ts";
import { prepareSmallRun, type SmallRun, writeSmallRun } from "./small-run.ts";

const play = async (folder: string, small: SmallRun = {}, context: RunContext = {}, more = {}) =>
  runRecipe(
    await prepareSmallRun(folder, small),
    { directory: join(folder, "run"), ...more },
    context,
  );

/** The interval at which the driver trims the journal. */
const TRIM_MS = 5000;

test("a run trims its journal now and then, if its models keep one, and leaves no timer behind", () =>
  withFolder(async (folder) => {
    const during = async (name: string, overrides: readonly string[], more = {}) => {
      let seen: readonly number[] = [];
      const left = await timersLeftBy(({ waiting }) => {
        const look = () => {
          seen = waiting();
          return { score: 1 };
        };
        Object.assign(globalThis, { looksAtTimers: look });
        const files = { "grade.ts": "export default () => globalThis.looksAtTimers();\n" };
        return play(join(folder, name), { rows: 1, files, overrides }, {}, more);
      });
      return [seen.filter((ms) => ms === TRIM_MS).length, left];
    };
    const journal = ["models.m.journal=true"];
    expect(await during("with", journal)).toEqual([1, []]);
    expect(await during("without", [])).toEqual([0, []]);
    const replay = join(folder, "with", "run");
    expect(await during("replay", journal, { replay })).toEqual([0, []]);
  }));

test("while a run goes on, its journal loses the segment of an earlier start whose tasks are recorded", () =>
  withFolder(async (folder) => {
    const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
    const arrived: number[] = [];
    let start = 0;
    const look = (n: number) => {
      arrived.push(n);
      const waits = start === 0 || n === 2;
      return waits ? gates[start === 0 ? 0 : 1].promise : null;
    };
    Object.assign(globalThis, { looksAtJournal: look });
    const files = {
      "grade.ts":
        "export default async ({ row }) => { await globalThis.looksAtJournal(row.n); return { score: 1 }; };\n",
    };
    const small = { files, overrides: ["models.m.journal=true"] };
    const halt = new AbortController();
    const first = play(folder, { ...small, rows: 2 }, { halt: halt.signal });
    await until(() => arrived.length === 2, "two tasks have their answers");
    halt.abort();
    await first;
    gates[0].resolve();
    const journal = join(folder, "run", "journal");
    const earlier = (await readdir(journal)).find((name) => parseSegmentName(name) !== null) ?? "";
    start = 1;
    await withTimers(async ({ ring }) => {
      const recorded = async () => (await readManifest(join(folder, "run")))?.ok === 2;
      const second = play(folder, { ...small, rows: 3 });
      await until(() => arrived.includes(2), "the third task waits");
      await until(recorded, "two tasks are recorded");
      // The manifest counts a record a moment before the trimmer knows it.
      const isGone = async () => {
        ring(TRIM_MS);
        return !(await readdir(journal)).includes(earlier);
      };
      await until(isGone, "the segment is gone");
      gates[1].resolve();
      expect(await second).toMatchObject({ state: "complete", ok: 3, spent: { requests: 3 } });
    });
  }));

test("a run that is drained leaves no timer of its grace time behind", () =>
  withFolder(async (folder) => {
    const left = await timersLeftBy(() => play(folder, {}, { drain: AbortSignal.abort() }));
    expect(left).toEqual([]);
  }));

test("a fresh start leaves no timer of the run that it moved aside", () =>
  withFolder(async (folder) => {
    await play(folder);
    expect(await timersLeftBy(() => play(folder, {}, {}, { fresh: true }))).toEqual([]);
  }));

test("a driver and its hosts leave no timer behind", () =>
  withFolder(async (folder) => {
    const left = await timersLeftBy(async () => {
      const overrides = ["models.m.journal=true"];
      const { summary, directory } = await listen(folder, { rows: 2, overrides });
      const host = startHost(directory, folder);
      await summary;
      await host.done;
    });
    expect(left).toEqual([]);
  }));

test("a rehearsal leaves no timer behind", () =>
  withFolder(async (folder) => {
    const path = await writeSmallRun(folder);
    const plan = await prepare(path, { env: {}, cwd: folder, planModel: planStandIn });
    const options = { directory: join(folder, "run"), like: null, hosts: 1, fresh: false };
    expect(await timersLeftBy(() => forecastRun(plan, options))).toEqual([]);
  }));
