// `matrix report` of whole runs.

import { expect, test } from "bun:test";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";
import { readRecords } from "../parts/records.ts";
import { CORAL } from "../parts/repository.ts";

interface Line {
  readonly name: string;
  readonly count: number;
  readonly requests: number;
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly cost: number | null;
  readonly ms: { readonly p50: number; readonly p95: number; readonly p99: number };
}
interface Report {
  readonly roles: readonly Line[];
  readonly models: readonly Line[];
  readonly tasks: Line;
}

test("a run and its report tell of content that looks like a credential, and leave it as it is", () =>
  withFolder(async (folder) => {
    const key = `AKIA${"ABCD2345".repeat(2)}`;
    const files = {
      "rows.jsonl": `{"q":"${key}"}\n{"q":"clean"}\n`,
      "echo.ts": "export default ({ row }) => row.q;\n",
      "r.toml": `name = "leak"
dataset.path = "rows.jsonl"
roles.echo.agent = "echo.ts"
orchestrator = { pattern = "sequence", roles = ["echo"] }
`,
    };
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    const run = await matrix(["drive", "r.toml", "-q"], { cwd: folder });
    const told = "1 record holds what looks like a credential: aws-access-token 1";
    expect(run.stdout).toContain(
      `${told}; matrix report ${join(folder, "runs/leak")} looks at all`,
    );
    expect(await readFile(join(folder, "runs/leak/trajectories.jsonl"), "utf8")).toContain(key);
    const report = await matrix(["report", "runs/leak"], { cwd: folder });
    expect(report.stdout).toEndWith(`\n\n${told}\n`);
    const json = await matrix(["report", "runs/leak", "--json"], { cwd: folder });
    expect(JSON.parse(json.stdout).credentials).toEqual({
      looked: 2,
      records: 1,
      rules: { "aws-access-token": 1 },
    });
  }));

test("usage and cost of roles, models and tasks add up to those of the run", () =>
  withFolder(async (folder) => {
    const directory = join(folder, "run");
    const price = "models.speaker.price={ prompt = 1, completion = 3 }";
    const { stdout } = await matrix(["drive", CORAL, "-o", directory, "-q", "--json", price]);
    const { hops, usage, cost } = JSON.parse(stdout) as {
      hops: number;
      usage: Pick<Line, "requests" | "prompt_tokens" | "completion_tokens">;
      cost: number;
    };
    const report = JSON.parse((await matrix(["report", directory, "--json"])).stdout) as Report;

    expect(report.roles.map(({ name }) => name).sort()).toEqual([
      "extractor",
      "matcher",
      "student",
      "teacher",
    ]);
    expect(report.roles.reduce((sum, { count }) => sum + count, 0)).toBe(hops);
    expect(report.roles.reduce((sum, role) => sum + (role.cost ?? 0), 0)).toBeCloseTo(cost, 9);
    expect(report.roles.find(({ name }) => name === "matcher")?.cost).toBeNull();
    expect(report.models).toHaveLength(1);
    expect(report.models[0]).toMatchObject({ name: "simulated:speaker", ...usage });
    expect(report.tasks).toMatchObject({ count: 40, ...usage });

    // Quantiles are counted on a scale with steps of 1 %.
    const durations = (await readRecords(directory))
      .map(({ timing }) => timing.total_ms)
      .sort((a, b) => a - b);
    expect(report.tasks.ms.p50 / (durations[19] as number)).toBeCloseTo(1, 1.9);
    expect(report.tasks.ms.p99 / (durations[39] as number)).toBeCloseTo(1, 1.9);

    const text = (await matrix(["report", directory])).stdout;
    expect(text).toMatch(
      /^student +\d+ +\d+ +[\d,]+ +0 +[\d,]+ +0\.\d{4} +[\d.,]+ +[\d.,]+ +[\d.,]+$/m,
    );
  }));

test("a report counts a task as failed only when it failed, not when it has no score", () =>
  withFolder(async (folder) => {
    const broken = 'roles.matcher.agent="broken.ts"';
    await writeFile(
      join(folder, "broken.ts"),
      'import { agent } from "matrix";\nexport default agent(({ row }) => {\n  if (row.number === 3) throw new Error("no");\n  return { agreed: true };\n});\n',
    );
    await writeFile(
      join(folder, "rows.jsonl"),
      Array.from(
        { length: 8 },
        (_, number) => `${JSON.stringify({ number, question: "q", options: [] })}\n`,
      ).join(""),
    );
    const run = await matrix(
      [
        "drive",
        CORAL,
        "-o",
        "run",
        "-q",
        broken,
        'models.speaker={ kind = "simulated" }',
        "dataset.path=rows.jsonl",
        "run.fail_above=1",
      ],
      { cwd: folder },
    );
    expect(run.stderr).toBe("");
    const { stdout } = await matrix(["report", "run", "--json"], { cwd: folder });
    const { domains } = JSON.parse(stdout) as {
      domains: { tasks: number; scored: number; failed: number; mean: number | null }[];
    };
    expect(domains).toMatchObject([{ tasks: 8, scored: 0, failed: 1, mean: null }]);
  }));

test("the report of a damaged run says what is wrong with its records, and a whole one says nothing", () =>
  withFolder(async (folder) => {
    const directory = join(folder, "run");
    const path = join(directory, "trajectories.jsonl");
    await matrix(["drive", CORAL, "-o", directory, "-q", "--limit", "3"]);
    const report = async () => {
      const { stdout, stderr } = await matrix(["report", directory, "--json"]);
      return [JSON.parse(stdout).damage, stderr];
    };
    const whole = await readFile(path, "utf8");
    expect(await report()).toEqual([[], ""]);
    const torn = "the last record is cut off and is not in the report";
    const counts = "the manifest counts 3 ok, and the records are 2 ok";
    const says = `matrix verify ${directory} says more`;
    await writeFile(path, whole.slice(0, -10));
    expect(await report()).toEqual([
      [torn, counts],
      `warning: ${torn}; ${says}\nwarning: ${counts}; ${says}\n`,
    ]);
    await writeFile(path, whole.slice(whole.indexOf("\n") + 1));
    expect((await report())[0]).toEqual([counts]);
    await writeFile(path, whole + whole.slice(0, whole.indexOf("\n") + 1));
    expect((await report())[0]).toEqual(["the manifest counts 3 ok, and the records are 4 ok"]);
    const manifest = join(directory, "manifest.json");
    const running = (await readFile(manifest, "utf8")).replace('"complete"', '"running"');
    await writeFile(manifest, running);
    await writeFile(path, whole.slice(0, -10));
    expect((await report())[0]).toEqual([torn]);
  }));
