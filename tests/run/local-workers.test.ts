// Hosts and workers that an earlier driver left.

import { expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isRunning, machineId, startTimeOf } from "../../src/process.ts";
import { type DriverFile, readDriverFile, writeDriverFile } from "../../src/records/driver-file.ts";
import {
  dismissWorkers,
  expectedHosts,
  LocalWorkers,
  localWorkersOf,
} from "../../src/run/local-workers.ts";
import type { HostsSettings } from "../../src/run/settings.ts";
import { withFolder } from "../parts/folder.ts";
import { quiet } from "../parts/quiet.ts";
import { until } from "../parts/until.ts";

const alive = { pid: process.pid, startTime: startTimeOf(process.pid) };
const dead = { pid: process.pid, startTime: "1" };

const fileOf = (more: Partial<DriverFile>): DriverFile => ({
  format: "matrix-driver-1",
  url: "http://127.0.0.1:7400",
  token: "t",
  run: "r",
  driver: { pid: 1, machine: machineId() },
  hosts: ["a-1", "b-1", "far-1"],
  workers: [
    { name: "a", id: "a-1", ...alive },
    { name: "b", id: "b-1", ...dead },
  ],
  ...more,
});

test("workers of an earlier driver are those of this machine", () => {
  expect(localWorkersOf(null)).toEqual([]);
  expect(localWorkersOf(fileOf({})).map(({ name }) => name)).toEqual(["a", "b"]);
  expect(localWorkersOf(fileOf({ driver: { pid: 1, machine: "another" } }))).toEqual([]);
});

test("hosts are expected when the earlier driver knew them, but for workers that are dead", () => {
  expect([...expectedHosts(null)]).toEqual([]);
  expect([...expectedHosts(fileOf({}))]).toEqual(["a-1", "far-1"]);
  // A process of another machine cannot be looked at.
  const other = fileOf({ driver: { pid: 1, machine: "another" } });
  expect([...expectedHosts(other)]).toEqual(["a-1", "b-1", "far-1"]);
});

test("workers that are dismissed are told to go, and the driver's file goes with them", () =>
  withFolder(async (folder) => {
    const child = Bun.spawn(["sleep", "60"]);
    const worker = { name: "a", id: "a-1", pid: child.pid, startTime: startTimeOf(child.pid) };
    await writeDriverFile(folder, fileOf({ workers: [worker, { name: "b", id: "b-1", ...dead }] }));
    await dismissWorkers(folder, quiet);
    await until(() => !isRunning(worker), "the worker has ended");
    await child.exited;
    expect([child.signalCode, await readDriverFile(folder)]).toEqual(["SIGTERM", null]);
    await dismissWorkers(folder, quiet);
  }));

/** Workers of this program that join by a file which is no driver's file: they exit with 2. */
async function refusedWorkers(folder: string, listen: HostsSettings["listen"]) {
  await writeFile(join(folder, "driver.json"), "{}");
  await mkdir(join(folder, "logs"));
  const told: (readonly string[])[] = [];
  const deaths: string[] = [];
  const failures: string[] = [];
  const workers = new LocalWorkers({
    hosts: { workers: 2, listen, advertise: null, insecure: false, patienceMs: 1000 },
    ...{ directory: folder, earlier: [], log: quiet },
    onWorkers: (running) => void told.push(running.map(({ name, id }) => `${name} ${id}`)),
    onDeath: (id) => void deaths.push(id),
    onFailure: (why) => void failures.push(why),
  });
  workers.start();
  await until(() => told.length === 4, "both workers have started and ended");
  await workers.stop();
  return { told, deaths, failures };
}

test("workers that cannot run fail the run when no other host will come", () =>
  withFolder(async (folder) => {
    const { told, deaths, failures } = await refusedWorkers(folder, null);
    expect(told.map((names) => names.length)).toEqual([1, 2, 1, 0]);
    expect(told[1]?.[0]).toMatch(/^worker-1 worker-1-[\w-]{10}\.[\w-]{15}$/);
    expect(told[1]?.[1]).toMatch(/^worker-2 worker-2-[\w-]{10}\.[\w-]{15}$/);
    expect(deaths.map((id) => id.slice(0, 8)).sort()).toEqual(["worker-1", "worker-2"]);
    expect(failures).toHaveLength(1);
    expect(failures[0]).toContain("driver.json is not a driver's file");
  }));

test("workers that cannot run fail no run that other hosts may join", () =>
  withFolder(async (folder) => {
    const { failures } = await refusedWorkers(folder, { hostname: "127.0.0.1", port: 0 });
    expect(failures).toEqual([]);
  }));

