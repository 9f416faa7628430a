// Hosts come, go, die and are refused, while a run goes on.

import { expect, test } from "bun:test";
import { cp, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TrajectoryRecord } from "../../../src/task/record.ts";
import { findDeno } from "../../parts/deno.ts";
import { withFolder } from "../../parts/folder.ts";
import { matrix } from "../../parts/program.ts";
import { comparable, readRecords } from "../../parts/records.ts";
import { CORAL, ROOT } from "../../parts/repository.ts";
import { until } from "../../parts/until.ts";
import { account, readFinished } from "./accounting.ts";
import { Cluster, fromSource, isRunning, signalTo } from "./cluster.ts";
import { paced, undisturbedRecords } from "./round.ts";

const ALL_ROLES = "student,teacher,extractor,matcher";
const TRIALS = 10;
/** Trials of a run that is disturbed. */
const LONG = 30;
const SHORT = paced({ trials: TRIALS });
const LISTEN = ["--listen", "127.0.0.1:0"];

async function expectUndisturbed(cluster: Cluster, trials = TRIALS): Promise<void> {
  const rules = {
    rows: 40,
    trials,
    delivery: "retry",
    undisturbed: await undisturbedRecords(trials),
  } as const;
  expect(account(cluster.directory, rules)).toEqual({
    ok: 40 * trials,
    failed: 0,
    lost: 0,
    restarted: 0,
    attemptsMax: 1,
    wrong: [],
  });
}

/** Hosts of the hops that a role's agent did. */
function hostsOf(records: readonly TrajectoryRecord[], role: string): Set<string> {
  return new Set(
    records.flatMap(({ history }) =>
      history.filter((hop) => hop.role === role).map(({ host }) => host),
    ),
  );
}

const hopsOf = (records: readonly TrajectoryRecord[], host: string) =>
  records.flatMap(({ history }) => history.filter((hop) => hop.host.startsWith(host)));

test("a driver and two agents make the records of one process, each role on the host that serves it", () =>
  withFolder(async (folder) => {
    await using cluster = new Cluster(folder);
    const driver = cluster.drive(CORAL, [...LISTEN, ...SHORT]);
    const agents = [
      cluster.agent("student,matcher", ["--name", "one"]),
      cluster.agent("teacher,extractor", ["--name", "two"]),
    ];
    expect(await driver.ended).toBe(0);
    expect(await Promise.all(agents.map(({ ended }) => ended))).toEqual([0, 0]);
    await cluster.gone();
    await matrix(["drive", CORAL, "-o", "alone", "-q", ...SHORT], { cwd: folder });
    const records = readFinished(cluster.directory);
    expect(comparable(records)).toEqual(comparable(await readRecords(join(folder, "alone"))));
    const [one, two] = [hostsOf(records, "student"), hostsOf(records, "teacher")];
    expect([hostsOf(records, "matcher"), hostsOf(records, "extractor")]).toEqual([one, two]);
    expect([...one, ...two]).toHaveLength(2);
  }));

test("a host that is there before its driver waits for it", () =>
  withFolder(async (folder) => {
    await using cluster = new Cluster(folder);
    const agent = cluster.agent(ALL_ROLES);
    await until(() => agent.stderr().includes("wait"), "the host says that it waits");
    expect(await cluster.drive(CORAL, [...LISTEN, ...SHORT]).ended).toBe(0);
    expect(await agent.ended).toBe(0);
    await expectUndisturbed(cluster);
    await cluster.gone();
  }));

for (const driverRuntime of ["Bun", "Deno"]) {
  test(`hosts on Deno and on Bun share the tasks of a driver on ${driverRuntime}`, () =>
    withFolder(async (folder) => {
      const deno = findDeno();
      if (deno === null) {
        console.log("skipped: the deno package has no binary for this machine");
        return;
      }
      await using cluster = new Cluster(folder);
      const onDeno = {
        program: fromSource([deno, "run", "-A"]),
        env: { DENO_DIR: join(folder, "cache"), DENO_NO_UPDATE_CHECK: "1" },
      };
      const agents = [
        cluster.agent(ALL_ROLES, ["--name", "deno"], onDeno),
        cluster.agent(ALL_ROLES, ["--name", "bun"]),
      ];
      await until(
        () => agents.every((agent) => agent.stderr().includes("wait")),
        "both hosts wait",
      );
      const pace = paced({ trials: TRIALS, latencyMs: 100 });
      const driver = cluster.drive(
        CORAL,
        [...LISTEN, ...pace],
        driverRuntime === "Deno" ? onDeno : {},
      );
      expect(await driver.ended).toBe(0);
      expect(await Promise.all(agents.map(({ ended }) => ended))).toEqual([0, 0]);
      await expectUndisturbed(cluster);
      expect(hostsOf(readFinished(cluster.directory), "student").size).toBe(2);
      await cluster.gone();
    }));
}

test("a host that is told to end under load hands over its tasks and exits 3, and no row starts again", () =>
  withFolder(async (folder) => {
    await using cluster = new Cluster(folder);
    const driver = cluster.drive(CORAL, [...LISTEN, ...paced({ trials: LONG, inFlight: 200 })]);
    const agents = Array.from({ length: 4 }, (_, index) =>
      cluster.agent(ALL_ROLES, ["--name", `host-${index}`]),
    );
    await until(() => cluster.recordCount() > 400, "a third of the records are written");
    const toldAt = performance.now();
    agents[0]?.signal("SIGTERM");
    expect(await agents[0]?.ended).toBe(3);
    console.log(`gone ${Math.round(performance.now() - toldAt)} ms after SIGTERM`);
    expect(driver.end()).toBeNull();
    expect(await driver.ended).toBe(0);
    await expectUndisturbed(cluster, LONG);
    await cluster.gone();
  }));

