// Replicas of a model that come and go, are overloaded, fail, cut their answers and stall: every request is answered all the
// same, or ends with its code. The replicas are real servers that misbehave.

import { describe, expect, test } from "bun:test";
import { rename, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import type { ChatRequest, Model } from "../../../src/model/contract.ts";
import type { OpenaiModelConfig } from "../../../src/recipe/model-schema.ts";
import { withFolder } from "../../parts/folder.ts";
import { until } from "../../parts/until.ts";
import { answer, completion, stream, TestEndpoint } from "../endpoint.ts";
import { openModel } from "../opened.ts";

const patient = new AbortController().signal;

interface Made {
  readonly model: Model;
  readonly said: string[];
}

async function modelAt(
  base_url: OpenaiModelConfig["base_url"],
  more: Partial<OpenaiModelConfig> = {},
): Promise<Made> {
  const said: string[] = [];
  const say = (level: string, what: string): void => void said.push(`${level}: ${what}`);
  const limits = {
    timeout: 20_000,
    connect_timeout: 1000,
    retries: 5,
    deadline: 30_000,
    concurrency: 1000,
  };
  const config = {
    kind: "openai",
    base_url,
    model: "x",
    headers: {},
    ...limits,
    ...more,
  } as OpenaiModelConfig;
  return {
    model: await openModel("m", config, { say }),
    said,
  };
}

const request = (row: number, turn = 0): ChatRequest => ({
  messages: [{ role: "user", content: `row ${row}, turn ${turn}` }],
  seed: row * 100 + turn,
  sampling: {},
  origin: { row: String(row), trial: 0, attempt: 1, role: "r", turn },
});

const range = (count: number) => Array.from({ length: count }, (_, i) => i);
const rowsAt = ({ asked }: TestEndpoint) =>
  new Set(asked.map(({ seed }) => Math.floor((seed as number) / 100)));
const codeOf = (error: unknown) => (error as { code: string }).code;

describe("requests of one task", () => {
  test("stay at one replica, and all replicas have tasks", async () => {
    await using a = await TestEndpoint.start();
    await using b = await TestEndpoint.start();
    await using c = await TestEndpoint.start();
    const { model } = await modelAt([a.url, b.url, c.url]);
    for (const turn of range(3))
      await Promise.all(range(60).map((row) => model.chat(request(row, turn), patient)));
    const rows = [a, b, c].map(rowsAt);
    for (const one of rows) expect(one.size).toBeGreaterThan(5);
    expect(rows.reduce((sum, one) => sum + one.size, 0)).toBe(60);
  });

  test("move when their replica goes from the file, and no others do", () =>
    withFolder(async (folder) => {
      await using a = await TestEndpoint.start();
      await using b = await TestEndpoint.start();
      await using c = await TestEndpoint.start();
      const file = join(folder, "replicas.txt");
      await writeFile(file, `# three\n${a.url}\n${b.url} # second\n\n${c.url}\n`);
      const { model } = await modelAt({ file });
      const askAll = () => Promise.all(range(60).map((row) => model.chat(request(row), patient)));
      await askAll();
      const [atA, atB] = [rowsAt(a), rowsAt(b)];
      await writeFile(join(folder, "next"), `${a.url}\n${b.url}\n`);
      await rename(join(folder, "next"), file);
      await until(async () => {
        await model.chat(request(1000), patient);
        return model.replicas?.replicas.length === 2;
      }, "the file is read again");
      for (const endpoint of [a, b, c]) endpoint.asked.length = 0;
      await askAll();
      expect(c.asked).toHaveLength(0);
      for (const row of atA) expect(rowsAt(a)).toContain(row);
      for (const row of atB) expect(rowsAt(b)).toContain(row);
    }));
});

describe("a replica", () => {
  test("that vanishes with requests loses none, and has its tasks again when it is back", async () => {
    await using a = await TestEndpoint.start();
    await using b = await TestEndpoint.start();
    const { model } = await modelAt([a.url, b.url]);
    // Held until it vanishes.
    a.behaviour = () => undefined;
    const answers = range(100).map((row) => model.chat(request(row), patient));
    await until(() => a.inFlight > 20 && b.asked.length > 20, "both have requests");
    await a.vanish();
    for (const { message } of await Promise.all(answers)) expect(message.content).toBe("yes");
    expect(rowsAt(b).size).toBe(100);
    a.behaviour = answer();
    await a.start();
    const before = a.asked.length;
    await until(async () => {
      await Promise.all(range(20).map((row) => model.chat(request(row), patient)));
      return a.asked.length > before;
    }, "it has requests again");
  });

  test("that is the only one is waited for while it is away, without a try that counts", async () => {
    await using a = await TestEndpoint.start();
    await a.vanish();
    const { model, said } = await modelAt(a.url, { retries: 0 });
    const answers = range(50).map((row) => model.chat(request(row), patient));
    await until(() => said.length > 0, "it is said to be down");
    expect(said).toEqual([
      expect.stringMatching(
        /^warning: http:\S+ is down, and is asked again from time to time: no connection to/,
      ),
    ]);
    await a.start();
    for (const { usage } of await Promise.all(answers))
      expect(usage.requests).toBeLessThanOrEqual(2);
    expect(a.asked).toHaveLength(50);
    expect(said[1]).toContain("answers again");
  });

  test("that never comes ends its requests at the deadline, with their code", async () => {
    await using a = await TestEndpoint.start();
    await a.vanish();
    const { model } = await modelAt(a.url, { deadline: 300 });
    const errors = await Promise.all(
      range(20).map((row) => model.chat(request(row), patient).catch((error: unknown) => error)),
    );
    expect(new Set(errors.map(codeOf))).toEqual(new Set(["model_unavailable"]));
  });

  test("that says when to come back is left alone until then, and the others are not", async () => {
    await using a = await TestEndpoint.start(answer("{}", 429, { "retry-after": "60" }));
    await using b = await TestEndpoint.start();
    const { model } = await modelAt([a.url, b.url]);
    await Promise.all(range(40).map((row) => model.chat(request(row), patient)));
    const refused = a.asked.length;
    await Promise.all(range(40).map((row) => model.chat(request(row), patient)));
    expect(a.asked).toHaveLength(refused);
    expect(b.asked).toHaveLength(80);
  });

  test("that is overloaded is given less, and every request is answered", async () => {
    const capacity = 20;
    await using a = await TestEndpoint.start();
    a.behaviour = async ({ body, host, response }) => {
      if (a.inFlight > capacity)
        return answer({ error: { message: "too many" } }, 429)({ body, host, response });
      await new Promise((resolve) => setTimeout(resolve, 5));
      return answer()({ body, host, response });
    };
    const { model } = await modelAt(a.url);
    const answers = await Promise.all(range(600).map((row) => model.chat(request(row), patient)));
    expect(answers).toHaveLength(600);
    expect(model.replicas?.replicas[0]?.window).toBeLessThan(capacity * 2);
  });

  test("that fails for a while gets nothing meanwhile, and fails no request", async () => {
    let failures = 8;
    await using a = await TestEndpoint.start((asked) =>
      failures-- > 0 ? answer("{}", 500)(asked) : answer()(asked),
    );
    const { model } = await modelAt(a.url);
    const answers = await Promise.all(range(30).map((row) => model.chat(request(row), patient)));
    expect(answers).toHaveLength(30);
  });

  test("that cuts its answers is asked again, as often as is allowed", async () => {
    let cuts = 2;
    await using a = await TestEndpoint.start((asked) =>
      cuts-- > 0 ? void asked.response.destroy() : answer()(asked),
    );
    const { model } = await modelAt(a.url, { retries: 2 });
    expect((await model.chat(request(0), patient)).usage.requests).toBe(3);
    cuts = 5;
    expect(codeOf(await model.chat(request(1), patient).catch((error: unknown) => error))).toBe(
      "model_lost",
    );
  });

  test("that stalls is cut at the silence, and another one asked", async () => {
    const first = { choices: [{ index: 0, delta: { role: "assistant", content: "y" } }] };
    const last = { choices: [{ index: 0, delta: { content: "es" }, finish_reason: "stop" }] };
    await using a = await TestEndpoint.start(stream([first], () => undefined));
    await using b = await TestEndpoint.start(stream([first, last]));
    const { model } = await modelAt([a.url, b.url], { first_token_timeout: 100 });
    const answers = await Promise.all(range(20).map((row) => model.chat(request(row), patient)));
    for (const { message } of answers) expect(message.content).toBe("yes");
    await until(
      () => a.abandoned === a.asked.length && a.asked.length > 0,
      "what stalled was let go",
    );
  });

  test("whose connections do not come about is unavailable, however long its answers may take", async () => {
    // It takes connections and never says a word of TLS.
    const server = createServer(() => undefined).listen(0, "127.0.0.1");
    await until(() => server.listening, "it listens");
    const { port } = server.address() as AddressInfo;
    const { model } = await modelAt(`https://127.0.0.1:${port}/v1`, {
      connect_timeout: 50,
      deadline: 0,
    });
    const error = await model.chat(request(0), patient).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: "model_unavailable",
      message: expect.stringContaining("no connection within 50 ms"),
    });
    server.close();
  });
});

