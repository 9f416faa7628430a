// The bound on the answers that are read at once: which of them waits, and that one always goes on.

import { expect, test } from "bun:test";
import type { ChatRequest } from "../../../src/model/contract.ts";
import { AnswerMemory } from "../../../src/model/endpoint/answer-memory.ts";
import { Endpoint } from "../../../src/model/endpoint/endpoint.ts";
import { until } from "../../parts/until.ts";
import { completion, TestEndpoint } from "../endpoint.ts";
import { openaiConfig } from "./config.ts";

const NEVER = new AbortController().signal;
const turn = () => new Promise((resolve) => setImmediate(resolve));

test("an answer is not counted up to its free bytes, and from there on with what is beyond them", () => {
  const memory = new AnswerMemory({ sharedBytesMax: 10, freeBytes: 4 });
  using share = memory.open(NEVER);
  expect(share.reach(4)).toBeNull();
  expect(memory.bytes).toBe(0);
  expect(share.reach(5)).toBeNull();
  expect(memory.bytes).toBe(1);
  expect(share.reach(14)).toBeNull();
  expect(share.reach(9)).toBeNull();
  expect(memory.bytes).toBe(10);
  share[Symbol.dispose]();
  expect(memory.bytes).toBe(0);
});

test("by default 64 KiB of an answer are free and 128 MiB are shared", async () => {
  const memory = new AnswerMemory();
  using oldest = memory.open(NEVER);
  oldest.reach(64 * 2 ** 10 + 1);
  expect(memory.bytes).toBe(1);
  const abort = new AbortController();
  const shares = [64, 64].map(() => memory.open(abort.signal));
  expect(shares[0]?.reach(64 * 2 ** 20 + 64 * 2 ** 10)).toBeNull();
  const late = shares[1]?.reach(64 * 2 ** 20);
  expect(late).toBeNull();
  expect(memory.bytes).toBe(1 + 2 * (64 * 2 ** 20 - 64 * 2 ** 10));
  using small = memory.open(NEVER);
  expect(small.reach(64 * 2 ** 10)).toBeNull();
});

test("an answer beyond the bound waits until another one ends, and the oldest never does", async () => {
  const memory = new AnswerMemory({ sharedBytesMax: 10, freeBytes: 0 });
  const first = memory.open(NEVER);
  const second = memory.open(NEVER);
  const third = memory.open(NEVER);
  expect(first.reach(6)).toBeNull();
  expect(second.reach(4)).toBeNull();
  const order: string[] = [];
  const waits = [second.reach(8), third.reach(3)];
  void waits[0]?.then(() => order.push("second"));
  void waits[1]?.then(() => order.push("third"));
  expect(memory.waiting).toBe(2);
  expect(first.reach(60)).toBeNull();
  expect(memory.bytes).toBe(64);
  await turn();
  expect(order).toEqual([]);
  first[Symbol.dispose]();
  await turn();
  // The second is the oldest now; the third does not fit beside it.
  expect([order, memory.bytes, memory.waiting]).toEqual([["second"], 8, 1]);
  second[Symbol.dispose]();
  await turn();
  expect([order, memory.bytes, memory.waiting]).toEqual([["second", "third"], 3, 0]);
  third[Symbol.dispose]();
  expect(memory.bytes).toBe(0);
});

test("an answer that is given up while it waits fails with the reason and holds nothing", async () => {
  const memory = new AnswerMemory({ sharedBytesMax: 10, freeBytes: 0 });
  using first = memory.open(NEVER);
  first.reach(10);
  const abort = new AbortController();
  {
    using second = memory.open(abort.signal);
    const waiting = second.reach(1);
    abort.abort(new Error("late"));
    await expect(waiting).rejects.toThrow("late");
    await expect(memory.open(abort.signal).reach(1)).rejects.toThrow("late");
  }
  expect(memory.bytes).toBe(10);
});

test("a streamed answer holds what has come of it, beside its last event", async () => {
  const memory = new AnswerMemory({ sharedBytesMax: 100_000, freeBytes: 0 });
  const piece = (content: string, finish_reason: string | null = null) =>
    `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content }, finish_reason }] })}\n\n`;
  const { promise: mayEnd, resolve: end } = Promise.withResolvers<void>();
  await using server = await TestEndpoint.start(async ({ response }) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (let i = 0; i < 5; i++) {
      response.write(piece("x".repeat(1000)));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await mayEnd;
    response.end(piece("", "stop"));
  });
  const address = { url: server.url, ip: null, label: "a" };
  const config = openaiConfig({ first_token_timeout: 60_000 });
  const asking = new Endpoint(config, address, () => undefined, memory).ask(request(0), NEVER);
  await until(() => memory.bytes > 5000, "the memory of all pieces is held");
  end();
  expect((await asking).message.content).toHaveLength(5000);
  expect(memory.bytes).toBe(0);
});

const request = (seed: number): ChatRequest => ({
  messages: [{ role: "user", content: "hi" }],
  seed,
  sampling: {},
  origin: null,
});

test.each([
  ["whole", {}],
  ["streamed", { first_token_timeout: 100 }],
])(
  "%s answers wait for each other's memory, beyond their time limits, and all come",
  async (_, more) => {
    const memory = new AnswerMemory({ sharedBytesMax: 1000, freeBytes: 100 });
    const long = "x".repeat(50_000);
    const { promise: mayEnd, resolve: end } = Promise.withResolvers<void>();
    let isFirst = true;
    await using server = await TestEndpoint.start(async ({ response }) => {
      const isHeld = isFirst;
      isFirst = false;
      const body = JSON.stringify(
        "first_token_timeout" in more
          ? { choices: [{ index: 0, delta: { content: long }, finish_reason: "stop" }] }
          : completion({}, { message: { role: "assistant", content: long } }),
      );
      const text = "first_token_timeout" in more ? `data: ${body}\n\ndata: [DONE]\n\n` : body;
      response.writeHead(200, {
        "content-type": "first_token_timeout" in more ? "text/event-stream" : "application/json",
      });
      response.write(text.slice(0, 2000));
      if (isHeld) await mayEnd;
      response.end(text.slice(2000));
    });
    const endpoint = (timeout: number, own = {}) =>
      new Endpoint(
        openaiConfig({ ...own, timeout }),
        { url: server.url, ip: null, label: "a" },
        () => undefined,
        memory,
      );
    const first = endpoint(
      60_000,
      "first_token_timeout" in more ? { first_token_timeout: 60_000 } : {},
    ).ask(request(0), NEVER);
    await until(() => memory.bytes > 0, "the first answer is the oldest");
    const others = [1, 2, 3].map((seed) => endpoint(150, more).ask(request(seed), NEVER));
    await until(() => memory.waiting === 3, "the others wait");
    await Bun.sleep(200);
    end();
    for (const answer of await Promise.all([first, ...others]))
      expect(answer.message.content).toHaveLength(50_000);
    expect([memory.bytes, memory.waiting]).toEqual([0, 0]);
  },
);
