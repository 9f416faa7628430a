// Hosts and workers that an earlier driver left.

import { expect, test } from "bun:test";
import { isRunning, machineId, startTimeOf } from "../../src/process.ts";
import { type DriverFile, readDriverFile, writeDriverFile } from "../../src/records/driver-file.ts";
import { dismissWorkers, expectedHosts, localWorkersOf } from "../../src/run/local-workers.ts";
import { withFolder } from "../parts/folder.ts";
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
    await dismissWorkers(folder);
    await until(() => !isRunning(worker), "the worker has ended");
    await child.exited;
    expect([child.signalCode, await readDriverFile(folder)]).toEqual(["SIGTERM", null]);
    await dismissWorkers(folder);
  }));
