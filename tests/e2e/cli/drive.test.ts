// `matrix drive` as its users meet it: the compiled binary, real files, real signals. What is promised here is that every
// (row, trial) ends in exactly one record, whatever is killed, and that a run repeats.

import { describe, expect, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { appendFile, chmod, mkdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createRandom } from "../../../src/task/seed.ts";
import { matrix, spawnMatrix } from "../../parts/binary.ts";
import type { Finished } from "../../parts/finished.ts";
import { withFolder } from "../../parts/folder.ts";
import { comparable, readRecords } from "../../parts/records.ts";
import { CORAL, DUMMY } from "../../parts/repository.ts";
import { until } from "../../parts/until.ts";

const SEED = Number(process.env["MATRIX_TEST_SEED"] ?? Date.now());
const sizeOf = (path: string) => (existsSync(path) ? statSync(path).size : 0);
const FAST = ['models.speaker.latency="1ms"', "models.speaker.tokens_per_second=1000000"];

function expectRefused({ code, stderr }: Finished, ...texts: readonly string[]): void {
  for (const text of texts) expect(stderr).toContain(text);
  expect(code).toBe(2);
}

describe("a run", () => {
  test("turns the questions that ship with the recipe into accounted dialogues", () =>
    withFolder(async (folder) => {
      const { code, stdout, stderr } = await matrix(["drive", CORAL, "-o", "run", ...FAST], {
        cwd: folder,
      });
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toContain("expected 40 = ok 40 + failed 0 + lost 0");
      expect(stdout).toContain("simulated model");
      const records = await readRecords(join(folder, "run"));
      expect(records).toHaveLength(40);
      // Dialogues of one to many turns, agreement on right and wrong answers, and no agreement all occur.
      expect(new Set(records.map((record) => record.outcome?.["turns"])).size).toBeGreaterThan(3);
      expect(new Set(records.map((record) => record.stop_reason))).toEqual(
        new Set(["agreed", "max_turns"]),
      );
      expect(
        new Set(
          records.filter(({ stop_reason }) => stop_reason === "agreed").map(({ score }) => score),
        ),
      ).toEqual(new Set([0, 1]));
      for (const { outcome, score, simulated, usage } of records) {
        expect(outcome).toMatchObject({ answers: { student: expect.anything() } });
        expect(score).toBe(outcome?.["correct"] === true ? 1 : 0);
        expect(simulated).toBe(true);
        expect(usage.requests).toBe(outcome?.["turns"] as number);
      }
    }));

  test("repeats with the same seed, and differs with another", () =>
    withFolder(async (folder) => {
      const drive = async (name: string, seed: number) => {
        await matrix(["drive", CORAL, "-o", name, "--seed", String(seed), ...FAST], {
          cwd: folder,
        });
        return comparable(await readRecords(join(folder, name)));
      };
      const [first, second, other] = [
        await drive("a", 7),
        await drive("b", 7),
        await drive("c", 8),
      ];
      expect(second).toEqual(first);
      expect(JSON.stringify(other)).not.toBe(JSON.stringify(first));
    }));

  test("takes other questions: Unicode, long rows, an id field, a filter, a glob of compressed files", () =>
    withFolder(async (folder) => {
      const rows = Array.from({ length: 300 }, (_, i) => ({
        key: `вопрос-${i}😀`,
        question: i === 7 ? "x".repeat(200_000) : `Сколько будет ${i}+${i}?\u2028"`,
        options: ["A)1", "B)2"],
        correct: "B",
        use: i % 3 !== 0,
      }));
      const text = (from: number, to: number) =>
        rows
          .slice(from, to)
          .map((row) => `${JSON.stringify(row)}\n`)
          .join("");
      await writeFile(join(folder, "q1.jsonl.gz"), Bun.gzipSync(text(0, 150)));
      await writeFile(join(folder, "q2.jsonl.zst"), Bun.zstdCompressSync(text(150, 300)));
      const args = [
        "drive",
        CORAL,
        "-o",
        "run",
        "dataset.path=q*.jsonl.*",
        "dataset.id=key",
        "dataset.filter=row.use",
        "--limit",
        "190",
        ...FAST,
      ];
      const { code, stdout } = await matrix(args, { cwd: folder });
      expect(stdout).toContain("expected 190 = ok 190");
      expect(code).toBe(0);
      const records = await readRecords(join(folder, "run"));
      const expected = rows
        .filter(({ use }) => use)
        .slice(0, 190)
        .map(({ key }) => key);
      expect(records.map(({ id }) => id).sort()).toEqual(expected.sort());
      expect(records.find(({ id }) => id === "вопрос-7😀")?.row["question"]).toHaveLength(200_000);
    }));

  test("ends with every row accounted for when 30 % of the model calls fail in mixed ways, and scores nothing unanswered", () =>
    withFolder(async (folder) => {
      const errors = {
        rate_limited: 0.1,
        server_error: 0.08,
        timeout: 0.04,
        malformed: 0.04,
        lost: 0.04,
      };
      const settings = Object.entries(errors).map(
        ([kind, rate]) => `models.speaker.errors.${kind}=${rate}`,
      );
      const args = [
        "drive",
        CORAL,
        "-o",
        "run",
        "--trials",
        "5",
        "models.speaker.retries=0",
        "models.speaker.deadline=0s",
        "models.speaker.timeout=50ms",
        ...settings,
        ...FAST,
      ];
      const { code, stdout } = await matrix(args, { cwd: folder });
      expect(code).toBe(1);
      const records = await readRecords(join(folder, "run"));
      expect(records).toHaveLength(200);
      const failed = records.filter(({ status }) => status === "failed");
      const codes = new Set(failed.map(({ error }) => error?.code));
      expect(codes).toEqual(
        new Set([
          "model_overloaded",
          "model_failed",
          "model_timeout",
          "model_bad_answer",
          "model_lost",
        ]),
      );
      expect(
        failed.every(
          ({ score, stop_reason, error }) =>
            score === null && stop_reason === "error" && error?.role !== null,
        ),
      ).toBe(true);
      expect(stdout).toContain("model_overloaded in student");
      expect((await matrix(["verify", "run"], { cwd: folder })).code).toBe(0);
    }));

  test("with retries, the same failures cost time and no rows", () =>
    withFolder(async (folder) => {
      const args = [
        "drive",
        CORAL,
        "-o",
        "run",
        "models.speaker.errors.server_error=0.3",
        "models.speaker.retries=12",
        ...FAST,
      ];
      const { code } = await matrix(args, { cwd: folder });
      expect(code).toBe(0);
      const records = await readRecords(join(folder, "run"));
      const turns = records.reduce((sum, { outcome }) => sum + (outcome?.["turns"] as number), 0);
      expect(records.reduce((sum, { usage }) => sum + usage.requests, 0)).toBeGreaterThan(turns);
    }));
});

describe("a killed run", () => {
  test(
    "goes on after SIGKILL at twelve random moments with nothing lost and nothing twice",
    () =>
      withFolder(async (folder) => {
        console.log(`seed ${SEED} (MATRIX_TEST_SEED=${SEED} repeats it)`);
        const random = createRandom(SEED);
        const run = join(folder, "run");
        const output = join(run, "trajectories.jsonl");
        const args = ["drive", DUMMY, "-o", run, "--trials", "900", "-n", "500", "-q"];
        const perKill = 288e6 / 12;
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
          "coral-dummy: expected 36000 = ok 36000 + failed 0 + lost 0\nverified: every row and trial has exactly one record\n",
        );
      }),
    240_000,
  );

  test("makes in the end the very records of an undisturbed one", () =>
    withFolder(async (folder) => {
      const args = (name: string) => ["drive", CORAL, "-o", name, "--trials", "3", "-n", "7", "-q"];
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
      expect(comparable(await readRecords(join(folder, "killed")))).toEqual(
        comparable(await readRecords(join(folder, "whole"))),
      );
    }));
});

