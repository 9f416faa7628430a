// `matrix sandbox`, as it is typed.

import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Lease } from "../../../src/sandbox/lease.ts";
import { ProcessSandboxes } from "../../../src/sandbox/process.ts";
import { matrix } from "../../parts/binary.ts";
import { withFolder } from "../../parts/folder.ts";
import { SPEC } from "../../parts/sandbox-spec.ts";
import { docker } from "../sandbox/engines.ts";

const nowhere = { DOCKER_HOST: "unix:///no/such/docker.sock", PATH: "/nowhere" };

describe("matrix sandbox", () => {
  test("check says for each engine whether it is there, and what to do where it is not", async () => {
    const { code, stdout } = await matrix(["sandbox", "check"], { env: nowhere });
    expect(stdout).toContain("docker: no Docker engine answers at unix:///no/such/docker.sock");
    expect(stdout).toContain("hint: start Docker, set DOCKER_HOST, or use Apptainer");
    expect(stdout).toContain("apptainer: no apptainer or singularity in PATH");
    expect(stdout).toContain("no engine here can run sandboxes");
    expect(code).toBe(1);
  });

  test("check with an image starts one, and says how long it took", async () => {
    if (docker.image === null) return;
    const { code, stdout } = await matrix(["sandbox", "check", docker.image, "--json"], {
      env: { PATH: "/nowhere" },
    });
    const [first] = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(first).toMatchObject({
      engine: "docker",
      usable: true,
      unenforced: [],
      trial: { ms: expect.any(Number) },
    });
    expect(code).toBe(0);
  }, 60_000);

  test(
    "ls shows what runs with whose it is, and gc leaves it alone",
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

  test(
    "build makes the image of a folder by its path or by its name in sandboxes, and prints what it is called",
    () =>
      withFolder(async (folder) => {
        if (docker.image === null) return;
        await mkdir(join(folder, "sandboxes/tiny"), { recursive: true });
        await writeFile(
          join(folder, "sandboxes/tiny/Dockerfile"),
          `FROM ${docker.image}\nENV TINY=1\n`,
        );
        const byName = await matrix(["sandbox", "build", "tiny", "--engine", "docker"], {
          cwd: folder,
        });
        try {
          expect(byName.stdout).toMatch(/^matrix-tiny:[0-9a-f]{12}\n$/);
          expect(
            (
              await matrix(["sandbox", "build", "./sandboxes/tiny", "--engine", "docker"], {
                cwd: folder,
              })
            ).stdout,
          ).toBe(byName.stdout);
        } finally {
          Bun.spawnSync(["docker", "rmi", "-f", byName.stdout.trim()]);
        }
      }),
    120_000,
  );

  test("build of what is not there is a mistake of usage", async () => {
    const { code, stderr } = await matrix(["sandbox", "build", "none"]);
    expect(stderr).toContain("there is no folder none, and none in sandboxes/");
    expect(code).toBe(2);
    expect(existsSync("none")).toBe(false);
  });
});
