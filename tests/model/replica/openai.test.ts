// One try of a model with replicas: which replica is asked, what it is told of the try, and what
// the retry loop is told.

import { expect, test } from "bun:test";
import type { MatrixError } from "../../../src/error.ts";
import type { ChatRequest } from "../../../src/model/contract.ts";
import { openReplicas } from "../../../src/model/replica/openai.ts";
import type { Trying } from "../../../src/model/retry.ts";
import type { OpenaiModelConfig } from "../../../src/recipe/schema/model-schema.ts";
import { until } from "../../parts/until.ts";
import { openaiConfig } from "../endpoint/config.ts";
import { answer, completion, TestEndpoint } from "../endpoint.ts";

const request = (row: string | null, more: Partial<ChatRequest> = {}): ChatRequest => ({
  messages: [{ role: "user", content: "hi" }],
  seed: 1,
  sampling: {},
  origin: row === null ? null : { row, trial: 0, attempt: 1, role: "r", turn: 0 },
  ...more,
});
const trying = (more: Partial<Trying> = {}): Trying => ({
  tries: 0,
  deadline: performance.now() + 30_000,
  signal: new AbortController().signal,
  permit: async () => undefined,
  onRejected: () => undefined,
  ...more,
});

function openAt(base_url: OpenaiModelConfig["base_url"], more: Partial<OpenaiModelConfig> = {}) {
  return openReplicas("m", openaiConfig({ base_url, ...more }), {
    say: () => undefined,
    windows: null,
  });
}
const failure = (trying: Promise<unknown>) =>
  trying.then(
    () => expect.unreachable("it answered"),
    (thrown: unknown) => thrown as MatrixError,
  );

test("a permit is awaited when the request has its place, and before it is sent", async () => {
  await using endpoint = await TestEndpoint.start();
  const { attempt, replicas } = openAt(endpoint.url);
  const permit = async (): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve));
    expect(replicas.replicas[0]?.inFlight).toBe(1);
    expect(endpoint.asked).toHaveLength(0);
  };
  expect((await attempt(request("a"), trying({ permit }))).message.content).toBe("yes");
  expect(replicas.replicas[0]?.inFlight).toBe(0);
});

test("each unknown finish reason of a model is said once, and not more than 20 of them", async () => {
  const said: string[] = [];
  await using endpoint = await TestEndpoint.start();
  const say = (level: string, what: string) => void said.push(`${level}: ${what}`);
  const base_url = [endpoint.url, `${endpoint.url}/`];
  const { attempt } = openReplicas("m", openaiConfig({ base_url }), { say, windows: null });
  for (let number = 0; number < 44; number++) {
    const finish_reason = `odd ${Math.floor(number / 2)}`;
    endpoint.behaviour = answer(completion({}, { finish_reason }));
    await attempt(request(`${number}`), trying());
  }
  expect(said).toHaveLength(20);
  expect(said[0]).toStartWith(
    'warning: models.m: the endpoint ended an answer with the finish_reason "odd 0"',
  );
});

test("a permit that fails gives the place back, and the replica hears nothing of it", async () => {
  await using endpoint = await TestEndpoint.start();
  const { attempt, replicas } = openAt(endpoint.url);
  const permit = () => Promise.reject(new Error("no permit"));
  expect(await failure(attempt(request("a"), trying({ permit })))).toMatchObject({
    message: "no permit",
  });
  expect(replicas.replicas[0]).toMatchObject({ isUp: true, inFlight: 0 });
  expect(endpoint.asked).toHaveLength(0);
});

