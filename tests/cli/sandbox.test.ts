// `matrix sandbox` on a machine without an engine.

import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Lease } from "../../src/sandbox/lease.ts";
import { ProcessSandboxes } from "../../src/sandbox/process.ts";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";
import { SPEC } from "../parts/sandbox-spec.ts";

const nowhere = { DOCKER_HOST: "unix:///no/such/docker.sock", PATH: "/nowhere" };

describe("matrix sandbox", () => {
  test("sandbox check prints for each engine whether it is there, and what to do when it is not", async () => {
    const { code, stdout } = await matrix(["sandbox", "check"], { env: nowhere });
    expect(stdout).toContain("docker: no Docker engine answers at unix:///no/such/docker.sock");
    expect(stdout).toContain("hint: start Docker, set DOCKER_HOST, or use Apptainer");
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
});
