// Processes by the marks in their environment.

import { expect, test } from "bun:test";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import {
  allPids,
  environmentOf,
  killAllMarked,
  killFileServers,
  killMarked,
  killUntil,
  MARK,
  markedPids,
} from "../../src/sandbox/marked-processes.ts";
import { endOf, killGroup, spawnChild } from "../../src/sandbox/spawn.ts";
import { withFolder } from "../parts/folder.ts";
import { until } from "../parts/until.ts";

const PATH = process.env["PATH"] ?? "";

async function marked(value: string, script = "sleep 600") {
  const mark = `MATRIX_TEST_MARK=${value}`;
  const child = spawnChild("/bin/sh", ["-c", script], { env: { PATH, MATRIX_TEST_MARK: value } });
  await until(() => markedPids(mark).length > 0, "the process shows its mark");
  return { mark, child, end: endOf(child) };
}

test("the names of marks are what other hosts and versions look for", () => {
  expect(MARK).toEqual({
    sandbox: "MATRIX_SANDBOX",
    lease: "MATRIX_LEASE",
    run: "MATRIX_SANDBOX_RUN",
    host: "MATRIX_SANDBOX_HOST",
    engine: "MATRIX_SANDBOX_ENGINE",
    image: "MATRIX_SANDBOX_IMAGE",
    startedAt: "MATRIX_SANDBOX_STARTED",
    command: "MATRIX_COMMAND",
  });
});

test("a process with the mark is found and killed, and one with another mark is not", async () => {
  const one = await marked(crypto.randomUUID());
  const other = await marked(crypto.randomUUID());
  expect(markedPids(one.mark)).toContain(one.child.pid as number);
  killMarked(one.mark);
  expect((await one.end).code).toBe(137);
  await until(() => markedPids(one.mark).length === 0, "no process has the mark");
  expect(markedPids(other.mark).length).toBeGreaterThan(0);
  killMarked(other.mark);
  await other.end;
});

test("killing all marked processes ends when none with the mark is left", async () => {
  const { mark, end } = await marked(crypto.randomUUID());
  expect(await killAllMarked(mark)).toBe(true);
  await end;
  expect(markedPids(mark)).toEqual([]);
  expect(await killAllMarked(mark)).toBe(true);
});

test("the mark must be a whole entry of the environment", async () => {
  const { mark, end } = await marked(crypto.randomUUID());
  expect(markedPids(mark.slice(0, -1))).toEqual([]);
  expect(killMarked(mark.slice(0, -1))).toBe(true);
  killMarked(mark);
  await end;
  await until(() => killMarked(mark), "no process has the mark");
});

test("descendants in other sessions are killed too", async () => {
  const { mark, end } = await marked(crypto.randomUUID(), "setsid sleep 600 & exec sleep 600");
  await until(() => markedPids(mark).length === 2, "both run");
  killMarked(mark);
  await end;
  await until(() => markedPids(mark).length === 0, "none is left");
});

test("the environment of a process that is gone is empty", async () => {
  const child = spawnChild("/bin/sh", ["-c", "exit 0"], { env: { PATH } });
  await endOf(child);
  expect(environmentOf(child.pid ?? 0)).toEqual([]);
  expect(environmentOf(2 ** 30)).toEqual([]);
});

test("all processes are numbers, and this one is among them", () => {
  const pids = allPids();
  expect(pids).toContain(process.pid);
  expect(pids.every(Number.isInteger)).toBe(true);
});

test("a command is killed until it has ended, and its sandbox is left alone", async () => {
  const { mark, end } = await marked(crypto.randomUUID());
  let stopped = false;
  await killUntil(mark, end, async () => {
    stopped = true;
  });
  expect((await end).code).toBe(137);
  expect(stopped).toBe(false);
});

test("a process that begins after the first look is killed by a later one", async () => {
  const value = crypto.randomUUID();
  const mark = `MATRIX_TEST_MARK=${value}`;
  const ended = Promise.withResolvers<number>();
  const killing = killUntil(mark, ended.promise, async () => undefined);
  const child = spawnChild("/bin/sh", ["-c", "exec sleep 600"], {
    env: { PATH, MATRIX_TEST_MARK: value },
  });
  void endOf(child).then(({ code }) => ended.resolve(code));
  expect(await ended.promise).toBe(137);
  await killing;
});

test("the wait for a killed command ends when the command fails", async () => {
  await killUntil(
    "MATRIX_TEST_MARK=none",
    Promise.reject(new Error("lost")),
    async () => undefined,
  );
});

test("file servers of a session are killed, and no other process", () =>
  withFolder(async (folder) => {
    const names = ["squashfuse_ll", "fuse-overlayfs", "starter", "worker"];
    for (const name of names) await copyFile("/bin/sleep", join(folder, name));
    const start = () =>
      spawnChild("/bin/sh", ["-c", `${names.map((name) => `./${name} 600 &`).join(" ")} wait`], {
        env: { PATH },
        cwd: folder,
      });
    const [one, other] = [start(), start()];
    const servers = (session: number | undefined) =>
      allPids().flatMap((pid) => {
        const [, name = "", , , , sid] = statOf(pid);
        return Number(sid) === session && names.includes(name.slice(1, -1)) ? [name] : [];
      });
    await until(
      () => servers(one.pid).length === 4 && servers(other.pid).length === 4,
      "all servers run",
    );
    killFileServers(one.pid ?? 0);
    await until(() => servers(one.pid).length === 1, "the servers are gone");
    expect(servers(one.pid)).toEqual(["(worker)"]);
    expect(servers(other.pid)).toHaveLength(4);
    for (const child of [one, other]) {
      killGroup(child.pid);
      await endOf(child);
    }
  }));

/** Fields of a living process; none of a dead one that waits for its parent. */
function statOf(pid: number): readonly string[] {
  const stat = Bun.spawnSync(["cat", `/proc/${pid}/stat`], { stderr: "ignore" }).stdout.toString();
  const fields = stat.split(" ", 6);
  return fields[2] === "Z" ? [] : fields;
}