test("requests of one row and trial prefer one replica, and a retry another", async () => {
  await using a = await TestEndpoint.start();
  await using b = await TestEndpoint.start();
  const { attempt } = openAt([a.url, b.url]);
  const asksOf = async (given: ChatRequest, tries = 0) => {
    const before = a.asked.length;
    await attempt(given, trying({ tries }));
    return a.asked.length > before ? "a" : "b";
  };
  const rows = Array.from({ length: 20 }, (_, row) => `${row}`);
  const first = await Promise.all(rows.map((row) => asksOf(request(row)).then(() => null)));
  expect(first).toHaveLength(20);
  const chosen: string[] = [];
  for (const row of rows) chosen.push(await asksOf(request(row, { seed: 5 })));
  expect(new Set(chosen)).toEqual(new Set(["a", "b"]));
  for (const [index, row] of rows.entries()) {
    expect(await asksOf(request(row, { seed: 6 }))).toBe(chosen[index] as string);
    expect(await asksOf(request(row), 1)).not.toBe(chosen[index]);
    expect(await asksOf(request(row), 2)).toBe(chosen[index] as string);
  }
  const trials: string[] = [];
  for (let trial = 0; trial < 20; trial++)
    trials.push(
      await asksOf(request(null, { origin: { row: "0", trial, attempt: 1, role: "r", turn: 0 } })),
    );
  expect(new Set(trials).size).toBe(2);
});

test("requests that belong to no task are told apart by their seed", async () => {
  await using a = await TestEndpoint.start();
  await using b = await TestEndpoint.start();
  const { attempt } = openAt([a.url, b.url]);
  for (let seed = 0; seed < 20; seed++) await attempt(request(null, { seed }), trying());
  expect(a.asked.length).toBeGreaterThan(0);
  expect(b.asked.length).toBeGreaterThan(0);
});

test("a Retry-After of the only replica is waited for at the replica", async () => {
  await using endpoint = await TestEndpoint.start(answer("full", 429, { "retry-after": "60" }));
  const { attempt, replicas } = openAt(endpoint.url);
  const error = await failure(attempt(request("a"), trying()));
  expect(error).toMatchObject({ code: "model_overloaded", retryNow: true });
  expect(replicas.replicas[0]?.isUp).toBe(true);
  const deadline = performance.now() + 50;
  const waited = await failure(attempt(request("a"), trying({ tries: 1, deadline })));
  expect(waited).toMatchObject({
    code: "model_overloaded",
    message: `${endpoint.url} answered 429: full`,
  });
  expect(endpoint.asked).toHaveLength(1);
});

test("a failure at the only replica, which stays usable, lets the loop wait", async () => {
  await using endpoint = await TestEndpoint.start(answer("broken", 500));
  const { attempt } = openAt(endpoint.url);
  const error = await failure(attempt(request("a"), trying()));
  expect(error).toMatchObject({ code: "model_failed", retryNow: false });
});

test("a failure at one of two replicas is tried again at once, at the other", async () => {
  await using a = await TestEndpoint.start(answer("broken", 500));
  await using b = await TestEndpoint.start(answer("broken", 500));
  const { attempt } = openAt([a.url, b.url]);
  for (const tries of [0, 1]) {
    const error = await failure(attempt(request("a"), trying({ tries })));
    expect(error).toMatchObject({
      code: "model_failed",
      message: expect.stringContaining("answered 500: broken"),
      retryNow: true,
    });
  }
  expect([a.asked.length, b.asked.length]).toEqual([1, 1]);
});

test("eight failures in a row take the only replica down, and an answer brings it up", async () => {
  await using endpoint = await TestEndpoint.start(answer("broken", 500));
  const { attempt, replicas } = openAt(endpoint.url);
  for (let failures = 1; failures <= 8; failures++) {
    await failure(attempt(request("a"), trying()));
    expect(replicas.replicas[0]?.isUp).toBe(failures < 8);
  }
  endpoint.behaviour = answer();
  await attempt(request("a"), trying());
  expect(replicas.replicas[0]?.isUp).toBe(true);
});

test("a replica that answers with garbage is ejected when another does well", async () => {
  await using a = await TestEndpoint.start();
  await using b = await TestEndpoint.start();
  const { attempt, replicas } = openAt([a.url, b.url]);
  for (let row = 0; a.asked.length === 0 || b.asked.length === 0; row++)
    await attempt(request(`well ${row}`), trying());
  const before = a.asked.length;
  a.behaviour = answer("not json");
  const rows = Array.from({ length: 60 }, (_, row) => `${row}`);
  const ends: string[] = [];
  for (const row of rows)
    ends.push(
      await attempt(request(row), trying()).then(
        () => "answered",
        ({ code }: MatrixError) => code,
      ),
    );
  expect(ends.filter((end) => end !== "answered")).toEqual(Array(8).fill("model_bad_answer"));
  expect(a.asked.length - before).toBe(8);
  expect(replicas.replicas.map(({ isUp }) => isUp)).toEqual([false, true]);
});

