// A guarded build: its end, and what an interrupted one leaves.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startGuarded } from "../../../src/sandbox/image/guarded-build.ts";
import { markedPids } from "../../../src/sandbox/marked-processes.ts";
import { finish } from "../../../src/sandbox/spawn.ts";
import { withFolder } from "../../parts/folder.ts";
import { until } from "../../parts/until.ts";

const withBuild = (
  script: string,
  use: (
    build: ReturnType<typeof startGuarded>,
    leaves: readonly string[],
    mark: string,
  ) => Promise<void>,
  signal?: AbortSignal,
) =>
  withFolder(async (folder) => {
    const leaves = ["it's made", "a folder", "lock"].map((name) => join(folder, name));
    await mkdir(leaves[1] ?? "");
    await writeFile(leaves[2] ?? "", "");
    const value = crypto.randomUUID();
    const build = startGuarded({
      command: ["/bin/sh", "-c", script, "sh", leaves[0] ?? ""],
      cwd: folder,
      env: { PATH: process.env["PATH"] ?? "", MATRIX_TEST: value },
      leaves,
      ...(signal === undefined ? {} : { signal }),
    });
    await use(build, leaves, `MATRIX_TEST=${value}`);
  });
const existing = (paths: readonly string[]) => paths.map((path) => existsSync(path));

test("a build that ends by itself keeps its files, and gives its code and its output", () =>
  withBuild('echo made >"$1"; pwd; echo err >&2; exit 7', async (build, leaves, mark) => {
    const { code, stdout, stderr } = await finish(build);
    expect({ code, out: stdout.trim(), stderr }).toEqual({
      ...{ code: 7, out: join(leaves[0] ?? "", ".."), stderr: "err\n" },
    });
    expect(existing(leaves)).toEqual([true, true, true]);
    await until(() => markedPids(mark).length === 0, "the guard is gone");
  }));

test.each([
  ["ends when it is asked to", 'echo half >"$1"; exec sleep 600'],
  ["ignores that it is asked to end", 'echo half >"$1"; sleep 600 & trap "" TERM; sleep 600'],
])("a build that %s is ended when its process dies, and its files are removed", (_title, script) =>
  withBuild(script, async (build, leaves, mark) => {
    await until(() => existsSync(leaves[0] ?? ""), "the build has begun");
    build.stdin.end();
    expect((await finish(build)).code).toBe(137);
    await until(() => markedPids(mark).length === 0, "nothing of the build runs");
    expect(existing(leaves)).toEqual([false, false, false]);
  }),
);

test("a build that is given up is killed at once with its guard", () => {
  const controller = new AbortController();
  return withBuild(
    'echo half >"$1"; sleep 600',
    async (build, leaves, mark) => {
      await until(() => existsSync(leaves[0] ?? ""), "the build has begun");
      controller.abort();
      expect((await finish(build)).code).toBe(137);
      await until(() => markedPids(mark).length === 0, "nothing of the build runs");
    },
    controller.signal,
  );
});
