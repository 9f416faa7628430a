// Replicas of a model that come and go, are full, fail, stall and are named again: which of them a
// request gets, who waits, and that every request is answered or ends with its code. The replicas
// are real servers that misbehave.

import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type ErrorCode, MatrixError } from "../../../src/error.ts";
import { SYSTEM_CLOCK } from "../../../src/model/clock.ts";
import type { ChatRequest, Model } from "../../../src/model/contract.ts";
import { Endpoint } from "../../../src/model/endpoint/endpoint.ts";
import type { Addresses, Found } from "../../../src/model/replica/addresses.ts";
import { type Place, type PlaceRequest, Replicas } from "../../../src/model/replica/replicas.ts";
import type { OpenaiModelConfig } from "../../../src/recipe/schema/model-schema.ts";
import { withFolder } from "../../parts/folder.ts";
import { until } from "../../parts/until.ts";
import { openaiConfig } from "../endpoint/config.ts";
import { answer, stream, TestEndpoint } from "../endpoint.ts";
import { openModel } from "../opened.ts";

const patient = new AbortController().signal;
const range = (count: number) => Array.from({ length: count }, (_, i) => i);
const at = (...urls: string[]) => urls.map((url) => ({ url, ip: null, label: url }));

const [A, B, C] = ["http://a/v1", "http://b/v1", "http://c/v1"];

/** Replicas that are never asked: only their places are taken and given. */
function createReplicas(
  urls: readonly string[],
  { concurrency = 10, addresses }: { concurrency?: number; addresses?: Addresses } = {},
) {
  const said: string[] = [];
  const config = openaiConfig({ base_url: [...urls], concurrency });
  const replicas = new Replicas(
    "m",
    config,
    {
      random: () => 0,
      clock: SYSTEM_CLOCK,
      findWindow: () => null,
      noteWindow: () => undefined,
      say: (level, what) => said.push(`${level}: ${what}`),
      connect: (address) => new Endpoint(config, address, () => undefined),
    },
    ...(addresses === undefined ? [] : [addresses]),
  );
  const take = (key: string, more: Partial<PlaceRequest> = {}) =>
    replicas.take({ key, rank: 0, deadline: performance.now() + 30_000, signal: patient, ...more });
  const fail = (place: Place, code: ErrorCode, retryAfterMs?: number) => {
    const options = retryAfterMs === undefined ? {} : { retryAfterMs };
    const error = new MatrixError(code, `${place.replica.label} ${code}`, options);
    replicas.failed(place, error, performance.now());
  };
  return { replicas, take, fail, said };
}

/** A key whose tasks prefer this replica. */
async function keyFor(url: string, ...urls: readonly string[]): Promise<string> {
  const { replicas, take } = createReplicas(urls);
  for (let number = 0; ; number++) {
    const place = await take(`${number}`);
    replicas.give(place);
    if (place.replica.label === url) return `${number}`;
  }
}

test("a task gets the same replica each time, and all replicas have tasks", async () => {
  const { replicas, take } = createReplicas([A, B, C]);
  const labels = new Map<string, string>();
  for (const round of range(3))
    for (const key of range(60)) {
      const place = await take(`${key}`);
      const { label } = place.replica;
      replicas.give(place);
      if (round === 0) labels.set(`${key}`, label);
      expect(label).toBe(labels.get(`${key}`) as string);
    }
  for (const url of [A, B, C])
    expect([...labels.values()].filter((label) => label === url).length).toBeGreaterThan(5);
});

test("the next rank is another replica, and the ranks go round", async () => {
  const { replicas, take } = createReplicas([A, B, C]);
  const labels: string[] = [];
  for (const rank of range(6)) {
    const place = await take("1", { rank });
    replicas.give(place);
    labels.push(place.replica.label);
  }
  expect(new Set(labels.slice(0, 3))).toEqual(new Set([A, B, C]));
  expect(labels.slice(3)).toEqual(labels.slice(0, 3));
});

test("a task moves to its next replica when its own is full or gone", async () => {
  const { take } = createReplicas([A, B], { concurrency: 1 });
  const key = await keyFor(A, A, B);
  expect((await take(key)).replica.label).toBe(A);
  expect((await take(key)).replica.label).toBe(B);
  const { replicas: three, take: takeOfThree } = createReplicas([A, B, C]);
  const { replicas: two, take: takeOfTwo } = createReplicas([A, B]);
  for (const one of range(60)) {
    const [before, after] = [await takeOfThree(`${one}`), await takeOfTwo(`${one}`)];
    if (before.replica.label !== C) expect(after.replica.label).toBe(before.replica.label);
    three.give(before);
    two.give(after);
  }
});