test("a host that joins a run takes tasks", () =>
  withFolder(async (folder) => {
    await using cluster = new Cluster(folder);
    const driver = cluster.drive(CORAL, [...LISTEN, ...paced({ trials: LONG })]);
    cluster.agent(ALL_ROLES, ["--name", "early"]);
    await until(() => cluster.recordCount() > 200, "the run is under way");
    const startedAt = Date.now();
    cluster.agent(ALL_ROLES, ["--name", "late"]);
    expect(await driver.ended).toBe(0);
    const firstAt = Math.min(
      ...hopsOf(readFinished(cluster.directory), "late").map(({ at }) => Date.parse(at)),
    );
    console.log(`took load ${firstAt - startedAt} ms after its start`);
    expect(firstAt).toBeFinite();
    await expectUndisturbed(cluster, LONG);
    await cluster.gone();
  }));

test("a worker that is killed again and again is replaced each time, and no task is lost or doubled", () =>
  withFolder(async (folder) => {
    await using cluster = new Cluster(folder);
    const driver = cluster.drive(CORAL, ["--workers", "3", ...paced({ trials: LONG })]);
    const replacedMs: number[] = [];
    for (let kill = 1; kill <= 4 && driver.end() === null; kill++) {
      await until(
        () => cluster.recordCount() > kill * 200 && cluster.workers().length === 3,
        "all work",
      );
      const victim = cluster.workers()[kill % 3];
      if (victim === undefined) throw new Error("there is no worker to kill");
      const killedAt = performance.now();
      signalTo(victim.pid, "SIGKILL");
      await until(
        () =>
          driver.end() !== null ||
          cluster.workers().some(({ name, pid }) => name === victim.name && pid !== victim.pid),
        `${victim.name} is replaced`,
      );
      replacedMs.push(Math.round(performance.now() - killedAt));
    }
    console.log(`replaced after ${replacedMs.join(", ")} ms`);
    expect(replacedMs.length).toBeGreaterThan(1);
    expect(await driver.ended).toBe(0);
    const rules = {
      rows: 40,
      trials: LONG,
      delivery: "retry",
      undisturbed: await undisturbedRecords(LONG),
    } as const;
    expect(account(cluster.directory, rules)).toMatchObject({ wrong: [] });
    await cluster.gone();
  }));

test("a host with a wrong token or of another version exits with 2 and the reason, and the run goes on", () =>
  withFolder(async (folder) => {
    await using cluster = new Cluster(folder);
    const driver = cluster.drive(CORAL, [...LISTEN, ...SHORT]);
    await until(() => cluster.joinFile() !== null, "the driver says where it is");
    const { url } = cluster.joinFile() ?? { url: "" };
    const stranger = cluster.start("agent", ["--role", ALL_ROLES, "--join", url], {
      env: { MATRIX_TOKEN: "x".repeat(40) },
    });
    expect(await stranger.ended).toBe(2);
    expect(stranger.stderr()).toContain("token");

    const old = join(folder, "old");
    for (const name of ["src", "sandboxes", "deno.json"])
      await cp(join(ROOT, name), join(old, name), { recursive: true });
    await symlink(join(ROOT, "node_modules"), join(old, "node_modules"));
    const manifest = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8"));
    await writeFile(join(old, "package.json"), JSON.stringify({ ...manifest, version: "0.0.9" }));
    const other = cluster.agent(ALL_ROLES, [], { program: fromSource([process.execPath], old) });
    expect(await other.ended).toBe(2);
    expect(other.stderr()).toContain("0.0.9");

    cluster.agent(ALL_ROLES);
    expect(await driver.ended).toBe(0);
    await expectUndisturbed(cluster);
    await cluster.gone();
  }));

test("a killed agent leaves no worker behind, and another host does its work", () =>
  withFolder(async (folder) => {
    await using cluster = new Cluster(folder);
    const driver = cluster.drive(CORAL, [...LISTEN, ...paced({ trials: LONG })]);
    const doomed = cluster.agent(ALL_ROLES, ["--name", "doomed"]);
    cluster.agent(ALL_ROLES, ["--name", "other"]);
    await until(() => cluster.recordCount() > 200, "the run is under way");
    const before = cluster.alive();
    doomed.signal("SIGKILL");
    await doomed.ended;
    expect(await driver.ended).toBe(0);
    await cluster.gone();
    expect(before.some(isRunning)).toBe(false);
    const rules = {
      rows: 40,
      trials: LONG,
      delivery: "retry",
      undisturbed: await undisturbedRecords(LONG),
    } as const;
    expect(account(cluster.directory, rules)).toMatchObject({ wrong: [] });
  }));

test("a driver that is to stop does so at once when its hosts are dead", () =>
  withFolder(async (folder) => {
    await using cluster = new Cluster(folder);
    const slow = ['models.speaker.latency="10m"', 'models.speaker.timeout="1h"', 'run.grace="1h"'];
    const driver = cluster.drive(CORAL, [...LISTEN, ...slow]);
    const agent = cluster.agent(ALL_ROLES, ["--name", "only"]);
    await until(() => driver.stderr().includes("listening") || driver.end() !== null, "it listens");
    const log = () => readFile(join(cluster.directory, "logs", "driver.log"), "utf8");
    await until(
      async () => (await log().catch(() => "")).includes("only joined"),
      "the host joined",
    );
    agent.signal("SIGKILL");
    await until(async () => (await log()).includes("only is gone"), "the host is given up");
    driver.signal("SIGTERM");
    expect(await driver.ended).toBe(3);
  }));
