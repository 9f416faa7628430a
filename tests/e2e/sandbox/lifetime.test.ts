// Nothing outlives its host: when a host is killed, its sandboxes are gone once their lease has
// passed, and sandboxes of other hosts are not touched.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir, utimes, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { findContainers } from "../../../src/sandbox/docker/client.ts";
import { DockerSandboxes } from "../../../src/sandbox/docker/sandboxes.ts";
import { LEASE_MS } from "../../../src/sandbox/holder.ts";
import { isRenewed, Lease, leaseRoot } from "../../../src/sandbox/lease.ts";
import { markedPids } from "../../../src/sandbox/marked-processes.ts";
import { ProcessSandboxes } from "../../../src/sandbox/process.ts";
import { findSandboxes, reap } from "../../../src/sandbox/reaper.ts";
import { withFolder } from "../../parts/folder.ts";
import { quiet } from "../../parts/quiet.ts";
import { SPEC } from "../../parts/sandbox-spec.ts";
import { until } from "../../parts/until.ts";
import { apptainer, docker, type EngineHere, plain } from "./engines.ts";

/** Longer than a lease, also on a machine with little time to spare. */
const WAIT_MS = LEASE_MS + 60_000;
const TEST_MS_MAX = 3 * WAIT_MS;

interface Killable {
  readonly pid: number;
  readonly sandbox: string;
  readonly lease: string;
}

async function startHost({ engine, image }: EngineHere): Promise<Killable> {
  const fixture = resolve(import.meta.dir, "fixtures/host.ts");
  const child = Bun.spawn(["bun", fixture, engine, image ?? ""], {
    stdout: "pipe",
    stderr: "inherit",
    stdin: "ignore",
  });
  for await (const line of createInterface({ input: Readable.fromWeb(child.stdout as never) })) {
    const [, sandbox = "", lease = ""] = line.split(" ");
    return { pid: child.pid, sandbox, lease };
  }
  throw new Error(`the host ended with ${await child.exited}`);
}

/** Containers, processes and leases that are left of a sandbox. */
async function remains({ sandbox, lease }: Killable): Promise<string[]> {
  const containers =
    docker.image === null
      ? []
      : (await findContainers()).filter(({ id }) => id === sandbox).map(({ id }) => id);
  return [
    ...containers,
    ...markedPids(`MATRIX_SANDBOX=${sandbox}`).map(String),
    ...(existsSync(lease) ? [lease] : []),
  ];
}

function untilGone(killed: Killable): Promise<void> {
  const nothingIsLeft = async () => (await remains(killed)).length === 0;
  return until(nothingIsLeft, "nothing of the sandbox is left", WAIT_MS);
}

describe.each([docker, apptainer, plain].filter(({ image }) => image !== null))(
  "a sandbox by $engine",
  (here) => {
    test(
      "a sandbox ends when its host is killed, with its processes and its lease",
      async () => {
        const host = await startHost(here);
        expect((await remains(host)).length).toBeGreaterThan(1);
        process.kill(host.pid, "SIGKILL");
        await untilGone(host);
      },
      TEST_MS_MAX,
    );

    test(
      "a sandbox ends when its host and the guard are killed at once: by itself, or by the next reaper",
      async () => {
        const host = await startHost(here);
        const guards = Bun.spawnSync([
          "sh",
          "-c",
          `grep -las 'matrix-guard' /proc/[0-9]*/cmdline | tr -dc '0-9\\n'`,
        ]).stdout.toString();
        const guard = guards
          .trim()
          .split("\n")
          .map(Number)
          .find((pid) =>
            Bun.spawnSync(["cat", `/proc/${pid}/cmdline`]).stdout.includes(host.lease),
          );
        if (guard !== undefined) process.kill(guard, "SIGKILL");
        process.kill(host.pid, "SIGKILL");
        if (here.engine !== "process")
          await until(
            async () => (await remains(host)).every((left) => left === host.lease),
            "it ends by itself",
          );
        // The lease is made old, as if its time had passed.
        const past = new Date(Date.now() - LEASE_MS - 1000);
        if (existsSync(join(host.lease, "bridge/lease")))
          await utimes(join(host.lease, "bridge/lease"), past, past);
        await utimes(host.lease, past, past);
        await reap(quiet);
        await untilGone(host);
      },
      TEST_MS_MAX,
    );

    test(
      "a sandbox is found with its run and host",
      async () => {
        const host = await startHost(here);
        try {
          const found = (await findSandboxes()).find(({ id }) => id === host.sandbox);
          expect(found).toMatchObject({
            engine: here.engine,
            run: "killed",
            host: "fixture",
            lease: host.lease,
            kept: true,
            ours: true,
          });
        } finally {
          process.kill(host.pid, "SIGKILL");
        }
        await untilGone(host);
      },
      TEST_MS_MAX,
    );
  },
);

