// The driver may die: hosts keep what they hold, nothing is doubled, and hosts do not wait for
// ever.

import { expect, test } from "bun:test";
import { setTimeout as delay } from "node:timers/promises";
import { withFolder } from "../../parts/folder.ts";
import { matrix } from "../../parts/program.ts";
import { CORAL } from "../../parts/repository.ts";
import { until } from "../../parts/until.ts";
import { account, readFinished } from "./accounting.ts";
import { Cluster } from "./cluster.ts";
import { paced, undisturbedRecords } from "./round.ts";

const TRIALS = 20;
const RULES = { rows: 40, trials: TRIALS, delivery: "retry" } as const;

test(
  "a driver that is killed and restarted goes on with the tasks of its workers, every hop kept",
  () =>
    withFolder(async (folder) => {
      await using cluster = new Cluster(folder);
      const args = ["--workers", "3", ...paced({ trials: TRIALS })];
      const first = cluster.drive(CORAL, args);
      await until(
        () => cluster.recordCount() >= (40 * TRIALS) / 2,
        "half of the records are written",
      );
      const workers = cluster.workers();
      const killedAt = Date.now();
      first.signal("SIGKILL");
      await first.ended;
      // Long enough for hosts to do all they can without a driver.
      await delay(1500);
      expect(cluster.workers()).toEqual(workers);
      const startedAt = Date.now();
      const second = cluster.drive(CORAL, args);
      await until(
        () => cluster.joinFile()?.driver.pid === second.pid,
        "the second driver says where it is",
      );
      expect(cluster.workers()).toEqual(workers);
      expect(await second.ended).toBe(0);

      const records = readFinished(cluster.directory);
      const continued = records.filter(
        ({ history, timing }) =>
          Date.parse(history[0]?.at ?? "") < killedAt && Date.parse(timing.ended_at) >= startedAt,
      );
      console.log(`${continued.length} of ${records.length} tasks went on after the driver`);
      expect(continued.length).toBeGreaterThan(0);
      expect(
        account(cluster.directory, { ...RULES, undisturbed: await undisturbedRecords(TRIALS) }),
        // What no host had taken yet when the driver died starts as its next attempt.
      ).toMatchObject({ ok: 40 * TRIALS, failed: 0, lost: 0, wrong: [] });
      expect((await matrix(["verify", cluster.directory])).code).toBe(0);
      await cluster.gone();
    }),
  60_000,
);

test("workers wait for a dead driver as long as --patience says, and then no process is left", () =>
  withFolder(async (folder) => {
    await using cluster = new Cluster(folder);
    const args = ["--workers", "2", "--patience", "1s", ...paced({ trials: TRIALS })];
    const driver = cluster.drive(CORAL, args);
    await until(() => cluster.recordCount() > 40, "records are written");
    driver.signal("SIGKILL");
    await driver.ended;
    expect(cluster.alive().length).toBeGreaterThan(0);
    await cluster.gone();
    const again = cluster.drive(CORAL, args);
    expect(await again.ended).toBe(0);
    expect(
      account(cluster.directory, { ...RULES, undisturbed: await undisturbedRecords(TRIALS) }),
    ).toMatchObject({ wrong: [] });
    await cluster.gone();
  }));

test("agents on other terminals find the next driver by its file", () =>
  withFolder(async (folder) => {
    await using cluster = new Cluster(folder);
    const args = ["--listen", "127.0.0.1:0", ...paced({ trials: TRIALS })];
    const first = cluster.drive(CORAL, args);
    const agents = [cluster.agent("student,extractor"), cluster.agent("teacher,extractor,matcher")];
    await until(() => cluster.recordCount() >= 20 * TRIALS, "half of the records are written");
    first.signal("SIGKILL");
    await first.ended;
    const second = cluster.drive(CORAL, args);
    expect(await second.ended).toBe(0);
    expect(
      account(cluster.directory, { ...RULES, undisturbed: await undisturbedRecords(TRIALS) }),
    ).toMatchObject({
      // What no host had taken yet when the driver died starts as its next attempt.
      failed: 0,
      wrong: [],
    });
    expect(await Promise.all(agents.map(({ ended }) => ended))).toEqual([0, 0]);
    await cluster.gone();
  }));

/** Tasks that are not done before a driver that is told to end has ended. */
const SLOW = { trials: 5, latencyMs: 200 };

