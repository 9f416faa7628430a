// `matrix drive --replay`: recorded answers go through the rules of a recipe again.

import { expect, test } from "bun:test";
import { appendFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { matrix, spawnMatrix } from "../../parts/binary.ts";
import { withFolder } from "../../parts/folder.ts";
import { comparable, comparableAfterKill, readRecords } from "../../parts/records.ts";
import { CORAL } from "../../parts/repository.ts";
import { until } from "../../parts/until.ts";
import { Endpoint, SPEAKER } from "./endpoint.ts";

const ROWS = 30;
const RECIPE = `name = "talk"
dataset.path = "rows.jsonl"
[run]
trials = 2
fail_above = 1
${SPEAKER}[roles.left]
agent = "llm"
model = "speaker"
prompt = { text = "{{ row.n }}" }
conversation = ["left", "right"]
[roles.right]
agent = "llm"
model = "speaker"
prompt = "right.md"
conversation = ["left", "right"]
[roles.judge]
agent = "judge.ts"
[orchestrator]
pattern = "dialogue"
speakers = ["left", "right"]
between = ["judge"]
until = "results.judge.score > 0.5"
max_turns = 4
`;
/** The score is in what the model said, so that an answer in the wrong place shows. */
const JUDGE = `import { agent } from "matrix";
export default agent(({ history, row }) => {
  const said = history.filter(({ model }) => model !== undefined).map(({ result }) => Number(/said-(\\d+)/.exec(result.content)[1]));
  if (row.n === "row 7") throw new Error("no judgement");
  return { said, score: (said.at(-1) * 7919) % 100 / 100 };
});
`;
const PATTERNS = {
  dialogue: [],
  "best-of-n": [
    'orchestrator={ pattern = "best-of-n", roles = ["left", "right", "judge"], n = 3 }',
  ],
  "branches at once": [
    'orchestrator={ pattern = "best-of-n", roles = ["left", "right", "judge"], n = 3, parallel = true }',
  ],
  "fan-out": [
    'orchestrator={ pattern = "fan-out", roles = ["left", "right"], after = ["judge", "left"] }',
  ],
} as const;

async function withRun(
  use: (
    folder: string,
    drive: (...args: string[]) => ReturnType<typeof matrix>,
    endpoint: Endpoint,
  ) => Promise<void>,
): Promise<void> {
  const endpoint = new Endpoint();
  try {
    await withFolder(async (folder) => {
      await writeFile(join(folder, "recipe.toml"), RECIPE);
      await writeFile(join(folder, "right.md"), "right of {{ row.n }}");
      await writeFile(join(folder, "judge.ts"), JUDGE);
      await writeFile(
        join(folder, "rows.jsonl"),
        Array.from({ length: ROWS }, (_, n) => `{"n":"row ${n}"}\n`).join(""),
      );
      await use(
        folder,
        (...args) =>
          matrix(["drive", "recipe.toml", "-q", ...args], {
            cwd: folder,
            env: { ENDPOINT: endpoint.url },
          }),
        endpoint,
      );
    });
  } finally {
    await endpoint.stop();
  }
}

for (const [name, pattern] of Object.entries(PATTERNS)) {
  test(`a replay by the same rules makes the same records and asks no model: ${name}`, () =>
    withRun(async (folder, drive, endpoint) => {
      await drive("-o", "run", ...pattern);
      const calls = endpoint.calls;
      await endpoint.stop();
      const { stdout, stderr } = await drive("--replay", "run", "-o", "again", ...pattern);
      expect(stderr).toBe("");
      expect(stdout).toContain("(replayed), 60 records");
      const [before, after] = [
        await readRecords(join(folder, "run")),
        await readRecords(join(folder, "again")),
      ];
      expect(comparable(after)).toEqual(comparable(before));
      expect(before.filter(({ status }) => status === "failed")).toHaveLength(2);
      expect(endpoint.calls).toBe(calls);
      const { code, stdout: verified } = await matrix(["verify", "again"], { cwd: folder });
      expect(verified).toContain("every row and trial has exactly one record");
      expect(code).toBe(0);
    }));
}

test("a replay gives each branch its own answers, and none to branches that were dropped", () =>
  withRun(async (folder, drive) => {
    const pattern = [
      'orchestrator={ pattern = "best-of-n", roles = ["left", "right", "judge"], n = 4, parallel = true, accept = "score > 0.4" }',
    ];
    await drive("-o", "run", ...pattern);
    await drive("--replay", "run", "-o", "again", ...pattern);
    const before = new Map(
      (await readRecords(join(folder, "run"))).map((record) => [
        `${record.id}/${record.trial}`,
        record,
      ]),
    );
    expect(
      [...before.values()].some(({ outcome }) =>
        (outcome?.["candidates"] as unknown[])?.includes(null),
      ),
    ).toBe(true);
    for (const record of await readRecords(join(folder, "again"))) {
      const was = before.get(`${record.id}/${record.trial}`);
      expect({ status: record.status, stop: record.stop_reason }).toEqual({
        status: was?.status as "ok",
        stop: was?.stop_reason as "completed",
      });
      const said = (one: typeof record, branch: number) =>
        one.history.filter((hop) => hop.branch === branch).map(({ result }) => result);
      for (let branch = 0; branch < 4; branch++) {
        const again = said(record, branch);
        if (again.length > 0) expect(again).toEqual(said(was as typeof record, branch));
      }
    }
  }));

test("a replay with a new judge scores recorded answers, and fails tasks that need unrecorded ones", () =>
  withRun(async (folder, drive) => {
    await drive("-o", "run", "run.compress=true");
    const was = await drive("-o", "plain", "--replay", "run");
    expect(was.code).toBe(0);
    const before = new Map(
      (await readRecords(join(folder, "plain"))).map((record) => [
        `${record.id}/${record.trial}`,
        record,
      ]),
    );
    await writeFile(join(folder, "judge.ts"), JUDGE.replace("% 100 / 100", "% 10 / 10"));
    const { stdout } = await drive("-o", "other", "--replay", "run");
    const records = await readRecords(join(folder, "other"));
    const failed = records.filter(({ status }) => status === "failed");
    expect(records).toHaveLength(2 * ROWS);
    // Some dialogues would now be longer than they were.
    expect(new Set(failed.map(({ error }) => error?.code))).toEqual(
      new Set(["agent_failed", "not_recorded"]),
    );
    expect(stdout).toContain("not_recorded in ");
    for (const record of failed) expect(record.score).toBeNull();
    const judged = records.filter(({ status }) => status === "ok");
    expect(judged.length).toBeGreaterThan(10);
    for (const { id, trial, history, score, usage, cost } of judged) {
      const [last, asked] = [
        history.at(-1)?.result as { said: number[]; score: number },
        history.filter(({ model }) => model === "real"),
      ];
      expect(score).toBe((((last.said.at(-1) ?? 0) * 7919) % 10) / 10);
      expect(score).toBe(last.score);
      const earlier =
        before.get(`${id}/${trial}`)?.history.filter(({ model }) => model === "real") ?? [];
      expect(asked.map(({ result }) => result)).toEqual(
        earlier.slice(0, asked.length).map(({ result }) => result),
      );
      expect(usage.requests).toBe(asked.length);
      expect(cost).toBeCloseTo(asked.length * 0.015);
    }
  }));

test("a killed replay goes on, and another source is refused in its directory", () =>
  withRun(async (folder, drive, endpoint) => {
    await drive("-o", "run");
    await writeFile(
      join(folder, "slow.ts"),
      'import { agent } from "matrix";\nimport judge from "./judge.ts";\nexport default agent(async (...step) => { await new Promise((go) => setTimeout(go, 20)); return judge(...step); });\n',
    );
    const slow = ["--replay", "run", "-o", "again", "-n", "2", "roles.judge.agent=slow.ts"];
    const { child, finished } = spawnMatrix(["drive", "recipe.toml", "-q", ...slow], {
      cwd: folder,
      env: { ENDPOINT: endpoint.url },
    });
    await until(
      async () =>
        (await readFile(join(folder, "again/trajectories.jsonl"), "utf8").catch(() => "")).includes(
          "\n",
        ),
      "a record is there",
    );
    child.kill("SIGKILL");
    await finished;
    const { stdout } = await drive(...slow);
    expect(stdout).toMatch(/records, \d+ from before/);
    const judged = async (run: string) =>
      comparableAfterKill(
        (await readRecords(join(folder, run))).filter(({ status }) => status === "ok"),
      );
    expect(await judged("again")).toEqual(await judged("run"));
    const unlike = await drive("-o", "again", "roles.judge.agent=slow.ts");
    expect({ code: unlike.code, stderr: unlike.stderr }).toEqual({
      code: 2,
      stderr: expect.stringContaining("asks models"),
    });
    const exported = await matrix(
      ["export", "again", "--to", "openai", "-o", "out.jsonl", "--as", "left=assistant,right=user"],
      {
        cwd: folder,
      },
    );
    expect(exported.code).toBe(0);
  }));

test("a replay ignores a torn last line of its source, and takes an unfinished run", () =>
  withRun(async (folder, drive) => {
    await drive("-o", "run");
    const path = join(folder, "run/trajectories.jsonl");
    const lines = (await readFile(path, "utf8")).split("\n");
    await writeFile(path, `${lines.slice(0, 9).join("\n")}\n`);
    await appendFile(path, lines[9]?.slice(0, 100) ?? "");
    const { stdout } = await drive("--replay", "run");
    expect(stdout).toContain("expected 9 = ");
    expect(await readRecords(join(folder, "runs/talk-replay"))).toHaveLength(9);
    expect((await matrix(["verify", "runs/talk-replay"], { cwd: folder })).code).toBe(0);
  }));

test("a replay scores no answer that was not whole when it was recorded", () =>
  withFolder(async (folder) => {
    const none =
      "models.speaker.errors={ refused = 0.1, content_filtered = 0.1, context_length = 0.1 }";
    const settings = [
      "-q",
      "dataset.limit=30",
      none,
      "roles.student.sampling={ max_tokens = 34 }",
      "run.fail_above=1",
    ];
    const at = (name: string) => join(folder, name);
    await matrix(["drive", CORAL, "-o", at("run"), ...settings]);
    const before = await readRecords(at("run"));
    const reasons = new Set(before.map(({ stop_reason }) => stop_reason));
    for (const reason of ["refused", "content_filtered", "context_length", "cut"] as const)
      expect(reasons).toContain(reason);
    await matrix([
      "drive",
      CORAL,
      "-o",
      at("again"),
      "--replay",
      at("run"),
      ...settings.filter((set) => !set.startsWith("dataset")),
    ]);
    expect(comparable(await readRecords(at("again")))).toEqual(comparable(before));
  }));

test("a replay stays labelled as simulated, whatever model the recipe has now", () =>
  withFolder(async (folder) => {
    const fast = ['models.speaker.latency="1ms"', "models.speaker.tokens_per_second=1000000"];
    await matrix(["drive", CORAL, "-q", "-o", "run", ...fast], { cwd: folder });
    const real = [
      'models.speaker={ kind = "openai", base_url = "http://127.0.0.1:9/v1", model = "m" }',
    ];
    const { code, stdout } = await matrix(["drive", CORAL, "-q", "--replay", "run", ...real], {
      cwd: folder,
    });
    expect(code).toBe(0);
    expect(stdout).toContain("(simulated model, replayed), 40 records");
    const records = await readRecords(join(folder, "runs/coral-replay"));
    expect(records.every(({ simulated }) => simulated)).toBe(true);
  }));

test("a replay is refused with hosts, in its source, without a source, and with other prompts", () =>
  withRun(async (folder, drive) => {
    await drive("-o", "run");
    for (const [args, text] of [
      [["--replay", "run", "--workers", "2"], "runs in this process alone"],
      [["--replay", "run", "--listen", "127.0.0.1:0"], "runs in this process alone"],
      [["--replay", "run", "--dry-run"], "--plan counts what a replay would reuse and ask"],
      [["--replay", "run", "--trials", "3"], "leave out --trials"],
      [["--replay", "run", "--limit", "3"], "leave out --limit"],
      [["--replay", "run", "-o", "run", "--fresh"], "cannot be written there"],
      [["--replay", "nowhere"], "is not a run directory"],
      [
        ["--replay", "run", "roles.left.prompt.text=other"],
        "roles.left.prompt: it differs from the run whose answers are replayed",
      ],
    ] as const) {
      const { code, stderr } = await drive(...args);
      expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(text) });
    }
    const renamed = RECIPE.replaceAll("left", "near")
      .replaceAll("right", "far")
      .replace("far.md", "right.md");
    await writeFile(join(folder, "renamed.toml"), renamed);
    const options = { cwd: folder, env: { ENDPOINT: "http://127.0.0.1:9/v1" } };
    const other = await matrix(["drive", "renamed.toml", "-q", "--replay", "run"], options);
    expect({ code: other.code, stderr: other.stderr }).toEqual({
      code: 2,
      stderr: expect.stringContaining(
        "run has no answer of near, far: its llm roles are left, right",
      ),
    });
    await writeFile(join(folder, "right.md"), "another prompt");
    expect((await drive("--replay", "run")).stderr).toContain(
      "roles.right.prompt: it differs from the run whose answers are replayed",
    );
  }));

