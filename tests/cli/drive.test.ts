// `matrix drive` as its users meet it: records, refusals and growing runs. Kills and signals are in
// tests/e2e/cli/drive.test.ts.

import { expect, test } from "bun:test";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Finished } from "../parts/finished.ts";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";
import { comparable, readRecords } from "../parts/records.ts";
import { CORAL } from "../parts/repository.ts";

const FAST = ['models.speaker.latency="1ms"', "models.speaker.tokens_per_second=1000000"];

function expectRefused({ code, stderr }: Finished, ...texts: readonly string[]): void {
  for (const text of texts) expect(stderr).toContain(text);
  expect(code).toBe(2);
}

test("drive turns the questions that ship with Coral into 40 accounted dialogues", () =>
  withFolder(async (folder) => {
    const { code, stdout, stderr } = await matrix(["drive", CORAL, "-o", "run", ...FAST], {
      cwd: folder,
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain("expected 40 = ok 40 + failed 0 + lost 0");
    expect(stdout).toContain("simulated model");
    const records = await readRecords(join(folder, "run"));
    expect(records).toHaveLength(40);
    // Dialogues of one to many turns, agreement on right and wrong answers, and no agreement all
    // occur.
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

test("two runs with one seed make the same records, and another seed makes others", () =>
  withFolder(async (folder) => {
    const drive = async (name: string, seed: number) => {
      await matrix(["drive", CORAL, "-o", name, "--seed", String(seed), ...FAST], {
        cwd: folder,
      });
      return comparable(await readRecords(join(folder, name)));
    };
    const [first, second, other] = [await drive("a", 7), await drive("b", 7), await drive("c", 8)];
    expect(second).toEqual(first);
    expect(JSON.stringify(other)).not.toBe(JSON.stringify(first));
  }));

test("drive reads a glob of compressed files with Unicode ids, long rows, a filter and a limit", () =>
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

test("every row is recorded when 30 % of the model calls fail, and failed rows have no score", () =>
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

test("a model that fails 30 % of its calls loses no row when retries are allowed", () =>
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

test("a directory of another recipe, prompt or dataset is refused, and --fresh moves it aside", () =>
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

test("a run grows with more trials and a larger limit, and a smaller limit is refused", () =>
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

test("a directory that cannot be written or holds foreign files is refused and left as it is", () =>
  withFolder(async (folder) => {
    await writeFile(join(folder, "file"), "");
    expectRefused(await matrix(["drive", CORAL, "-o", "file"], { cwd: folder }), "it is a file");
    await mkdir(join(folder, "mine"));
    await writeFile(join(folder, "mine/recipe.toml"), "precious");
    expectRefused(
      await matrix(["drive", CORAL, "-o", "mine", "--fresh"], { cwd: folder }),
      "is not a run directory",
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

test("drive draws its panel on a terminal, and none with --quiet", () =>
  withFolder(async (folder) => {
    const { isTTY } = process.stderr;
    const shown = async (...flags: string[]) => {
      const args = ["drive", CORAL, "-o", "run", "--fresh", 'models.speaker.latency="100ms"'];
      return (await matrix([...args, ...flags], { cwd: folder })).stderr;
    };
    process.stderr.isTTY = true;
    try {
      expect(await shown()).toContain("coral · SIMULATED model");
      expect(await shown("-q")).toBe("");
    } finally {
      process.stderr.isTTY = isTTY;
    }
  }));

test("a step that calls process.exit fails alone, and its record names role, row and place", () =>
  withFolder(async (folder) => {
    const files = {
      "recipe.toml":
        'name = "exits"\ndataset.path = "rows.jsonl"\nroles.leaver = { agent = "leave.ts" }\n' +
        'orchestrator = { pattern = "sequence", roles = ["leaver"] }\n',
      "rows.jsonl": '{"n":1}\n{"n":2}\n{"n":3}\n',
      "leave.ts":
        "export default ({ row }) => {\n  if (row.n === 2) process.exit(0);\n  return row.n;\n};\n",
    };
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    const { code, stdout } = await matrix(["drive", "recipe.toml", "-o", "run"], { cwd: folder });
    expect(code).toBe(1);
    expect(stdout).toContain("expected 3 = ok 2 + failed 1 + lost 0");
    const failed = (await readRecords(join(folder, "run"))).find(({ error }) => error !== null);
    expect(failed).toMatchObject({
      id: "1",
      error: {
        code: "agent_failed",
        message: expect.stringContaining("user code called process.exit(0)"),
        role: "leaver",
        stack: expect.stringContaining("leave.ts:2"),
      },
    });
  }));