test("hosts keep their tasks when the driver is told to end, and the same command finishes them", () =>
  withFolder(async (folder) => {
    await using cluster = new Cluster(folder);
    const args = ["--listen", "127.0.0.1:0", ...paced(SLOW), "run.grace=0s"];
    const first = cluster.drive(CORAL, args);
    const agents = [cluster.agent("student,extractor"), cluster.agent("teacher,extractor,matcher")];
    await until(() => cluster.recordCount() > 0, "the first records are written");
    first.signal("SIGTERM");
    expect(await first.ended).toBe(3);
    const stoppedAt = Date.now();
    const recorded = cluster.recordCount();
    const news = "the driver stopped before the run was complete: the host keeps its tasks";
    await until(() => agents.every((agent) => agent.stderr().includes(news)), "both hosts know");
    expect(agents.map((agent) => agent.end())).toEqual([null, null]);
    expect(await cluster.drive(CORAL, args).ended).toBe(0);
    // Records stand in the order of their arrival: the next driver wrote all later ones.
    const continued = readFinished(cluster.directory)
      .slice(recorded)
      .filter(
        ({ attempt, history }) => attempt === 1 && Date.parse(history[0]?.at ?? "") < stoppedAt,
      );
    expect(continued.length).toBeGreaterThan(0);
    expect(
      account(cluster.directory, {
        ...{ ...RULES, trials: SLOW.trials },
        undisturbed: await undisturbedRecords(SLOW.trials),
      }),
    ).toMatchObject({ failed: 0, wrong: [] });
    expect(await Promise.all(agents.map(({ ended }) => ended))).toEqual([0, 0]);
    for (const agent of agents)
      for (const line of [
        "joined the run at",
        "the driver is back",
        "the run is complete: leaving",
      ])
        expect(agent.stderr()).toContain(line);
    await cluster.gone();
  }));

test("a host that is told to leave ends with 3, and so does one whose driver never comes back", () =>
  withFolder(async (folder) => {
    await using cluster = new Cluster(folder);
    const args = ["--listen", "127.0.0.1:0", ...paced({ trials: TRIALS }), "run.grace=0s"];
    const driver = cluster.drive(CORAL, args);
    const all = "student,teacher,extractor,matcher";
    const told = cluster.agent(all, ["--name", "told"]);
    const left = cluster.agent(all, ["--name", "left", "--patience", "1s"]);
    await until(() => cluster.recordCount() > 40, "records are written");
    told.signal("SIGTERM");
    expect(await told.ended).toBe(3);
    driver.signal("SIGTERM");
    expect([await driver.ended, await left.ended]).toEqual([3, 3]);
    expect(told.stderr()).toContain("told: told to leave");
    expect(left.stderr()).toContain("left: no word from the driver for 1 s");
    await cluster.gone();
  }));

test("a driver that was stopped for longer than its workers wait starts other workers and goes on", () =>
  withFolder(async (folder) => {
    await using cluster = new Cluster(folder);
    const driver = cluster.drive(CORAL, [
      "--workers",
      "2",
      "--patience",
      "1s",
      ...paced({ trials: TRIALS }),
    ]);
    await until(() => cluster.recordCount() > 40, "records are written");
    driver.signal("SIGSTOP");
    await until(() => cluster.workers().length === 0, "the workers have left");
    driver.signal("SIGCONT");
    expect(await driver.ended).toBe(0);
    expect(
      account(cluster.directory, { ...RULES, undisturbed: await undisturbedRecords(TRIALS) }),
    ).toMatchObject({ wrong: [] });
    await cluster.gone();
  }));

test("a driver that is told to end leaves no process, and unfinished tasks for the next driver", () =>
  withFolder(async (folder) => {
    await using cluster = new Cluster(folder);
    const args = ["--workers", "3", ...paced({ trials: TRIALS })];
    const first = cluster.drive(CORAL, args);
    await until(() => cluster.recordCount() > 40, "records are written");
    first.signal("SIGTERM");
    expect(await first.ended).toBe(3);
    await cluster.gone();
    expect((await matrix(["verify", cluster.directory])).code).toBe(3);
    expect(await cluster.drive(CORAL, args).ended).toBe(0);
    expect(
      account(cluster.directory, { ...RULES, undisturbed: await undisturbedRecords(TRIALS) }),
    ).toMatchObject({ wrong: [] });
  }));
