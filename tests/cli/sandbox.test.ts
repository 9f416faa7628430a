// `matrix sandbox` on a machine without an engine.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir, utimes } from "node:fs/promises";
import { join } from "node:path";
import { LEASE_MS } from "../../src/sandbox/holder.ts";
import { Lease } from "../../src/sandbox/lease.ts";
import { ProcessSandboxes } from "../../src/sandbox/process.ts";
import { DockerEngine } from "../parts/docker-engine.ts";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";
import { SPEC } from "../parts/sandbox-spec.ts";
import { until } from "../parts/until.ts";

const nowhere = { DOCKER_HOST: "unix:///no/such/docker.sock", PATH: "/nowhere" };

test("sandbox check prints for each engine whether it is there, and what to do when it is not", async () => {
  const { code, stdout } = await matrix(["sandbox", "check"], { env: nowhere });
  expect(stdout).toContain("docker: no Docker engine answers at unix:///no/such/docker.sock");
  expect(stdout).toContain(
    "hint: start Docker or `podman system service`, set DOCKER_HOST, or use Apptainer",
  );
  expect(stdout).toContain("apptainer: no apptainer or singularity in PATH");
  expect(stdout).toContain("no engine here can run sandboxes");
  expect(code).toBe(1);
});

test(
  "sandbox ls lists a running sandbox with its owner, and gc leaves it alone",
  () =>
    withFolder(async (folder) => {
      await using lease = await Lease.take(
        { run: "mine", host: "here" },
        { root: join(folder, `matrix-sandboxes-${process.getuid?.() ?? 0}`) },
      );
      await using sandbox = await new ProcessSandboxes(lease).start(SPEC);
      const running = await sandbox.open({ args: ["sleep", "3600"] });
      const env = { TMPDIR: folder };
      // A process has its marks once it has begun its program.
      const isListed = async () =>
        (await matrix(["sandbox", "ls"], { env })).stdout.includes(sandbox.id);
      await until(isListed, "the sandbox is listed");
      const { stdout } = await matrix(["sandbox", "ls", "--json"], { env });
      const found = stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
      expect(found.find(({ id }) => id === sandbox.id)).toMatchObject({
        engine: "process",
        run: "mine",
        host: "here",
        kept: true,
        ours: true,
      });
      expect((await matrix(["sandbox", "ls"], { env })).stdout).toMatch(
        new RegExp(`${sandbox.id} +process +mine +here .* in use`),
      );
      expect((await matrix(["sandbox", "gc"], { env })).code).toBe(0);
      expect((await matrix(["sandbox", "ls"], { env })).stdout).toContain(sandbox.id);
      await sandbox.stop();
      await running.exited.catch(() => undefined);
    }),
  60_000,
);

test("sandbox build of a folder that is not there is a mistake of usage", async () => {
  const { code, stderr } = await matrix(["sandbox", "build", "none"]);
  expect(stderr).toContain("there is no folder none, and none in sandboxes/");
  expect(code).toBe(2);
  expect(existsSync("none")).toBe(false);
});

test("sandbox gc removes a sandbox whose lease has expired, and prints how many", () =>
  withFolder(async (folder) => {
    const root = join(folder, `matrix-sandboxes-${process.getuid?.() ?? 0}`);
    const env = { TMPDIR: folder };
    const leaveBehind = async (id: string) => {
      const lease = join(root, id);
      await mkdir(lease, { recursive: true });
      const child = Bun.spawn(["sleep", "1000"], {
        env: {
          MATRIX_SANDBOX: id,
          MATRIX_LEASE: lease,
          MATRIX_SANDBOX_ENGINE: "process",
          MATRIX_SANDBOX_RUN: "dead",
          MATRIX_SANDBOX_HOST: "gone",
        },
      });
      const past = new Date(Date.now() - LEASE_MS - 1000);
      await utimes(lease, past, past);
      const isListed = async () => (await matrix(["sandbox", "ls"], { env })).stdout.includes(id);
      await until(isListed, `${id} is listed`);
      return child;
    };
    const [one, two] = [await leaveBehind("gc-1"), await leaveBehind("gc-2")];
    expect((await matrix(["sandbox", "ls"], { env })).stdout).toMatch(
      /gc-1 +process +dead +gone .* left behind/,
    );
    const { stdout, code } = await matrix(["sandbox", "gc", "--json"], { env });
    const removed = stdout.trim().split("\n");
    expect(removed.map((line) => JSON.parse(line).id).sort()).toEqual(["gc-1", "gc-2"]);
    expect(code).toBe(0);
    await Promise.all([one.exited, two.exited]);
    expect((await matrix(["sandbox", "gc"], { env })).stdout).toBe("removed 0 sandboxes\n");
    const three = await leaveBehind("gc-3");
    expect((await matrix(["sandbox", "gc"], { env })).stdout).toBe("removed 1 sandbox\n");
    await three.exited;
  }));

test("sandbox check tries an image with each engine that is there and can run it", () =>
  DockerEngine.within(async () => {
    const trialsOf = async (image: string) => {
      const args = ["sandbox", "check", image, "--json"];
      const { stdout } = await matrix(args, { env: { PATH: "/nowhere" } });
      const checked = stdout.trim().split("\n");
      return checked.map((line) => {
        const { engine, usable, trial } = JSON.parse(line);
        return [engine, usable, trial === null];
      });
    };
    expect(await trialsOf("none:1")).toEqual([
      ["docker", true, false],
      ["apptainer", false, true],
    ]);
    expect(await trialsOf("image.sif")).toEqual([
      ["docker", true, true],
      ["apptainer", false, true],
    ]);
  }));
