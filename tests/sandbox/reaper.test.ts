// The reaper: which sandboxes it sees, and which it removes.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { machineId } from "../../src/process.ts";
import { LEASE_MS } from "../../src/sandbox/holder.ts";
import { markedPids } from "../../src/sandbox/marked-processes.ts";
import { findSandboxes, reap } from "../../src/sandbox/reaper.ts";
import { type Child, endOf, spawnChild } from "../../src/sandbox/spawn.ts";
import { withEnv } from "../parts/env.ts";
import { withFolder } from "../parts/folder.ts";
import { keptLog } from "../parts/kept-log.ts";
import { until } from "../parts/until.ts";

/** Without a Docker engine, whatever this machine has. */
const alone = (use: (root: string) => Promise<void>) =>
  withEnv({ DOCKER_HOST: "unix:///no/such/docker.sock" }, () => withFolder(use));

async function makeLease(root: string, name: string, ageMs: number): Promise<string> {
  const folder = join(root, name);
  await mkdir(join(folder, "bridge"), { recursive: true });
  await writeFile(join(folder, "bridge/lease"), "1\n");
  const at = new Date(Date.now() - ageMs);
  await utimes(join(folder, "bridge/lease"), at, at);
  await utimes(folder, at, at);
  return folder;
}

/** A process of a sandbox, as an engine starts one. */
async function start(lease: string, env: Readonly<Record<string, string>> = {}) {
  const id = `matrix-${crypto.randomUUID()}`;
  const child = spawnChild("/bin/sh", ["-c", "exec sleep 600"], {
    env: {
      PATH: process.env["PATH"] ?? "",
      MATRIX_SANDBOX: id,
      MATRIX_SANDBOX_ENGINE: "process",
      MATRIX_LEASE: lease,
      ...env,
    },
  });
  await until(() => markedPids(`MATRIX_SANDBOX=${id}`).length > 0, "the process shows its mark");
  return { id, child };
}

async function end(child: Child): Promise<void> {
  const ended = endOf(child);
  child.kill("SIGKILL");
  await ended;
}

const DEAD = LEASE_MS + 5000;

test("a sandbox of processes is found with all that its marks say", () =>
  alone(async (root) => {
    const lease = await makeLease(root, "living", 0);
    const { id, child } = await start(lease, {
      MATRIX_SANDBOX_ENGINE: "apptainer",
      MATRIX_SANDBOX_RUN: "r=1",
      MATRIX_SANDBOX_HOST: "h",
      MATRIX_SANDBOX_IMAGE: "x.sif",
      MATRIX_SANDBOX_STARTED: "1234",
    });
    const found = (await findSandboxes(root)).filter((one) => one.id === id);
    expect(found).toEqual([
      {
        engine: "apptainer",
        id,
        run: "r=1",
        host: "h",
        lease,
        machine: machineId(),
        image: "x.sif",
        startedAt: 1234,
        kept: true,
        ours: true,
      },
    ]);
    await end(child);
  }));

test("marks that are missing have a default, and several processes are one sandbox", () =>
  alone(async (root) => {
    const lease = await makeLease(root, "dead", DEAD);
    const { id, child } = await start(lease);
    const second = spawnChild("/bin/sh", ["-c", "exec sleep 600"], {
      env: { MATRIX_SANDBOX: id, MATRIX_SANDBOX_ENGINE: "process", MATRIX_LEASE: lease },
    });
    const found = (await findSandboxes(root)).filter((one) => one.id === id);
    expect(found).toMatchObject([
      { run: "?", host: "?", image: "", startedAt: 0, kept: false, ours: true },
    ]);
    await end(child);
    await end(second);
  }));

test("processes of Docker, and processes without a lease or an engine, are no sandboxes", () =>
  alone(async (root) => {
    const lease = await makeLease(root, "living", 0);
    const started = [
      await start(lease, { MATRIX_SANDBOX_ENGINE: "docker" }),
      await start(lease, { MATRIX_SANDBOX_ENGINE: "" }),
    ];
    const ids = (await findSandboxes(root)).map(({ id }) => id);
    for (const { id, child } of started) {
      expect(ids).not.toContain(id);
      await end(child);
    }
  }));

test("a sandbox whose lease has passed is removed with its lease, and the log says whose it was", () =>
  alone(async (root) => {
    const lease = await makeLease(root, "dead", DEAD);
    const { id, child } = await start(lease, { MATRIX_SANDBOX_RUN: "r", MATRIX_SANDBOX_HOST: "h" });
    const ended = endOf(child);
    const { log, lines } = keptLog();
    const { removed, failures } = await reap(log, root);
    expect([removed.map((one) => one.id), failures]).toEqual([[id], []]);
    expect((await ended).code).toBe(137);
    expect(existsSync(lease)).toBe(false);
    expect(lines).toEqual([
      `info removed a sandbox whose host is gone ${JSON.stringify({ sandbox: id, run: "r", host: "h" })}`,
    ]);
  }));

test("a sandbox whose lease is renewed, or whose lease lies elsewhere, is left alone", () =>
  alone(async (root) => {
    const living = await makeLease(root, "living", 0);
    const elsewhere = await makeLease(`${root}-other`, "dead", DEAD);
    const started = [await start(living), await start(elsewhere)];
    const { log, lines } = keptLog();
    expect(await reap(log, root)).toEqual({ removed: [], failures: [] });
    expect(lines).toEqual([]);
    expect([existsSync(living), existsSync(elsewhere)]).toEqual([true, true]);
    for (const { id, child } of started) {
      expect(markedPids(`MATRIX_SANDBOX=${id}`)).toHaveLength(1);
      await end(child);
    }
    const { removed } = await reap(log, `${root}-other`);
    expect(removed).toEqual([]);
    expect(existsSync(elsewhere)).toBe(false);
  }));

test("a passed lease without sandboxes is removed, and a young one is kept", () =>
  alone(async (root) => {
    const dead = await makeLease(root, "dead", DEAD);
    const young = await makeLease(root, "young", 0);
    await reap(keptLog().log, root);
    expect([existsSync(dead), existsSync(young)]).toEqual([false, true]);
  }));

test("a passed lease that a process still carries is kept", () =>
  alone(async (root) => {
    const dead = await makeLease(root, "dead", DEAD);
    const child = spawnChild("/bin/sh", ["-c", "exec sleep 600"], { env: { MATRIX_LEASE: dead } });
    await until(() => markedPids(`MATRIX_LEASE=${dead}`).length > 0, "the process shows its mark");
    await reap(keptLog().log, root);
    expect(existsSync(dead)).toBe(true);
    await end(child);
  }));
