// Whole runs against model servers that misbehave: every row has one record, what could be answered
// was answered, and nothing else is scored.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { BINARY, spawnMatrix } from "../../parts/binary.ts";
import { withFolder } from "../../parts/folder.ts";
import { matrix } from "../../parts/program.ts";
import { readRecords } from "../../parts/records.ts";
import { CORAL } from "../../parts/repository.ts";
import { until } from "../../parts/until.ts";

class ModelServer implements AsyncDisposable {
  readonly url: string;
  readonly #settings: readonly string[];
  #child: Bun.Subprocess;

  private constructor(url: string, child: Bun.Subprocess, settings: readonly string[]) {
    this.url = url;
    this.#child = child;
    this.#settings = settings;
  }

  static async start(...settings: readonly string[]): Promise<ModelServer> {
    const { url, child } = await spawnServer("127.0.0.1:0", settings);
    return new ModelServer(url, child, settings);
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }

  /** Starts the server again at the same address. */
  async restart(): Promise<void> {
    this.#child = (await spawnServer(new URL(this.url).host, this.#settings)).child;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}

async function spawnServer(address: string, settings: readonly string[]) {
  const args = [
    "model",
    "serve",
    "--listen",
    address,
    "--recipe",
    CORAL,
    "--model",
    "speaker",
    ...settings,
  ];
  const child = Bun.spawn([BINARY, ...args], { stdout: "pipe", stderr: "ignore" });
  const { value } = await child.stdout.getReader().read();
  return { url: new TextDecoder().decode(value).trim(), child };
}

const at = (baseUrl: string, ...more: readonly string[]) => [
  "models.speaker.kind=openai",
  `models.speaker.base_url=${baseUrl}`,
  "models.speaker.model=speaker",
  ...more.map((setting) => `models.speaker.${setting}`),
];

const linesIn = async (run: string) => {
  const path = join(run, "trajectories.jsonl");
  return existsSync(path) ? (await readFile(path, "utf8")).split("\n").length - 1 : 0;
};

test(
  "a run whose replicas are killed and come back makes the records of an undisturbed one",
  () =>
    withFolder(async (folder) => {
      await using a = await ModelServer.start("latency=60ms");
      await using b = await ModelServer.start("latency=60ms");
      await writeFile(join(folder, "replicas.txt"), `${a.url}\n${b.url}\n`);
      const args = ["drive", CORAL, "-q", "--trials", "20", "-n", "40"];
      const { finished } = spawnMatrix(
        [...args, "-o", "disturbed", ...at(`{ file = "${join(folder, "replicas.txt")}" }`)],
        {
          cwd: folder,
        },
      );
      const records = (count: number) =>
        until(
          async () => (await linesIn(join(folder, "disturbed"))) >= count,
          `${count} rows are done`,
        );
      await records(60);
      await b.kill();
      await records(200);
      await b.restart();
      await records(300);
      // With both gone, the run waits.
      await Promise.all([a.kill(), b.kill()]);
      await a.restart();
      const { code, stdout } = await finished;
      expect(stdout).toContain("expected 800 = ok 800 + failed 0 + lost 0");
      expect(code).toBe(0);
      expect((await matrix(["verify", "disturbed"], { cwd: folder })).code).toBe(0);
      expect(
        (await matrix([...args, "-o", "calm", "models.speaker.latency=0ms"], { cwd: folder })).code,
      ).toBe(0);
      const outcomes = async (name: string) =>
        (await readRecords(join(folder, name)))
          .map(({ id, trial, outcome }) => JSON.stringify([id, trial, outcome]))
          .sort();
      expect(await outcomes("disturbed")).toEqual(await outcomes("calm"));
    }),
  60_000,
);

test(
  "a run loses no row to 429s, failures, nonsense, and lost or stalled streams",
  () =>
    withFolder(async (folder) => {
      const errors =
        "errors={ rate_limited = 0.2, server_error = 0.1, malformed = 0.05, lost = 0.1, stalled = 0.02 }";
      await using server = await ModelServer.start("latency=5ms", "retry_after=20ms", errors);
      const model = at(server.url, "first_token_timeout=300ms", "retries=20");
      const { code, stdout } = await matrix(["drive", CORAL, "-q", "-o", "run", ...model], {
        cwd: folder,
      });
      expect(stdout).toContain("expected 40 = ok 40 + failed 0 + lost 0");
      expect(code).toBe(0);
      const tries = (await readRecords(join(folder, "run"))).map(
        ({ usage, history }) => usage.requests / history.filter(({ model }) => model).length,
      );
      expect(Math.max(...tries)).toBeGreaterThan(1);
    }),
  60_000,
);

test("rows that were not answered have their stop reason and no score, in process and at an endpoint", () =>
  withFolder(async (folder) => {
    const errors = "errors={ context_length = 0.1, refused = 0.1, content_filtered = 0.1 }";
    await using server = await ModelServer.start("latency=0ms", errors);
    await matrix(["drive", CORAL, "-q", "-o", "remote", "--trials", "5", ...at(server.url)], {
      cwd: folder,
    });
    await matrix(
      [
        "drive",
        CORAL,
        "-q",
        "-o",
        "local",
        "--trials",
        "5",
        "models.speaker.latency=0ms",
        `models.speaker.${errors}`,
      ],
      {
        cwd: folder,
      },
    );
    for (const name of ["remote", "local"]) {
      const records = await readRecords(join(folder, name));
      const reasons = Map.groupBy(records, ({ stop_reason: reason }) => reason);
      for (const reason of ["context_length", "refused", "content_filtered"] as const) {
        const ended = reasons.get(reason) ?? [];
        expect(ended.length).toBeGreaterThan(5);
        for (const { status, score, error, outcome, history, usage } of ended) {
          expect({ status, score, error }).toEqual({ status: "ok", score: null, error: null });
          expect(outcome).toEqual({ role: history.at(-1)?.role as string });
          // Never tried again.
          expect(usage.requests).toBe(history.filter(({ model }) => model !== undefined).length);
        }
      }
      expect((await matrix(["verify", name], { cwd: folder })).code).toBe(0);
    }
    const cut = ["roles.student.sampling.max_tokens=3", "--limit", "3"];
    await matrix(["drive", CORAL, "-q", "-o", "cut", ...cut], { cwd: folder });
    expect(
      (await readRecords(join(folder, "cut"))).map(({ stop_reason: reason }) => reason),
    ).toEqual(["cut", "cut", "cut"]);
    await matrix(["drive", CORAL, "-q", "-o", "taken", ...cut, 'roles.student.accepts=["cut"]'], {
      cwd: folder,
    });
    const taken = await readRecords(join(folder, "taken"));
    expect(taken.map(({ stop_reason: reason }) => reason)).not.toContain("cut");
    expect(taken[0]?.history[0]).toMatchObject({
      role: "student",
      result: { finish_reason: "length" },
    });
    // From an endpoint, whole and streamed.
    for (const [how, setting] of Object.entries({
      whole: [],
      streamed: ["first_token_timeout=30s"],
    })) {
      await using plain = await ModelServer.start("latency=0ms");
      const accepting = [...cut, 'roles.student.accepts=["cut"]', "-o", how];
      await matrix(["drive", CORAL, "-q", ...accepting, ...at(plain.url, ...setting)], {
        cwd: folder,
      });
      const [first] = await readRecords(join(folder, how));
      expect(first?.history[0]).toMatchObject({
        role: "student",
        result: { finish_reason: "length" },
      });
    }
  }));

test("a served simulated model labels records, summary and manifest, also when the run goes on", () =>
  withFolder(async (folder) => {
    await using server = await ModelServer.start("latency=0ms");
    for (const [name, setting] of Object.entries({
      whole: [],
      streamed: ["first_token_timeout=30s"],
    })) {
      const args = ["drive", CORAL, "-q", "-o", name, ...at(server.url, ...setting)];
      const { stdout } = await matrix([...args, "--limit", "2"], { cwd: folder });
      expect(stdout).toContain("(simulated model)");
      expect((await matrix(args, { cwd: folder })).stdout).toContain("(simulated model)");
      const records = await readRecords(join(folder, name));
      expect(records.every(({ simulated }) => simulated)).toBe(true);
      expect(records[0]?.history[0]?.model).toBe("simulated:speaker");
      expect(
        JSON.parse(await readFile(join(folder, name, "manifest.json"), "utf8")).simulated,
      ).toBe(true);
    }
    const { stdout } = await matrix(
      ["drive", CORAL, "-q", "--replay", "whole", "-o", "again", ...at(server.url)],
      { cwd: folder },
    );
    expect(stdout).toContain("(simulated model, replayed)");
  }));

test("a port that is in use is refused to a second server and to the metrics of a run", () =>
  withFolder(async (folder) => {
    await using server = await ModelServer.start();
    const { host } = new URL(server.url);
    const second = await matrix(["model", "serve", "--listen", host], { cwd: folder });
    expect(second).toMatchObject({ code: 2, stdout: "" });
    expect(second.stderr).toContain(`cannot listen on ${host}`);
    const metrics = await matrix(["drive", CORAL, "-q", "--limit", "1", "--metrics", host], {
      cwd: folder,
    });
    expect(metrics.code).toBe(2);
    expect(metrics.stderr).toContain(`cannot listen on ${host}`);
    const listen = await matrix(
      ["drive", CORAL, "-q", "--limit", "1", "--fresh", "--listen", host],
      { cwd: folder },
    );
    expect(listen.code).toBe(2);
    expect(listen.stderr).toContain(host);
  }));

const url = process.env["MATRIX_TEST_LLAMA_URL"];
const tiny = {
  model: "tiny-random",
  messages: [{ role: "user", content: "hi" }],
  max_tokens: 4,
  seed: 1,
};

test(
  "llama.cpp gives the same record whole and streamed, log probabilities, and context_length",
  () =>
    withFolder(async (folder) => {
      if (url === undefined) {
        console.log("skipped: no llama.cpp server (MATRIX_TEST_LLAMA_URL)");
        return;
      }
      expect(
        (await fetch(`${url}/chat/completions`, { method: "POST", body: JSON.stringify(tiny) }))
          .status,
      ).toBe(200);
      await writeFile(join(folder, "rows.jsonl"), '{"q":"hi"}\n{"q":"you"}\n');
      const recipe = `name = "tiny"
dataset.path = "rows.jsonl"
models.tiny = { kind = "openai", base_url = "${url}", model = "tiny-random" }
[roles.a]
agent = "llm"
model = "tiny"
prompt = { text = "{{ row.q }}" }
sampling = { max_tokens = 99, temperature = 0, logprobs = true, top_logprobs = 1 }
schema = { enum = ["abcdef"] }
[orchestrator]
pattern = "sequence"
roles = ["a"]
`;
      await writeFile(join(folder, "recipe.toml"), recipe);
      expect(
        (await matrix(["drive", "recipe.toml", "-q", "-o", "whole"], { cwd: folder })).code,
      ).toBe(0);
      expect(
        (
          await matrix(
            ["drive", "recipe.toml", "-q", "-o", "streamed", "models.tiny.first_token_timeout=30s"],
            { cwd: folder },
          )
        ).code,
      ).toBe(0);
      const results = async (name: string) =>
        new Map(
          (await readRecords(join(folder, name))).map(({ id, usage, history }) => {
            // The server knows more of a prompt when it gets it again.
            const { cached_tokens: _, ...spent } = usage;
            return [id, { usage: spent, ...saidIn(history[0]?.result) }];
          }),
        );
      expect(await results("streamed")).toEqual(await results("whole"));
      expect((await results("whole")).get("0")).toMatchObject({
        content: '"abcdef"',
        parsed: "abcdef",
        hasLogprobs: true,
      });
      await writeFile(
        join(folder, "rows.jsonl"),
        `${JSON.stringify({ q: "word ".repeat(20_000) })}\n`,
      );
      await matrix(["drive", "recipe.toml", "-q", "-o", "long"], { cwd: folder });
      expect(await readRecords(join(folder, "long"))).toMatchObject([
        { status: "ok", stop_reason: "context_length", score: null },
      ]);
    }),
  60_000,
);

/** This server gives probabilities of tokens that its grammar needs only in whole answers. */
function saidIn(result: unknown) {
  const { content, parsed, logprobs } = result as {
    content: string;
    parsed: unknown;
    logprobs?: { content: readonly unknown[] };
  };
  return { content, parsed, hasLogprobs: (logprobs?.content.length ?? 0) >= content.length - 2 };
}