test("a refusal by an ejected replica does not fail the task that tried it", async () => {
  await using a = await TestEndpoint.start();
  await using b = await TestEndpoint.start();
  const { attempt, replicas } = openAt([a.url, b.url]);
  for (let row = 0; a.asked.length === 0 || b.asked.length === 0; row++)
    await attempt(request(`well ${row}`), trying());
  const before = a.asked.length;
  a.behaviour = answer("not like this", 400);
  const endOf = (row: number) =>
    attempt(request(`${row}`), trying()).then(
      () => "answered",
      ({ code }: MatrixError) => code,
    );
  let row = 0;
  const ends: string[] = [];
  do ends.push(await endOf(row++));
  while (replicas.replicas[0]?.isUp === true);
  expect(ends.filter((end) => end !== "answered")).toEqual(Array(8).fill("model_refused_request"));
  await until(async () => {
    const end = await endOf(row++);
    const wasTried = a.asked.length > before + 8;
    if (wasTried) expect(end).toBe("model_failed");
    return wasTried;
  }, "it is tried again");
});

test("a replica that denies what another one answers fails no task", async () => {
  await using a = await TestEndpoint.start(answer("no such model", 404));
  await using b = await TestEndpoint.start();
  const { attempt } = openAt([a.url, b.url]);
  for (let row = 0; row < 40; row++) {
    const expected = b.asked.length === 0 ? "model_denied" : "model_failed";
    await attempt(request(`${row}`), trying()).catch(({ code, message }: MatrixError) => {
      expect(code).toBe(expected);
      expect(message).toContain("no such model");
    });
  }
  expect(a.asked.length).toBeGreaterThan(0);
});

test("a window is left with what the server kept of a burst", async () => {
  const { promise: allThere, resolve: goOn } = Promise.withResolvers<void>();
  await using endpoint = await TestEndpoint.start(async (asked) => {
    const { length } = endpoint.asked;
    if (length === 40) goOn();
    await allThere;
    if (length > 12) answer("full", 429)(asked);
  });
  const { attempt, replicas } = openAt(endpoint.url, { concurrency: 100 });
  const controller = new AbortController();
  const asking = Array.from({ length: 40 }, (_, row) =>
    failure(attempt(request(`${row}`), trying({ signal: controller.signal }))),
  );
  await until(() => replicas.replicas[0]?.inFlight === 12, "the others were turned away");
  expect(replicas.replicas[0]?.window).toBe(12);
  controller.abort(new Error("stop"));
  await Promise.all(asking);
});

test("a signal that aborts is not a failure of the replica, and gives its place back", async () => {
  await using endpoint = await TestEndpoint.start(() => undefined);
  const { attempt, replicas } = openAt(endpoint.url);
  const controller = new AbortController();
  const asking = Array.from({ length: 4 }, () =>
    failure(attempt(request("a"), trying({ signal: controller.signal }))),
  );
  await until(() => endpoint.inFlight === 4, "the requests are there");
  controller.abort(new Error("stop"));
  expect(await Promise.all(asking)).toEqual(Array(4).fill(new Error("stop")));
  expect(replicas.replicas[0]).toMatchObject({ isUp: true, inFlight: 0 });
});

test("rows whose answers are too large fail alone: their replica stays up for the other rows", async () => {
  await using large = await TestEndpoint.start(({ response }) => {
    response.on("error", () => undefined);
    response.end(Buffer.alloc(65 * 2 ** 20, " "));
  });
  await using small = await TestEndpoint.start();
  const { attempt, replicas } = openAt([large.url, small.url]);
  let tooLarge = 0;
  for (let row = 0; tooLarge < 9; row++) {
    const before = large.asked.length;
    const answered = await attempt(request(`${row}`), trying()).catch((error: unknown) => error);
    if (large.asked.length === before) continue;
    tooLarge++;
    expect(answered).toMatchObject({
      code: "model_answer_too_large",
      message: "the answer is larger than 64 MiB",
    });
  }
  expect(replicas.replicas.map(({ isUp }) => isUp)).toEqual([true, true]);
});
