// The bound on attachments in requests: who waits, in which order, and what is given back.

import { expect, test } from "bun:test";
import { AttachmentMemory } from "../../src/agent/attachment-memory.ts";

const NEVER = new AbortController().signal;
const turn = () => new Promise((resolve) => setImmediate(resolve));

test("as many bytes are held as the bound allows, and the next ones wait for them in order", async () => {
  const memory = new AttachmentMemory(10);
  const first = await memory.take(6, NEVER);
  const second = await memory.take(4, NEVER);
  expect(memory.bytes).toBe(10);
  const order: string[] = [];
  const third = memory.take(5, NEVER).then((give) => {
    order.push("third");
    return give;
  });
  const fourth = memory.take(1, NEVER).then((give) => {
    order.push("fourth");
    return give;
  });
  second();
  second();
  await turn();
  // The fourth would fit, and still comes after the third.
  expect([memory.bytes, order]).toEqual([6, []]);
  first();
  await turn();
  expect([memory.bytes, order]).toEqual([6, ["third", "fourth"]]);
  (await third)();
  (await fourth)();
  expect(memory.bytes).toBe(0);
});

test("a request that is larger than the bound goes alone", async () => {
  const memory = new AttachmentMemory(10);
  const small = await memory.take(1, NEVER);
  let isTaken = false;
  const large = memory.take(30, NEVER).then((give) => {
    isTaken = true;
    return give;
  });
  await turn();
  expect(isTaken).toBe(false);
  small();
  (await large)();
  expect(memory.bytes).toBe(0);
});

test("a step that is given up while it waits holds nothing, and lets the next one pass", async () => {
  const memory = new AttachmentMemory(10);
  const first = await memory.take(8, NEVER);
  const abort = new AbortController();
  const second = memory.take(5, abort.signal);
  const third = memory.take(2, NEVER);
  abort.abort(new Error("late"));
  await expect(second).rejects.toThrow("late");
  (await third)();
  first();
  expect(memory.bytes).toBe(0);
  await expect(memory.take(1, abort.signal)).rejects.toThrow("late");
});
