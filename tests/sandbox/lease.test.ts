// A lease: its folder, its renewals, and the guard that clears it away.

import { expect, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { chmod, mkdir, readFile, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LEASE_MS } from "../../src/sandbox/holder.ts";
import {
  allLeases,
  isRenewed,
  Lease,
  type LeaseOptions,
  leaseRoot,
  removeLease,
  sessionsOf,
} from "../../src/sandbox/lease.ts";
import { markedPids } from "../../src/sandbox/marked-processes.ts";
import { endOf, spawnChild } from "../../src/sandbox/spawn.ts";
import { withFolder } from "../parts/folder.ts";
import { withForeignFolder } from "../parts/foreign-folder.ts";
import { until } from "../parts/until.ts";

const OWNER = { run: "a run", host: "a host" };

const withLease = (
  use: (lease: Lease, root: string) => Promise<void>,
  options: LeaseOptions = {},
): Promise<void> =>
  withFolder(async (folder) => {
    const root = join(folder, "root");
    await using lease = await Lease.take(OWNER, { root, ...options });
    await use(lease, root);
  });
const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);

test("a lease has its own folder below a root that is closed to other users", () =>
  withLease(async (lease, root) => {
    await using other = await Lease.take(OWNER, { root });
    expect(other.folder).not.toBe(lease.folder);
    expect((await allLeases(root)).sort()).toEqual([lease.folder, other.folder].sort());
    expect(lease.owner).toEqual(OWNER);
    expect(modeOf(root)).toBe("700");
  }));

test("a root that another user made first is refused, and no lease is looked for in it", () =>
  withForeignFolder(async (root) => {
    await expect(Lease.take(OWNER, { root })).rejects.toMatchObject({
      code: "not_private",
      hint: expect.stringContaining("TMPDIR"),
    });
    expect(await allLeases(root)).toEqual([]);
  }));

test("a root of this user that was open to others is closed", () =>
  withFolder(async (folder) => {
    await chmod(folder, 0o777);
    await using _lease = await Lease.take(OWNER, { root: folder });
    expect(modeOf(folder)).toBe("700");
  }));

test("the bridge of a lease holds the counter and both libraries, readable by every user", () =>
  withLease(async ({ folder, bridge }) => {
    expect(bridge).toBe(join(folder, "bridge"));
    expect(await readFile(join(bridge, "lease"), "utf8")).toBe("0\n");
    expect(await readFile(join(bridge, "matrix_agent.py"), "utf8")).toContain("def serve(");
    expect(await readFile(join(bridge, "matrix-agent.mjs"), "utf8")).toContain("function serve(");
    expect(modeOf(bridge)).toBe("755");
    for (const name of ["lease", "matrix_agent.py", "matrix-agent.mjs"])
      expect(modeOf(join(bridge, name))).toBe("644");
  }));

test("the counter of a lease grows with every renewal", () =>
  withLease(
    async ({ folder, bridge }) => {
      const counter = async () => Number(await readFile(join(bridge, "lease"), "utf8"));
      await until(async () => (await counter()) >= 3, "the lease was renewed three times");
      expect(modeOf(join(bridge, "lease"))).toBe("644");
      expect(await readFile(join(bridge, "lease"), "utf8")).toMatch(/^\d+\n$/);
      expect(isRenewed(folder)).toBe(true);
    },
    { renewEveryMs: 5 },
  ));

test("the marks of a sandbox name it, its engine, image, lease and owner", () =>
  withLease(async (lease) => {
    const before = Date.now();
    const marks = lease.marksOf("box", "apptainer", "x.sif");
    expect(marks).toEqual({
      MATRIX_SANDBOX: "box",
      MATRIX_SANDBOX_ENGINE: "apptainer",
      MATRIX_SANDBOX_IMAGE: "x.sif",
      MATRIX_LEASE: lease.folder,
      MATRIX_SANDBOX_RUN: "a run",
      MATRIX_SANDBOX_HOST: "a host",
      MATRIX_SANDBOX_STARTED: expect.stringMatching(/^\d+$/),
    });
    expect(Number(marks["MATRIX_SANDBOX_STARTED"])).toBeWithin(before, Date.now() + 1);
  }));

test("sessions are noted in the folders of their sandboxes, and read from there", () =>
  withLease(async (lease) => {
    expect(await lease.folderOf("one")).toBe(join(lease.folder, "one"));
    await lease.folderOf("two");
    await lease.folderOf("none");
    await lease.noteSession("one", 123);
    await lease.noteSession("two", 456);
    expect((await sessionsOf(lease.folder)).sort()).toEqual([123, 456]);
    expect(await sessionsOf(join(lease.folder, "missing"))).toEqual([]);
  }));

test("a released lease leaves neither its folder nor a process with its mark", () =>
  withFolder(async (root) => {
    const lease = await Lease.take(OWNER, { root });
    const child = spawnChild("/bin/sh", ["-c", "trap '' TERM; sleep 600"], {
      env: { PATH: process.env["PATH"] ?? "", ...lease.marksOf("box", "process", "") },
    });
    const mark = `MATRIX_LEASE=${lease.folder}`;
    await until(() => markedPids(mark).length > 0, "the process shows its mark");
    const ended = endOf(child);
    await lease.release();
    expect((await ended).code).toBe(137);
    expect(existsSync(lease.folder)).toBe(false);
    expect(markedPids(mark)).toEqual([]);
    await lease.release();
  }));

