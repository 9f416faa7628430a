// The same engines under Deno.

import { expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { withFolder } from "../../parts/folder.ts";
import { ROOT } from "../../parts/repository.ts";
import { apptainer, docker, plain } from "./engines.ts";

/** The binary itself: the package's own launcher needs Node.js. */
function findDeno(): string | null {
  const packages = join(ROOT, "node_modules/@deno");
  const found = existsSync(packages)
    ? readdirSync(packages).map((name) => join(packages, name, "deno"))
    : [];
  return (
    found.find(
      (path) =>
        Bun.spawnSync([path, "--version"], { stdout: "ignore", stderr: "ignore" }).exitCode === 0,
    ) ?? null
  );
}

test(
  "Deno runs sandboxes as Bun does: commands, bytes, time limits, channels",
  () =>
    withFolder(async (folder) => {
      const deno = findDeno();
      if (deno === null) {
        console.log("skipped: the deno package has no binary for this machine");
        return;
      }
      const here = [plain, docker, apptainer].filter(({ image }) => image !== null);
      const fixture = resolve(import.meta.dir, "fixtures/tour.ts");
      const child = Bun.spawn(
        [deno, "run", "-A", fixture, ...here.map(({ engine, image }) => `${engine}=${image}`)],
        {
          cwd: ROOT,
          env: { ...process.env, DENO_DIR: join(folder, "cache"), DENO_NO_UPDATE_CHECK: "1" },
          stdout: "pipe",
          stderr: "pipe",
        },
      );
      const [stdout, stderr] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ]);
      expect(stderr).toBe("");
      expect(stdout).toBe(
        here.map(({ engine }) => `${engine} ünd 7 5000000 timeout 100 it was stopped\n`).join(""),
      );
    }),
  120_000,
);
