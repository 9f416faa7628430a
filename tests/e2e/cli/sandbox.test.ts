// `matrix sandbox` with a Docker engine.

import { expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { withFolder } from "../../parts/folder.ts";
import { matrix } from "../../parts/program.ts";
import { docker } from "../sandbox/engines.ts";

test("sandbox check with an image starts one and prints how long it took", async () => {
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
  "sandbox build makes the image of a folder, by path or by name, and prints the name of the image",
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