test("a request waits when no replica has room, and gets a place given back", async () => {
  const { replicas, take } = createReplicas([A, B], { concurrency: 1 });
  const [key, other] = [await keyFor(A, A, B), await keyFor(B, A, B)];
  const [a, b] = [await take(key), await take(other)];
  const gone: string[] = [];
  const waiting = [key, other, key].map((name, index) =>
    take(name).then(({ replica }) => gone.push(`${index} ${replica.label}`)),
  );
  expect(replicas.waiting).toBe(3);
  replicas.give(b);
  await waiting[1];
  // Both replicas can take, so each serves first what prefers it.
  expect(gone).toEqual([`1 ${B}`]);
  replicas.give(a);
  await waiting[0];
  replicas.give(b);
  await waiting[2];
  expect(gone).toEqual([`1 ${B}`, `0 ${A}`, `2 ${B}`]);
  expect(replicas.waiting).toBe(0);
  expect(replicas.replicas.map(({ inFlight }) => inFlight)).toEqual([1, 1]);
});

test("a request that gives up fails with its reason and leaves the line", async () => {
  const { replicas, take } = createReplicas([A], { concurrency: 1 });
  const a = await take("1");
  const controller = new AbortController();
  const waiting = take("2", { signal: controller.signal }).catch((reason: unknown) => reason);
  const next = take("3");
  controller.abort(new Error("stop"));
  expect(await waiting).toEqual(new Error("stop"));
  expect(replicas.waiting).toBe(1);
  replicas.give(a);
  expect((await next).replica.label).toBe(A);
  const over = take("4", { signal: AbortSignal.abort(new Error("over")) });
  expect(await over.catch((reason: unknown) => reason)).toEqual(new Error("over"));
});

test("a replica that is down gets nothing, and the others get its tasks", async () => {
  const { replicas, take, fail } = createReplicas([A, B]);
  const key = await keyFor(A, A, B);
  const a = await take(key);
  expect(replicas.canRetryNow(a.replica)).toBe(true);
  fail(a, "model_unavailable");
  expect((await take(key)).replica.label).toBe(B);
  const b = await take(key);
  expect(b.replica.label).toBe(B);
  expect(replicas.canRetryNow(b.replica)).toBe(false);
  expect(replicas.replicas.map(({ replica, isUp }) => [replica, isUp])).toEqual([
    [A, false],
    [B, true],
  ]);
});

test("a replica is not its own witness that another one does well", async () => {
  const { replicas, take } = createReplicas([A, B]);
  const [a, b] = [await take(await keyFor(A, A, B)), await take(await keyFor(B, A, B))];
  const witnesses = () => [a, b].map(({ replica }) => replicas.anotherDoesWell(replica));
  expect(witnesses()).toEqual([false, false]);
  replicas.answered(a, performance.now());
  expect(witnesses()).toEqual([false, true]);
  replicas.answered(b, performance.now());
  expect(witnesses()).toEqual([true, true]);
});

test("a request fails at its deadline with what went wrong at each replica", async () => {
  const { take, fail } = createReplicas(["http://127.0.0.1:9/1", "http://127.0.0.1:9/2"]);
  const [one, two] = [await take("1", { rank: 0 }), await take("1", { rank: 1 })];
  fail(one, "model_unavailable");
  fail(two, "model_unavailable");
  const error = await take("1", { deadline: performance.now() }).catch((thrown) => thrown);
  expect(error).toMatchObject({ code: "model_unavailable" });
  expect(error.message.split("; ").sort()).toEqual([
    "http://127.0.0.1:9/1 model_unavailable",
    "http://127.0.0.1:9/2 model_unavailable",
  ]);
});

test("a request fails as overloaded when its only replica turns everything away", async () => {
  const { replicas, take, fail } = createReplicas([A]);
  fail(await take("1"), "model_overloaded", 60_000);
  expect(replicas.replicas[0]).toMatchObject({ isUp: true, window: 1 });
  await expect(take("1", { deadline: performance.now() })).rejects.toMatchObject({
    code: "model_overloaded",
    message: `${A} model_overloaded`,
  });
});

