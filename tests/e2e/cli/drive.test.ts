// `matrix drive` as a process: signals, kills, a full disk, files that vanish. Every (row, trial)
// ends in exactly one record, whatever is killed.

import { expect, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { appendFile, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createRandom } from "../../../src/task/seed.ts";
import { matrix as matrixBinary, spawnMatrix } from "../../parts/binary.ts";
import { withFolder } from "../../parts/folder.ts";
import { residentBytes } from "../../parts/memory.ts";
import { matrix } from "../../parts/program.ts";
import { comparable, comparableAfterKill, readRecords } from "../../parts/records.ts";
import { CORAL, DUMMY } from "../../parts/repository.ts";
import { until } from "../../parts/until.ts";

const SEED = Number(process.env["MATRIX_TEST_SEED"] ?? Date.now());
const sizeOf = (path: string) => (existsSync(path) ? statSync(path).size : 0);
const FAST = ['models.speaker.latency="1ms"', "models.speaker.tokens_per_second=1000000"];

test(
  "a run that is killed at twelve random moments ends with each record exactly once",
  () =>
    withFolder(async (folder) => {
      console.log(`seed ${SEED} (MATRIX_TEST_SEED=${SEED} repeats it)`);
      const random = createRandom(SEED);
      const run = join(folder, "run");
      const output = join(run, "trajectories.jsonl");
      const args = ["drive", DUMMY, "-o", run, "--trials", "300", "-n", "500", "-q"];
      // Bytes that the whole run writes, shared between the kills.
      const perKill = 96e6 / 12;
      for (let kill = 0; kill < 12; kill++) {
        const { child, finished } = spawnMatrix(args);
        const target = sizeOf(output) + random() * perKill;
        let exited = false;
        void finished.then(() => (exited = true));
        await until(
          () => exited || sizeOf(output) >= target,
          `the output grows to ${target} bytes`,
        );
        child.kill("SIGKILL");
        await finished;
        const { code, stdout } = await matrix(["verify", run, "--json"]);
        const { findings, ok, failed, lost, expected } = JSON.parse(stdout);
        const torn = findings.filter(({ message }: { message: string }) =>
          message.includes("torn"),
        );
        expect({
          findings: findings.length - torn.length,
          code: torn.length > 0 ? 1 : code,
        }).toEqual({
          findings: 0,
          code: torn.length > 0 ? 1 : code,
        });
        expect(ok + failed + lost).toBeLessThanOrEqual(expected);
        if (code === 0) break;
      }
      const { code } = await matrix(args);
      expect(code).toBe(0);
      const { stdout } = await matrix(["verify", run]);
      expect(stdout).toBe(
        "coral-dummy: expected 12000 = ok 12000 + failed 0 + lost 0\nverified: every row and trial has exactly one record\n",
      );
    }),
  240_000,
);

test("a run that is killed and continued makes the records of an undisturbed one", () =>
  withFolder(async (folder) => {
    const args = (name: string) => [
      ...["drive", CORAL, "-o", name, "--trials", "10", "-n", "7", "-q"],
      ...['models.speaker.latency="5ms"', "models.speaker.tokens_per_second=1000000"],
    ];
    const { child, finished } = spawnMatrix(args("killed"), { cwd: folder });
    await until(
      () => sizeOf(join(folder, "killed/trajectories.jsonl")) > 20_000,
      "some records are written",
    );
    child.kill("SIGKILL");
    await finished;
    // A torn last line, as a power cut leaves it.
    await appendFile(join(folder, "killed/trajectories.jsonl"), '{"format":"matrix-traj');
    const { code, stderr } = await matrix(args("killed"), { cwd: folder });
    expect(code).toBe(0);
    expect(stderr).toContain("cut a torn last line");
    await matrix(args("whole"), { cwd: folder });
    expect(comparableAfterKill(await readRecords(join(folder, "killed")))).toEqual(
      comparable(await readRecords(join(folder, "whole"))),
    );
  }));

test("errors that user code lets go end no run, change no other task, and are logged with their stack", () =>
  withFolder(async (folder) => {
    const files = {
      "rows.jsonl": [0, 1, 2].map((n) => JSON.stringify({ n })).join("\n"),
      "a.ts": `import { agent } from "matrix";
          export default agent(async ({ row }) => {
            if (row.n === 1) Promise.reject(new Error("nobody awaits me"));
            if (row.n === 2) setTimeout(() => { throw new Error("thrown in a timer"); }, 1);
            await new Promise((resolve) => setTimeout(resolve, 50));
            return row.n;
          });`,
      "r.toml":
        'name = "stray"\ndataset.path = "rows.jsonl"\nroles.a.agent = "./a.ts"\n[orchestrator]\npattern = "sequence"\nroles = ["a"]\n',
    };
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    await matrixBinary(["drive", "r.toml", "-o", "run"], { cwd: folder });
    const records = (await readRecords(join(folder, "run"))).sort((a, b) =>
      a.id.localeCompare(b.id),
    );
    expect(records.map(({ status }) => status)).toEqual(["ok", "ok", "failed"]);
    expect(records[2]?.error).toMatchObject({
      code: "agent_failed",
      message: "thrown in a timer",
      stack: expect.stringContaining("a.ts:4"),
    });
    const log = await readFile(join(folder, "run/logs/driver.log"), "utf8");
    expect(log).toMatch(/error user code let an error escape: nobody awaits me .*a\.ts:3/);
  }));

test("the first SIGINT lets tasks in flight finish, exits with 3 and says how to go on", () =>
  withFolder(async (folder) => {
    const args = ["drive", CORAL, "-o", "run", "--trials", "50", "-n", "20"];
    const { child, finished } = spawnMatrix(args, { cwd: folder });
    await until(() => sizeOf(join(folder, "run/trajectories.jsonl")) > 0, "a record is written");
    child.kill("SIGINT");
    const { code, stdout, stderr } = await finished;
    expect(code).toBe(3);
    expect(stdout).toContain("the same command goes on where it stands");
    expect(stderr).toContain("a second signal stops at once");
    const manifest = JSON.parse(await readFile(join(folder, "run/manifest.json"), "utf8"));
    expect(manifest.state).toBe("stopped");
    expect((await matrix(["verify", "run"], { cwd: folder })).code).toBe(3);
    expect(JSON.parse(await readFile(join(folder, "run/lock.1"), "utf8")).released).toBe(true);
  }));

test("the second SIGTERM stops at once and leaves tasks in flight to the next start", () =>
  withFolder(async (folder) => {
    await writeFile(
      join(folder, "hang.ts"),
      'import { writeFileSync } from "node:fs";\nexport default () => { writeFileSync("started", ""); return new Promise(() => {}); };\n',
    );
    await writeFile(join(folder, "d.jsonl"), '{"q":1}\n'.repeat(40));
    await writeFile(
      join(folder, "r.toml"),
      'name = "r"\ndataset.path = "d.jsonl"\nroles.a.agent = "hang.ts"\norchestrator = { pattern = "sequence", roles = ["a"] }\n',
    );
    const { child, finished } = spawnMatrix(["drive", "r.toml", "-o", "run", "--json"], {
      cwd: folder,
    });
    await until(() => existsSync(join(folder, "started")), "a step has begun");
    child.kill("SIGTERM");
    await until(
      async () =>
        (await readFile(join(folder, "run/logs/driver.log"), "utf8")).includes("stopping"),
      "it stops",
    );
    child.kill("SIGTERM");
    const { code, stdout } = await finished;
    expect(code).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({
      state: "stopped",
      ok: 0,
      failed: 0,
      lost: 0,
      abandoned: 40,
    });
  }));

test("a run directory is refused to a second driver while the first one lives", () =>
  withFolder(async (folder) => {
    const args = [
      "drive",
      CORAL,
      "-o",
      "run",
      'models.speaker.latency="10m"',
      "models.speaker.timeout=1h",
    ];
    const { child, finished } = spawnMatrix(args, { cwd: folder });
    await until(() => existsSync(join(folder, "run/trajectories.jsonl")), "the first has it");
    const second = await matrix(args, { cwd: folder });
    expect(second.stderr).toContain(
      `another driver runs in ${join(folder, "run")}: process ${child.pid}`,
    );
    expect(second.code).toBe(4);
    child.kill("SIGKILL");
    await finished;
    const third = await matrix(["drive", CORAL, "-o", "run", 'models.speaker.latency="1ms"'], {
      cwd: folder,
    });
    // The dead one's lock is nothing; that the recipe changed is.
    expect(third.stderr).toContain("holds another run");
  }));

test("a full disk ends a run with whole records only, and the run goes on when there is room", () =>
  withFolder(async (folder) => {
    const mount = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=3m", "matrix-test", folder]);
    if (mount.exitCode !== 0) {
      console.log("not run: mounting a small file system needs root");
      return;
    }
    try {
      const args = ["drive", DUMMY, "-o", join(folder, "run"), "--trials", "20", "-q"];
      const full = await matrix(args);
      expect(full.stderr).toContain("the disk is full");
      expect(full.code).toBe(3);
      expect(Bun.spawnSync(["mount", "-o", "remount,size=64m", folder]).exitCode).toBe(0);
      expect((await matrix(["verify", join(folder, "run"), "--json"])).stdout).toContain(
        '"findings":[]',
      );
      const rest = await matrix(args);
      expect(rest.stdout).toContain("expected 800 = ok 800");
      expect(rest.code).toBe(0);
    } finally {
      Bun.spawnSync(["umount", folder]);
    }
  }));

test("a run stops when its directory is deleted", () =>
  withFolder(async (folder) => {
    const run = join(folder, "run");
    const { finished } = spawnMatrix(["drive", CORAL, "-o", run, "--trials", "3000", "-n", "5"]);
    await until(() => sizeOf(join(run, "trajectories.jsonl")) > 0, "records are written");
    await rename(run, join(folder, "moved"));
    await Bun.$`rm -r ${join(folder, "moved")}`;
    const { code, stderr } = await finished;
    expect(code).toBe(3);
    expect(stderr).toContain(`the run directory ${run} is gone`);
  }));

test("a dataset that shrinks under a run stops it after the tasks in flight, resumable", () =>
  withFolder(async (folder) => {
    const rows = Array.from(
      { length: 20_000 },
      (_, i) => `${JSON.stringify({ question: `${i}? ${"x".repeat(200)}`, correct: "A" })}\n`,
    );
    await writeFile(join(folder, "d.jsonl"), rows.join(""));
    const args = ["drive", CORAL, "-o", "run", "dataset.path=d.jsonl", "--json", ...FAST];
    const { finished } = spawnMatrix(args, { cwd: folder });
    await until(() => sizeOf(join(folder, "run/trajectories.jsonl")) > 0, "records are written");
    await writeFile(join(folder, "d.jsonl"), rows.slice(0, 2000).join(""));
    const { code, stdout, stderr } = await finished;
    expect(code).toBe(3);
    expect(stderr).toContain("the dataset has changed since the run began");
    expect(JSON.parse(stdout)).toMatchObject({
      state: "stopped",
      abandoned: 0,
      error: { code: "dataset_gone" },
    });
    expect((await matrix(["verify", "run"], { cwd: folder })).code).toBe(3);
  }));

test(
  "a dataset of 100,000 rows and 200 MB is read in a process of less than 400 MB",
  () =>
    withFolder(async (folder) => {
      const rows = Array.from(
        { length: 100_000 },
        (_, n) => `${JSON.stringify({ n, text: "x".repeat(2000) })}\n`,
      );
      await writeFile(join(folder, "d.jsonl"), rows.join(""));
      await writeFile(join(folder, "a.ts"), "export default ({ row }) => row.n;\n");
      await writeFile(
        join(folder, "r.toml"),
        'name = "r"\ndataset.path = "d.jsonl"\nroles.a.agent = "a.ts"\norchestrator = { pattern = "sequence", roles = ["a"] }\n',
      );
      const { child, finished } = spawnMatrix(["drive", "r.toml", "-o", "run", "-q"], {
        cwd: folder,
      });
      let most = 0;
      let exited = false;
      void finished.then(() => {
        exited = true;
      });
      await until(() => {
        most = Math.max(most, residentBytes(child.pid));
        return exited;
      }, "the run ends");
      const { code, stdout } = await finished;
      expect(stdout).toContain("expected 100,000 = ok 100,000");
      expect(code).toBe(0);
      if (process.platform !== "linux") return console.log("not run: memory is read from /proc");
      expect(most / 1e6).toBeLessThan(400);
    }),
  120_000,
);