describe("user code that lets errors go", () => {
  test("neither ends the run nor changes other tasks, and is found in the log with its stack", () =>
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
      await matrix(["drive", "r.toml", "-o", "run"], { cwd: folder });
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
      expect(log).toMatch(/error user code let an error go: nobody awaits me .*a\.ts:3/);
    }));
});

describe("a signal", () => {
  test("once stops admitting, lets what is in flight finish, exits 3 and says how to go on", () =>
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

  test("twice stops at once, with what is in flight left for the next start", () =>
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
});

describe("a run directory", () => {
  test("is refused to a second driver while the first lives", () =>
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
      expectRefused(
        await matrix(args, { cwd: folder }),
        `another driver runs in ${join(folder, "run")}: process ${child.pid}`,
      );
      child.kill("SIGKILL");
      await finished;
      const third = await matrix(["drive", CORAL, "-o", "run", 'models.speaker.latency="1ms"'], {
        cwd: folder,
      });
      // The dead one's lock is nothing; that the recipe changed is.
      expect(third.stderr).toContain("holds another run");
    }));

  test("of another recipe, prompt or dataset is refused with the difference, and --fresh keeps the old one aside", () =>
    withFolder(async (folder) => {
      await writeFile(join(folder, "p.md"), "Q: {{ row.q }}");
      await writeFile(join(folder, "d.jsonl"), '{"q":"a"}\n{"q":"b"}\n');
      await writeFile(
        join(folder, "r.toml"),
        'name = "r"\ndataset.path = "d.jsonl"\nmodels.m.kind = "simulated"\nroles.a = { agent = "llm", model = "m", prompt = "p.md" }\norchestrator = { pattern = "sequence", roles = ["a"] }\n',
      );
      const drive = (...more: string[]) => matrix(["drive", "r.toml", ...more], { cwd: folder });
      expect((await drive()).code).toBe(0);
      expectRefused(
        await drive("models.m.output_tokens=9", "run.seed=3"),
        "models.m.output_tokens was unset and is 9 now",
        "run.seed was unset and is 3 now",
      );
      expect((await drive("-n", "3", "run.grace=1s")).code).toBe(0);

      await writeFile(join(folder, "p.md"), "Question: {{ row.q }}");
      expect((await drive()).stderr).toContain("p.md has changed");
      await writeFile(join(folder, "p.md"), "Q: {{ row.q }}");
      await writeFile(join(folder, "d.jsonl"), '{"q":"a"}\n{"q":"B"}\n');
      expect((await drive()).stderr).toContain("the dataset has changed in its first 2 rows");
      await writeFile(join(folder, "d.jsonl"), '{"q":"a"}\n{"q":"b"}\n{"q":"c"}\n');
      expect((await drive()).stdout).toContain("1 records, 2 from before");

      expect((await drive("--fresh", "run.seed=3")).code).toBe(0);
      expect(await readRecords(join(folder, "runs/r.1"))).toHaveLength(3);
      expect(await readRecords(join(folder, "runs/r"))).toHaveLength(3);
    }));

  test("grows with more trials and a larger limit, and never shrinks", () =>
    withFolder(async (folder) => {
      const drive = (limit: number, trials: number) =>
        matrix(
          [
            "drive",
            CORAL,
            "-o",
            "run",
            "--limit",
            String(limit),
            "--trials",
            String(trials),
            ...FAST,
          ],
          { cwd: folder },
        );
      expect((await drive(5, 1)).stdout).toContain("expected 5 = ok 5");
      expect((await drive(5, 2)).stdout).toContain("expected 10 = ok 10");
      expect((await drive(8, 2)).stdout).toContain("expected 16 = ok 16");
      expectRefused(await drive(7, 2), "dataset.limit was 8 and is 7 now (it can only grow)");
      expect((await matrix(["verify", "run"], { cwd: folder })).code).toBe(0);
    }));

  test("that cannot be written, or is somebody else's, is refused and left alone", () =>
    withFolder(async (folder) => {
      await writeFile(join(folder, "file"), "");
      expectRefused(await matrix(["drive", CORAL, "-o", "file"], { cwd: folder }), "it is a file");
      await mkdir(join(folder, "mine"));
      await writeFile(join(folder, "mine/recipe.toml"), "precious");
      expectRefused(
        await matrix(["drive", CORAL, "-o", "mine", "--fresh"], { cwd: folder }),
        "is no run directory",
      );
      expect(await readFile(join(folder, "mine/recipe.toml"), "utf8")).toBe("precious");
      if (process.getuid?.() === 0) return; // Root may write anywhere.
      await mkdir(join(folder, "closed"));
      await chmod(join(folder, "closed"), 0o500);
      expectRefused(
        await matrix(["drive", CORAL, "-o", "closed/run"], { cwd: folder }),
        "cannot make the run directory",
      );
    }));

  test("on a full disk ends the run resumable, with whole records alone, and goes on when there is room", () =>
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

  test("that is deleted under the run is noticed", () =>
    withFolder(async (folder) => {
      const run = join(folder, "run");
      const { finished } = spawnMatrix(["drive", CORAL, "-o", run, "--trials", "3000", "-n", "5"]);
      await until(() => sizeOf(join(run, "trajectories.jsonl")) > 0, "records are written");
      await rename(run, join(folder, "moved"));
      await Bun.$`rm -r ${join(folder, "moved")}`;
      const { code, stderr } = await finished;
      expect(code).toBe(3);
      expect(stderr).toContain("trajectories.jsonl: the file was deleted");
    }));
});

describe("a dataset", () => {
  test("that vanishes under the run ends it resumable, and what was in flight is finished", () =>
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
    "of 100,000 rows is streamed",
    () =>
      withFolder(async (folder) => {
        const rows = Array.from(
          { length: 100_000 },
          (_, i) => `${JSON.stringify({ question: `${i}?`, correct: "A" })}\n`,
        );
        await writeFile(join(folder, "d.jsonl"), rows.join(""));
        const { code, stdout } = await matrix(
          ["drive", DUMMY, "-o", "run", "dataset.path=d.jsonl", "-q"],
          { cwd: folder },
        );
        expect(stdout).toContain("expected 100,000 = ok 100,000");
        expect(code).toBe(0);
        expect((await stat(join(folder, "run/trajectories.jsonl"))).size).toBeGreaterThan(
          100_000 * 6000,
        );
      }),
    120_000,
  );
});
