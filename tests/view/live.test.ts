// What the live page is told, at times of the test's own clock.

import { expect, test } from "bun:test";
import { appendFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { takeLock } from "../../src/records/lock.ts";
import type { LiveDriver } from "../../src/view/api.ts";
import { RunLibrary } from "../../src/view/library/run-library.ts";
import { LiveFeed } from "../../src/view/live.ts";
import { withFolder } from "../parts/folder.ts";
import { DIALOGUE, said, writeRun } from "../parts/run-directory.ts";
import { until } from "../parts/until.ts";

const DRIVER: LiveDriver = {
  ...{ inFlight: 3, elapsedMs: 0, stopping: false, waitedFor: [] },
  ...{ roles: [], hosts: [], models: [] },
};

const record = (id: string, status: "ok" | "failed" = "ok") => ({
  ...{ id, status },
  history: [["student", said("x")]] as const,
});

/** A running run of ten rows, of which two are recorded. */
const withLiveRun = (
  use: (
    feed: (driver: (() => LiveDriver) | null, now: () => number) => Promise<LiveFeed>,
    append: (id: string) => Promise<void>,
    directory: string,
  ) => Promise<void>,
) =>
  withFolder(async (folder) => {
    const directory = join(folder, "one");
    await writeRun(directory, DIALOGUE, [record("a"), record("b", "failed")]);
    const path = join(directory, "manifest.json");
    const manifest = JSON.parse(await readFile(path, "utf8")) as object;
    await writeFile(path, JSON.stringify({ ...manifest, state: "running", expected: 10 }));
    const lock = await takeLock(directory);
    const library = new RunLibrary([directory], "/");
    const [first = ""] = (await readFile(join(directory, "trajectories.jsonl"), "utf8")).split(
      "\n",
    );
    await use(
      async (driver, now) => {
        const [found] = (await library.find()).runs;
        const shown = await library.run(found?.key ?? "");
        if (shown === null) throw new Error("no run");
        return new LiveFeed(library, shown, driver, now);
      },
      (id) =>
        appendFile(
          join(directory, "trajectories.jsonl"),
          `${first.replace('"id":"a"', `"id":"${id}"`)}\n`,
        ),
      directory,
    );
    await lock.release();
    await library.close();
  });

test("the rate is that of the readings of the last minute, and gives the time that is left", () =>
  withLiveRun(async (feedOf, append) => {
    let now = 0;
    const feed = await feedOf(null, () => now);
    expect(await feed.next()).toMatchObject({ perSecond: null, leftMs: null, driver: null, at: 0 });
    await append("c");
    await append("d");
    now = 10_000;
    let live = await feed.next();
    await until(async () => {
      if (live?.card.counts.ok !== 3) live = (await feed.next()) ?? live;
      return live?.card.counts.ok === 3;
    }, "the feed has seen the new records");
    expect(live).toMatchObject({ perSecond: 0.2, leftMs: 30_000, at: 10_000 });
    expect(live?.errors).toEqual([{ name: "agent_failed", count: 1 }]);
    now = 70_001;
    expect(await feed.next()).toMatchObject({ perSecond: null, leftMs: null });
  }));

test("the live feed is silent while nothing changes, and news of the driver is a change", () =>
  withLiveRun(async (feedOf) => {
    let driver = DRIVER;
    const feed = await feedOf(
      () => driver,
      () => 0,
    );
    expect((await feed.next())?.driver).toEqual(DRIVER);
    expect(await feed.next()).toBeNull();
    driver = { ...DRIVER, inFlight: 4 };
    expect((await feed.next())?.driver?.inFlight).toBe(4);
  }));

test("a run that has ended has no time left, whatever its rate was", () =>
  withLiveRun(async (feedOf, append, directory) => {
    let now = 0;
    const feed = await feedOf(null, () => now);
    await feed.next();
    await append("c");
    const path = join(directory, "manifest.json");
    const manifest = JSON.parse(await readFile(path, "utf8")) as object;
    await writeFile(path, JSON.stringify({ ...manifest, state: "complete" }));
    now = 1000;
    let live = await feed.next();
    await until(async () => {
      live = (await feed.next()) ?? live;
      return live?.card.counts.ok === 2 && live.card.state === "complete";
    }, "the feed has seen the end");
    expect(live).toMatchObject({ perSecond: 1, leftMs: null });
  }));
