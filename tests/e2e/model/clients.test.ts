// `matrix model serve` for clients of others, and our client at a server of others.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import OpenAI from "openai";
import { matrix, spawnMatrix } from "../../parts/binary.ts";
import { withFolder } from "../../parts/folder.ts";
import { readRecords } from "../../parts/records.ts";
import { CORAL, ROOT } from "../../parts/repository.ts";

async function withServer<T>(
  args: readonly string[],
  use: (url: string) => Promise<T>,
): Promise<T> {
  const child = Bun.spawn(
    [join(ROOT, "dist/matrix"), "model", "serve", "--listen", "127.0.0.1:0", ...args],
    {
      stdout: "pipe",
      stderr: "ignore",
    },
  );
  try {
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    return await use(new TextDecoder().decode(value).trim());
  } finally {
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
  }
}

test("model serve serves the JavaScript client of OpenAI, whole and streamed", () =>
  withServer(["latency=5ms"], async (baseURL) => {
    const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
    const messages = [{ role: "user" as const, content: "Say something." }];
    const whole = await client.chat.completions.create({ model: "m", messages, seed: 4 });
    let said = "";
    let usage: OpenAI.CompletionUsage | null | undefined;
    for await (const chunk of await client.chat.completions.create({
      model: "m",
      messages,
      seed: 4,
      stream: true,
      stream_options: { include_usage: true },
    })) {
      said += chunk.choices[0]?.delta.content ?? "";
      usage = chunk.usage ?? usage;
    }
    expect(said).toBe(whole.choices[0]?.message.content as string);
    expect(usage).toEqual(whole.usage);
    expect(whole.system_fingerprint).toBe("simulated");
    expect((await client.models.list()).data[0]?.owned_by).toBe("simulated");
    expect((await client.models.retrieve("simulated")).owned_by).toBe("simulated");
    const tool = { type: "function" as const, function: { name: "look", parameters: {} } };
    const called = await client.chat.completions.create({
      ...{ model: "m", messages, tools: [tool], tool_choice: "required", n: 2 },
      ...{ logprobs: true, top_logprobs: 1 },
    });
    expect(called.choices.map(({ message }) => message.tool_calls?.length)).toEqual([1, 1]);
    const { data } = await client.embeddings.create({ model: "m", input: "hi", dimensions: 8 });
    expect(data[0]?.embedding).toHaveLength(8);
    const text = await client.completions.create({ model: "m", prompt: "hi" });
    expect(text.choices[0]?.text).not.toBe("");
    const bad = await client.chat.completions
      .create({ model: "m", messages, n: 0 })
      .catch((error: unknown) => error);
    expect(bad).toMatchObject({ status: 400, param: "n" });
  }));

test(
  "model serve serves the Python client of OpenAI",
  () =>
    withFolder(async (folder) => {
      const python = join(folder, "venv/bin/python");
      const made =
        Bun.which("python3") !== null &&
        Bun.spawnSync(["python3", "-m", "venv", join(folder, "venv")]).exitCode === 0 &&
        Bun.spawnSync([python, "-m", "pip", "-q", "install", "openai"]).exitCode === 0;
      if (!made || !existsSync(python)) {
        console.log("skipped: Python 3 with venv and pip, which this needs, is not there");
        return;
      }
      const script = `
import sys, openai
client = openai.OpenAI(base_url=sys.argv[1], api_key="none", max_retries=0)
ask = dict(model="m", seed=3, messages=[{"role": "user", "content": "hi"}])
whole = client.chat.completions.create(**ask)
parts = client.chat.completions.create(**ask, stream=True)
text = "".join(part.choices[0].delta.content or "" for part in parts)
assert text == whole.choices[0].message.content and whole.usage.completion_tokens > 0
try:
    client.chat.completions.create(model="m", messages=[])
except openai.BadRequestError as error:
    print("refused:", error.body["message"])
`;
      await writeFile(join(folder, "ask.py"), script);
      await withServer([], async (url) => {
        const { stdout, stderr } = Bun.spawnSync([python, join(folder, "ask.py"), url]);
        expect(`${stdout}${stderr}`).toContain(
          "refused: messages must be a list with at least one message",
        );
      });
    }),
  300_000,
);

test("a run against the served model of a recipe makes the records that it makes in process", () =>
  withFolder(async (folder) => {
    await withServer(
      ["--recipe", CORAL, "--model", "speaker", "latency=1ms", "tokens_per_second=1000000"],
      async (url) => {
        const remote = [
          "models.speaker.kind=openai",
          `models.speaker.base_url=${url}`,
          "models.speaker.model=speaker",
        ];
        expect(
          (await matrix(["drive", CORAL, "-o", "remote", ...remote], { cwd: folder })).code,
        ).toBe(0);
      },
    );
    expect((await matrix(["drive", CORAL, "-o", "local"], { cwd: folder })).code).toBe(0);
    const outcomes = async (name: string) =>
      new Map((await readRecords(join(folder, name))).map(({ id, outcome }) => [id, outcome]));
    expect(await outcomes("remote")).toEqual(await outcomes("local"));
  }));

test("model serve refuses unknown settings", async () => {
  const { code, stderr } = await matrix(["model", "serve", "latncy=1s"]);
  expect(stderr).toContain('did you mean "latency"?');
  expect(code).toBe(2);
});

const url = process.env["MATRIX_TEST_LLAMA_URL"];

test(
  "llama.cpp answers a run of Coral, and every row is accounted for",
  () =>
    withFolder(async (folder) => {
      if (url === undefined) {
        console.log("skipped: no llama.cpp server (MATRIX_TEST_LLAMA_URL)");
        return;
      }
      const model = [
        "models.speaker.kind=openai",
        `models.speaker.base_url=${url}`,
        "models.speaker.model=tiny-random",
      ];
      const small = [
        'roles.student={ sampling = { max_tokens = 16 }, accepts = ["cut"] }',
        'roles.teacher={ sampling = { max_tokens = 16 }, accepts = ["cut"] }',
        "orchestrator.max_turns=2",
        "--limit",
        "6",
      ];
      const { code, stdout, stderr } = await matrix(
        ["drive", CORAL, "-o", "run", ...model, ...small],
        { cwd: folder },
      );
      // A random model may say nothing at all, which is a failed row, never a scored one.
      expect(stderr).not.toContain("error:");
      expect([0, 1]).toContain(code as number);
      expect(stdout).not.toContain("simulated");
      const records = await readRecords(join(folder, "run"));
      expect(records).toHaveLength(6);
      for (const { status, usage, simulated, error } of records) {
        expect(simulated).toBe(false);
        if (status === "ok") expect(usage.completion_tokens).toBeGreaterThan(0);
        else expect(error?.code).toBe("model_bad_answer");
      }
      expect((await matrix(["verify", "run"], { cwd: folder })).code).toBe(0);
    }),
  120_000,
);

test("a run whose endpoint never answers ends in typed failures, and the summary names them", () =>
  withFolder(async (folder) => {
    const model = [
      "models.speaker.kind=openai",
      "models.speaker.base_url=http://127.0.0.1:9/v1",
      "models.speaker.model=x",
      "models.speaker.deadline=1s",
    ];
    const { finished } = spawnMatrix(["drive", CORAL, "-o", "run", "--limit", "5", ...model], {
      cwd: folder,
    });
    const { code, stdout } = await finished;
    expect(stdout).toContain("errors: model_unavailable in student 5");
    expect(stdout).toContain("expected 5 = ok 0 + failed 5 + lost 0");
    expect(code).toBe(1);
  }));