test("a lease that ends kills commands that carry only their sandbox's name, and those of no other", () =>
  withFolder(async (root) => {
    const start = (id: string) =>
      spawnChild("/bin/sh", ["-c", "exec sleep 600"], { env: { MATRIX_SANDBOX: id } });
    const [own, other] = [`matrix-${crypto.randomUUID()}`, `matrix-${crypto.randomUUID()}`];
    const [ours, foreign] = [start(own), start(other)];
    const shown = () => [own, other].every((id) => markedPids(`MATRIX_SANDBOX=${id}`).length > 0);
    await until(shown, "both show their marks");
    const ended = endOf(ours);
    const empty = await Lease.take(OWNER, { root });
    await empty.release();
    expect(shown()).toBe(true);
    const lease = await Lease.take(OWNER, { root });
    await lease.folderOf(own);
    await lease.release();
    expect((await ended).code).toBe(137);
    expect(markedPids(`MATRIX_SANDBOX=${other}`)).toEqual([foreign.pid ?? 0]);
    foreign.kill("SIGKILL");
  }));

test("a lease that cannot be made says where and what to do", () =>
  withFolder(async (folder) => {
    const root = join(folder, "file");
    await writeFile(root, "");
    await expect(Lease.take(OWNER, { root })).rejects.toMatchObject({
      code: "sandbox_unavailable",
      message: expect.stringContaining(`cannot prepare sandboxes in ${root}: `),
      hint: "set TMPDIR to a folder of this machine that you can write to",
    });
  }));

test("leases lie in a folder of this user below the folder for temporary files", async () => {
  expect(leaseRoot()).toBe(join(tmpdir(), `matrix-sandboxes-${process.getuid?.()}`));
  const { getuid } = process;
  process.getuid = () => 1234;
  expect(leaseRoot()).toBe(join(tmpdir(), "matrix-sandboxes-1234"));
  Object.assign(process, { getuid });
  expect(await allLeases("/no/such/root")).toEqual([]);
});

test.each([
  ["the counter is fresh", 1000, LEASE_MS + 5000, true],
  ["only the folder is fresh", LEASE_MS + 5000, 1000, true],
  ["both are nearly too old", LEASE_MS - 2000, LEASE_MS - 2000, true],
  ["both are too old", LEASE_MS + 100, LEASE_MS + 100, false],
])("when %s, a lease counts as renewed: %#", (_title, counterAgeMs, folderAgeMs, renewed) =>
  withFolder(async (folder) => {
    await mkdir(join(folder, "bridge"));
    await writeFile(join(folder, "bridge/lease"), "1\n");
    const at = (ageMs: number) => new Date(Date.now() - ageMs);
    await utimes(join(folder, "bridge/lease"), at(counterAgeMs), at(counterAgeMs));
    await utimes(folder, at(folderAgeMs), at(folderAgeMs));
    expect(isRenewed(folder)).toBe(renewed);
  }),
);

test("a lease that is just being made counts as renewed, and a missing one does not", () =>
  withFolder(async (folder) => {
    expect(isRenewed(folder)).toBe(true);
    expect(isRenewed(join(folder, "missing"))).toBe(false);
  }));

test("a folder with a strict umask still opens the bridge to other users", () =>
  withFolder(async (root) => {
    const before = process.umask(0o077);
    try {
      await using lease = await Lease.take(OWNER, { root });
      expect([modeOf(lease.bridge), modeOf(join(lease.bridge, "lease"))]).toEqual(["755", "644"]);
    } finally {
      process.umask(before);
      await chmod(root, 0o700);
    }
  }));

/** A file system keeps times in steps of milliseconds. Waits for the next step. */
async function laterThan(file: string, probe: string): Promise<void> {
  await until(async () => {
    await writeFile(probe, "");
    return (await stat(probe)).ctimeMs > (await stat(file)).ctimeMs;
  }, "the clock of the file system has gone on");
}

test("a lease that ends leaves no file set-user-id that sandboxes made, and touches no other", () =>
  withFolder(async (folder) => {
    const path = (name: string) => join(folder, name);
    const make = async (name: string, mode: number) => {
      await mkdir(join(path(name), ".."), { recursive: true });
      await writeFile(path(name), "");
      await chmod(path(name), mode);
    };
    await make("data/earlier", 0o4755);
    await make("closed/inside", 0o4755);
    await using lease = await Lease.take({ run: "r", host: "h" }, { root: path("leases") });
    await laterThan(lease.hosts, path("tick"));
    await lease.noteWritable([
      { source: path("data"), target: "/data", writable: true },
      { source: path("closed"), target: "/closed", writable: false },
    ]);
    await make("data/deep/made", 0o4755);
    await make("data/group", 0o2711);
    await make("data/plain", 0o644);
    await make("closed/inside", 0o4755);
    await lease.release();
    const modes = ["data/earlier", "data/deep/made", "data/group", "data/plain", "closed/inside"];
    expect(modes.map((name) => modeOf(path(name)))).toEqual(["755", "755", "711", "644", "755"]);
    expect((await stat(path("data/earlier"))).mode & 0o4000).toBe(0o4000);
    expect((await stat(path("data/deep/made"))).mode & 0o4000).toBe(0);
    expect((await stat(path("data/group"))).mode & 0o2000).toBe(0);
    expect((await stat(path("closed/inside"))).mode & 0o4000).toBe(0o4000);
  }));

test("a lease is removed with folders that may not be listed", () =>
  withFolder(async (root) => {
    const lease = await Lease.take({ run: "r", host: "h" }, { root });
    const folder = await lease.folderOf("box");
    await writeFile(join(folder, "x"), "");
    await chmod(folder, 0o300);
    await removeLease(lease.folder);
    expect(existsSync(lease.folder)).toBe(false);
    await lease.release();
  }));