test("a worker that leaves because it finds no driver is started again", () =>
  withFolder(async (folder) => {
    await mkdir(join(folder, "logs"));
    const deaths: string[] = [];
    const workers = new LocalWorkers({
      hosts: { workers: 1, listen: null, advertise: null, insecure: false, patienceMs: 0 },
      ...{ directory: folder, earlier: [], log: quiet },
      onWorkers: () => undefined,
      onDeath: (id) => void deaths.push(id),
      onFailure: () => undefined,
    });
    workers.start();
    await until(() => deaths.length === 2, "the worker has left twice");
    await workers.stop();
    expect(new Set(deaths).size).toBeGreaterThan(1);
  }));

test("a worker of an earlier driver is adopted under its id, and stays away when it is not wanted", () =>
  withFolder(async (folder) => {
    const child = Bun.spawn(["sleep", "60"]);
    const worker = { name: "old", id: "old-1", pid: child.pid, startTime: startTimeOf(child.pid) };
    const told: unknown[] = [];
    const deaths: string[] = [];
    const failures: string[] = [];
    const workers = new LocalWorkers({
      hosts: { workers: 0, listen: null, advertise: null, insecure: false, patienceMs: 1000 },
      ...{ directory: folder, earlier: [worker], log: quiet },
      onWorkers: (running) => void told.push(running),
      onDeath: (id) => void deaths.push(id),
      onFailure: (why) => void failures.push(why),
    });
    workers.start();
    child.kill("SIGKILL");
    await child.exited;
    await until(() => told.length > 0, "the death was seen");
    expect([deaths, told]).toEqual([["old-1"], [[]]]);
    // It was not wanted, so its death leaves nothing undone.
    expect(failures).toEqual([]);
    await workers.stop();
  }));

test("workers that are stopped are told to leave, adopted ones included", () =>
  withFolder(async (folder) => {
    const child = Bun.spawn(["sleep", "60"]);
    const worker = { name: "worker-1", id: "old-1", ...alive, pid: child.pid };
    const workers = new LocalWorkers({
      hosts: { workers: 1, listen: null, advertise: null, insecure: false, patienceMs: 1000 },
      directory: folder,
      earlier: [{ ...worker, startTime: startTimeOf(child.pid) }],
      log: quiet,
      ...{ onWorkers: () => undefined, onDeath: () => undefined, onFailure: () => undefined },
    });
    workers.start();
    await workers.stop();
    await child.exited;
    expect(child.signalCode).toBe("SIGTERM");
  }));

test("workers that end at every start fail the run with their last words", () =>
  withFolder(async (folder) => {
    await mkdir(join(folder, "logs"));
    await writeFile(join(folder, "logs", "worker-1.stderr"), "");
    const failures: string[] = [];
    const before = process.env["BUN_OPTIONS"];
    // A module that ends each life before the program begins.
    const broken = join(folder, "broken.ts");
    await writeFile(broken, 'console.error("Error: broken from the start"); process.exit(9);');
    process.env["BUN_OPTIONS"] = `--preload ${broken}`;
    const workers = new LocalWorkers({
      hosts: { workers: 1, listen: null, advertise: null, insecure: false, patienceMs: 1000 },
      ...{ directory: folder, earlier: [], log: quiet },
      hasJoined: () => false,
      ...{ onWorkers: () => undefined, onDeath: () => undefined },
      onFailure: (why) => void failures.push(why),
    });
    workers.start();
    await until(() => failures.length > 0, "the workers are given up");
    if (before === undefined) delete process.env["BUN_OPTIONS"];
    else process.env["BUN_OPTIONS"] = before;
    await workers.stop();
    expect(failures).toEqual(["Error: broken from the start"]);
  }));

test("a worker that was shut out is killed", () =>
  withFolder(async (folder) => {
    const child = Bun.spawn(["sleep", "60"]);
    const worker = { name: "worker-1", id: "old-1", ...alive, pid: child.pid };
    const fenced = new Set<string>();
    const workers = new LocalWorkers({
      hosts: { workers: 0, listen: null, advertise: null, insecure: false, patienceMs: 1000 },
      directory: folder,
      earlier: [{ ...worker, startTime: startTimeOf(child.pid) }],
      log: quiet,
      hasJoined: () => true,
      isFenced: (id) => fenced.has(id),
      ...{ onWorkers: () => undefined, onDeath: () => undefined, onFailure: () => undefined },
    });
    workers.start();
    fenced.add("old-1");
    await child.exited;
    expect(child.signalCode).toBe("SIGKILL");
    await workers.stop();
  }));