const GRADER = `${RECIPE}[roles.grader]
agent = "llm"
model = "speaker"
prompt = { text = "grade {{ id }} {{ trial }}: {{ history | length }}" }
`;
const FAN_OUT =
  'orchestrator={ pattern = "fan-out", roles = ["left", "right"], after = ["judge", "left", "grader"] }';

for (const hosts of [[], ["--workers", "2"]] as const)
  test(`a new judge is asked once for each record, whatever is killed in between: drive ${hosts.join(" ")}`, () =>
    withRun(async (folder, drive, endpoint) => {
      await writeFile(
        join(folder, "mild.ts"),
        "export default async () => { await new Promise((go) => setTimeout(go, 20)); return { score: 1 }; };\n",
      );
      const mild = "roles.judge.agent=mild.ts";
      await drive("-o", "run", mild, ...PATTERNS["fan-out"]);
      const before = new Set(endpoint.asked.map(({ body }) => body));
      await writeFile(join(folder, "judged.toml"), GRADER);
      const args = ["drive", "judged.toml", "-q", "--replay", "run", "-o", "judged", "-n", "8"];
      args.push(mild, FAN_OUT);
      const options = { cwd: folder, env: { ENDPOINT: endpoint.url } };
      const refused = await matrix(args, options);
      expect({ code: refused.code, stderr: refused.stderr }).toEqual({
        code: 2,
        stderr: expect.stringContaining("--ask grader asks the model of a new role"),
      });
      args.push("--ask", "grader", ...hosts);
      const recorded = async () =>
        (await readFile(join(folder, "judged/trajectories.jsonl"), "utf8").catch(() => "")).split(
          "\n",
        ).length - 1;
      for (const records of [5, 25]) {
        const { child, finished } = spawnMatrix(args, options);
        await until(async () => (await recorded()) >= records, `${records} records are there`);
        child.kill("SIGKILL");
        await finished;
      }
      const { stdout, code } = await matrix(args, options);
      expect(code).toBe(0);
      expect(stdout).toContain("expected 60 = ok 60 + failed 0 + lost 0");
      const asked = endpoint.asked.filter(({ body }) => !before.has(body));
      expect(asked).toHaveLength(2 * ROWS);
      expect(asked.every(({ body }) => body.includes("grade "))).toBe(true);
      expect(endpoint.paidTwice).toBe(0);
      // A driver that hosts the roles itself takes at most its requests in flight with it.
      const calls = asked.reduce((sum, { times }) => sum + times, 0);
      expect(calls).toBeLessThanOrEqual(2 * ROWS + (hosts.length === 0 ? 2 * 8 : 0));
      expect((await matrix(["verify", "judged"], { cwd: folder })).code).toBe(0);
    }));