describe("a request that is no longer wanted", () => {
  for (const first_token_timeout of [undefined, 10_000]) {
    test(`ends at the server as well, ${first_token_timeout === undefined ? "whole" : "streamed"}`, async () => {
      const chunk = { choices: [{ index: 0, delta: { role: "assistant", content: "y" } }] };
      await using a = await TestEndpoint.start(
        first_token_timeout === undefined ? () => undefined : stream([chunk], () => undefined),
      );
      const { model } = await modelAt(
        a.url,
        first_token_timeout === undefined ? {} : { first_token_timeout },
      );
      const controller = new AbortController();
      const reason = new Error("stop");
      const answers = range(10).map((row) =>
        model.chat(request(row), controller.signal).catch((error: unknown) => error),
      );
      await until(() => a.inFlight === 10, "all are under way");
      controller.abort(reason);
      for (const error of await Promise.all(answers)) expect(error).toBe(reason);
      await until(() => a.abandoned === 10, "the server sees it");
    });
  }
});

describe("replicas that are named elsewhere", () => {
  test("are waited for until the file is there, and what is wrong with it is said once", () =>
    withFolder(async (folder) => {
      await using a = await TestEndpoint.start();
      const file = join(folder, "replicas.txt");
      const { model, said } = await modelAt({ file });
      const answers = range(5).map((row) => model.chat(request(row), patient));
      await until(() => said.length > 0, "it is said");
      await writeFile(file, `localhost:8000\n${a.url}\n`);
      await Promise.all(answers);
      expect(said[0]).toEndWith("replicas.txt does not exist; requests wait for it");
      await until(async () => {
        await model.chat(request(9), patient);
        return said.length > 1;
      }, "the line is complained of");
      expect(said).toEqual([
        expect.anything(),
        expect.stringContaining("has a line that is no URL: localhost:8000"),
      ]);
    }));

  test("are said once when their file changes, goes and comes back", () =>
    withFolder(async (folder) => {
      await using a = await TestEndpoint.start();
      await using b = await TestEndpoint.start();
      const file = join(folder, "replicas.txt");
      const replace = async (text: string) => {
        await writeFile(join(folder, "next"), text);
        await rename(join(folder, "next"), file);
      };
      await replace(a.url);
      const { model, said } = await modelAt({ file });
      const untilSaid = (count: number) =>
        until(async () => {
          void model.chat(request(0), AbortSignal.timeout(20_000)).catch(() => undefined);
          return said.length >= count;
        }, `${count} lines are said`);
      await model.chat(request(0), patient);
      await replace(b.url);
      await untilSaid(1);
      await rm(file);
      await untilSaid(2);
      await replace(b.url);
      await untilSaid(3);
      expect(said).toEqual([
        `info: models.m: the replicas changed, 1 now; new: ${b.url}; gone: ${a.url}`,
        `warning: models.m: ${file} does not exist; requests wait for it`,
        `info: models.m: the replicas changed, 1 now; new: ${b.url}`,
      ]);
    }));

  test("are the addresses of a name, which stays the Host", async () => {
    await using a = await TestEndpoint.start();
    const { model } = await modelAt({ dns: `http://localhost:${a.port}/v1` });
    await Promise.all(range(20).map((row) => model.chat(request(row), patient)));
    expect(new Set(a.hosts)).toEqual(new Set([`localhost:${a.port}`]));
    expect(model.replicas?.replicas.map(({ replica }) => replica)).toContain(
      `http://127.0.0.1:${a.port}/v1`,
    );
  });
});

test("what an endpoint adds by choice is kept in the message", async () => {
  const logprobs = { content: [{ token: "yes", logprob: -0.1 }] };
  await using a = await TestEndpoint.start(
    answer(
      completion(
        { prompt_token_ids: [1, 2] },
        {
          logprobs,
          token_ids: [3],
          message: { role: "assistant", content: "yes", reasoning: "hm" },
        },
      ),
    ),
  );
  const { model } = await modelAt(a.url);
  const { message } = await model.chat(request(0), patient);
  expect(message).toEqual({
    role: "assistant",
    content: "yes",
    reasoning: "hm",
    logprobs,
    token_ids: [3],
    prompt_token_ids: [1, 2],
  });
});
