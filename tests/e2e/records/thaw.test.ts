// A driver that is stopped, taken for dead by another machine, and started again. The other machine
// is this one under another host name.

import { expect, test } from "bun:test";
import { readdir, readFile, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { BINARY, matrix, spawnMatrix } from "../../parts/binary.ts";
import { withFolder } from "../../parts/folder.ts";
import { until } from "../../parts/until.ts";
import { writeSmallRun } from "../../run/small-run.ts";

const canRename = Bun.spawnSync(["unshare", "--uts", "hostname", "elsewhere"]).exitCode === 0;

/** Names, contents and times of all files of a run directory. */
async function look(directory: string): Promise<readonly string[]> {
  const names = await readdir(directory, { recursive: true });
  const lines = names.sort().map(async (name) => {
    const path = join(directory, name);
    const { mtimeMs, ino } = await stat(path);
    const text = await readFile(path, "utf8").catch(() => "");
    return `${name} ${mtimeMs} ${ino} ${Bun.hash(text)}`;
  });
  return Promise.all(lines);
}

for (const [which, more] of [
  ["alone", []],
  ["with workers", ["--workers", "1"]],
] as const) {
  test(`a driver ${which} that thaws after another machine took its run over leaves everything as it is`, () =>
    withFolder(async (folder) => {
      if (!canRename) return console.log("skipped: no other host name can be had here (unshare)");
      const overrides = ['models.m.latency="100ms"', "run.concurrency=4"];
      await writeSmallRun(folder, { rows: 200 });
      const args = ["drive", "recipe.toml", ...overrides, "-o", "run", "--quiet", ...more];
      const directory = join(folder, "run");
      const frozen = spawnMatrix(args, { cwd: folder });
      const records = async () => (await stat(join(directory, "trajectories.jsonl"))).size;
      await until(
        () =>
          records()
            .then((size) => size > 0)
            .catch(() => false),
        "a record is there",
      );
      frozen.child.kill("SIGSTOP");
      const at = new Date(Date.now() - 61_000);
      await utimes(join(directory, "lock.1"), at, at);
      const script = 'hostname elsewhere; exec "$@"';
      const taker = Bun.spawn(["unshare", "--uts", "sh", "-c", script, "sh", BINARY, ...args], {
        cwd: folder,
        stdout: "ignore",
        stderr: "ignore",
      });
      expect(await taker.exited).toBe(0);
      const before = await look(directory);
      frozen.child.kill("SIGCONT");
      const { code, stderr } = await frozen.finished;
      expect(code).toBe(3);
      expect(stderr).toContain(`on elsewhere, since `);
      expect(stderr).toContain(`has taken over ${directory}, because this one was not heard of`);
      expect(await look(directory)).toEqual(before);
      expect((await matrix(["verify", directory])).code).toBe(0);
    }));
}