test("a request waits beyond its deadline for a replica that is up and full", async () => {
  const { replicas, take } = createReplicas([A], { concurrency: 1 });
  const a = await take("1");
  const waiting = take("2", { deadline: performance.now() - 1000 });
  const other = createReplicas([]);
  // By the time that this one has failed, the first has been looked at as well.
  await expect(other.take("1", { deadline: 0 })).rejects.toMatchObject({
    code: "model_unavailable",
    message: "models.m has no replicas",
  });
  replicas.give(a);
  expect((await waiting).replica.label).toBe(A);
});

/** Addresses that a test changes; they soon grow old. */
class TestAddresses implements Addresses {
  readonly maxAgeMs = 2;
  found: Found = { addresses: at(A), problem: null };
  finds = 0;
  async find(): Promise<Found> {
    this.finds++;
    return this.found;
  }
}

test("addresses are looked up before the first request, and again when they are old", async () => {
  const addresses = new TestAddresses();
  const { replicas, take } = createReplicas([], { addresses });
  expect([replicas.replicas, addresses.finds]).toEqual([[], 0]);
  expect((await take("1")).replica.label).toBe(A);
  expect(addresses.finds).toBe(1);
  await until(async () => {
    await take("1");
    return addresses.finds > 1;
  }, "the addresses are old");
});

test("a change of addresses is reported, and a replica that stays keeps its requests", async () => {
  const addresses = new TestAddresses();
  const { replicas, take, said } = createReplicas([], { addresses, concurrency: 100 });
  addresses.found = { addresses: at(A, B), problem: null };
  const key = await keyFor(A, A, B);
  const a = await take(key);
  addresses.found = { addresses: at(A, C), problem: null };
  await until(async () => {
    replicas.give(await take(key));
    return said.length > 0;
  }, "the change is said");
  expect(said).toEqual([`info: models.m: the replicas changed, 2 now; new: ${C}; gone: ${B}`]);
  expect(replicas.replicas[0]).toMatchObject({ replica: A, inFlight: 1 });
  replicas.give(a);
  expect(replicas.replicas[0]?.inFlight).toBe(0);
});

test("a problem with the addresses is said once, and again only when it was gone", async () => {
  const addresses = new TestAddresses();
  const { take, said } = createReplicas([], { addresses, concurrency: 1000 });
  const problem = { addresses: [], problem: "no file" };
  const findAgain = async (found: Found) => {
    const { finds } = addresses;
    addresses.found = found;
    // Requests that no replica can take give up here.
    await until(async () => {
      void take("1", { signal: AbortSignal.timeout(1000) }).catch(() => undefined);
      return addresses.finds > finds + 2;
    }, "the addresses were found again");
  };
  await take("1");
  await findAgain(problem);
  expect(said).toEqual(["warning: models.m: no file"]);
  await findAgain({ addresses: at(A), problem: null });
  expect(said.slice(1)).toEqual([`info: models.m: the replicas changed, 1 now; new: ${A}`]);
  await findAgain(problem);
  expect(said.slice(2)).toEqual(["warning: models.m: no file"]);
});

test("an answer that teaches nothing leaves the replicas as they are", async () => {
  const addresses = new TestAddresses();
  const { replicas, take, said } = createReplicas([], { addresses, concurrency: 1000 });
  await take("1");
  addresses.found = { addresses: null, problem: "cannot resolve x" };
  await until(async () => {
    await take("1");
    return said.length > 0;
  }, "the problem is said");
  expect(replicas.replicas.map(({ replica }) => replica)).toEqual([A]);
});

test("requests that wait get their places as soon as the first replica is found", async () => {
  const addresses = new TestAddresses();
  addresses.found = { addresses: [], problem: "none yet" };
  const { replicas, take } = createReplicas([], { addresses });
  const waiting = range(3).map((key) => take(`${key}`));
  await until(() => replicas.waiting === 3, "they wait");
  addresses.found = { addresses: at(A), problem: null };
  expect((await Promise.all(waiting)).map(({ replica }) => replica.label)).toEqual([A, A, A]);
});

const request = (row: number, turn = 0): ChatRequest => ({
  messages: [{ role: "user", content: `row ${row}, turn ${turn}` }],
  seed: row * 100 + turn,
  sampling: {},
  origin: { row: String(row), trial: 0, attempt: 1, role: "r", turn },
});