describe.skipIf(docker.image === null)("a container", () => {
  test(
    "a container ends when its host hangs and no longer renews the lease",
    async () => {
      const host = await startHost(docker);
      process.kill(host.pid, "SIGSTOP");
      try {
        await until(
          async () => (await findContainers()).every(({ id }) => id !== host.sandbox),
          "the container ends",
          WAIT_MS,
        );
      } finally {
        process.kill(host.pid, "SIGKILL");
      }
      await untilGone(host);
    },
    TEST_MS_MAX,
  );
});

describe("the reaper", () => {
  let lease: Lease;
  beforeAll(async () => {
    lease = await Lease.take({ run: "living", host: "test" });
  });
  afterAll(() => lease.release());

  test(
    "the reaper leaves renewed sandboxes and foreign containers alone",
    async () => {
      const living = await new ProcessSandboxes(lease).start(SPEC);
      const running = await living.open({ args: ["sleep", "3600"] });
      const foreign =
        docker.image === null
          ? null
          : Bun.spawnSync([
              "docker",
              "run",
              "-d",
              "--rm",
              docker.image,
              "sleep",
              "600",
            ]).stdout.toString();
      try {
        const { removed } = await reap(quiet);
        expect(removed.map(({ id }) => id)).not.toContain(living.id);
        expect(markedPids(`MATRIX_SANDBOX=${living.id}`).length).toBeGreaterThan(0);
        if (foreign !== null)
          expect(
            Bun.spawnSync([
              "docker",
              "inspect",
              "-f",
              "{{.State.Running}}",
              foreign.trim(),
            ]).stdout.toString(),
          ).toBe("true\n");
      } finally {
        if (foreign !== null) Bun.spawnSync(["docker", "rm", "-f", foreign.trim()]);
        await living.stop();
        await running.exited.catch(() => undefined);
      }
    },
    TEST_MS_MAX,
  );

  test("the reaper removes leases that are no longer renewed, and no others", () =>
    withFolder(async (root) => {
      for (const name of ["dead", "young"]) {
        await mkdir(join(root, name, "bridge"), { recursive: true });
        await writeFile(join(root, name, "bridge/lease"), "7\n");
      }
      const past = new Date(Date.now() - LEASE_MS - 1000);
      await utimes(join(root, "dead/bridge/lease"), past, past);
      await utimes(join(root, "dead"), past, past);
      await reap(quiet, root);
      expect([existsSync(join(root, "dead")), existsSync(join(root, "young"))]).toEqual([
        false,
        true,
      ]);
    }));

  test("a lease is renewed while its host lives, and gone when it is released", async () => {
    const other = await Lease.take({ run: "r", host: "h" });
    expect(other.folder.startsWith(leaseRoot())).toBe(true);
    expect(isRenewed(other.folder)).toBe(true);
    await other.release();
    expect(existsSync(other.folder)).toBe(false);
  });
});

test.skipIf(docker.image === null)(
  "an engine that does not answer is unavailable, with what to do",
  async () => {
    const before = process.env["DOCKER_HOST"];
    process.env["DOCKER_HOST"] = "unix:///no/such/docker.sock";
    try {
      await using lease = await Lease.take({ run: "r", host: "h" });
      const failure = await DockerSandboxes.connect(lease, quiet)
        .then((sandboxes) => sandboxes.start({ ...SPEC, image: "x" }))
        .catch((thrown) => thrown);
      expect([failure.code, failure.hint]).toEqual([
        "sandbox_unavailable",
        "start Docker or `podman system service`, set DOCKER_HOST, or use Apptainer",
      ]);
    } finally {
      if (before === undefined) delete process.env["DOCKER_HOST"];
      else process.env["DOCKER_HOST"] = before;
    }
  },
);