/** A model whose servers are there. */
async function modelAt(
  base_url: OpenaiModelConfig["base_url"],
  more: Partial<OpenaiModelConfig> = {},
): Promise<Model> {
  const limits = { retries: 5, deadline: 30_000, concurrency: 1000 };
  return openModel("m", openaiConfig({ base_url, ...limits, ...more }), { say: () => undefined });
}

test("a replica that vanishes loses no request, and has its tasks again when back", async () => {
  await using a = await TestEndpoint.start();
  await using b = await TestEndpoint.start();
  const model = await modelAt([a.url, b.url]);
  // Requests are held until it vanishes.
  a.behaviour = () => undefined;
  const answers = range(100).map((row) => model.chat(request(row), patient));
  await until(() => a.inFlight > 20 && b.asked.length > 20, "both have requests");
  await a.vanish();
  for (const { message } of await Promise.all(answers)) expect(message.content).toBe("yes");
  expect(new Set(b.asked.map(({ seed }) => seed)).size).toBe(100);
  a.behaviour = answer();
  await a.start();
  const before = a.asked.length;
  await until(async () => {
    await Promise.all(range(20).map((row) => model.chat(request(row), patient)));
    return a.asked.length > before;
  }, "it has requests again");
});

test("a request waits while its only replica is away, and that does not count as a try", async () => {
  await using a = await TestEndpoint.start();
  await a.vanish();
  const model = await modelAt(a.url, { retries: 0 });
  const answers = range(50).map((row) => model.chat(request(row), patient));
  await until(() => model.replicas?.replicas[0]?.isUp === false, "it is seen to be down");
  await a.start();
  for (const { usage } of await Promise.all(answers)) expect(usage.requests).toBeLessThanOrEqual(2);
  expect(a.asked).toHaveLength(50);
});

test("an overloaded replica is given less, and every request is answered", async () => {
  const capacity = 20;
  await using a = await TestEndpoint.start();
  a.behaviour = async ({ body, response }) => {
    if (a.inFlight > capacity)
      return answer({ error: { message: "too many" } }, 429)({ body, response });
    await new Promise((resolve) => setTimeout(resolve, 2));
    return answer()({ body, response });
  };
  const model = await modelAt(a.url);
  const answers = await Promise.all(range(200).map((row) => model.chat(request(row), patient)));
  expect(answers).toHaveLength(200);
  // It began at 1,000.
  expect(model.replicas?.replicas[0]?.window).toBeLessThan(100);
});

test("a replica that stalls is cut at the silence, and another one asked", async () => {
  const first = { choices: [{ index: 0, delta: { role: "assistant", content: "y" } }] };
  const last = { choices: [{ index: 0, delta: { content: "es" }, finish_reason: "stop" }] };
  await using a = await TestEndpoint.start(stream([first], () => undefined));
  await using b = await TestEndpoint.start(stream([first, last]));
  const model = await modelAt([a.url, b.url], { first_token_timeout: 100 });
  const answers = await Promise.all(range(20).map((row) => model.chat(request(row), patient)));
  for (const { message } of answers) expect(message.content).toBe("yes");
  await until(
    () => a.abandoned === a.asked.length && a.asked.length > 0,
    "what stalled was let go",
  );
});

test("the replicas of a file are those that it names when the model is asked", () =>
  withFolder(async (folder) => {
    await using a = await TestEndpoint.start();
    const file = join(folder, "replicas.txt");
    await writeFile(file, a.url);
    const model = await modelAt({ file });
    expect((await model.chat(request(0), patient)).message.content).toBe("yes");
    expect(model.replicas?.replicas.map(({ replica }) => replica)).toEqual([a.url]);
  }));

test("the replicas of a name are its addresses, and the name stays the Host", async () => {
  await using a = await TestEndpoint.start();
  const model = await modelAt({ dns: `http://localhost:${a.port}/v1` });
  await Promise.all(range(20).map((row) => model.chat(request(row), patient)));
  expect(new Set(a.headers.map(({ host }) => host))).toEqual(new Set([`localhost:${a.port}`]));
  expect(model.replicas?.replicas.map(({ replica }) => replica)).toContain(
    `http://127.0.0.1:${a.port}/v1`,
  );
});
