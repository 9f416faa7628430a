// The tokens that bound the tasks in flight.

import { expect, test } from "bun:test";
import { Tokens } from "../../src/driver/tokens.ts";

test("there are as many tokens as tasks may be in flight, and each that is given back is free again", () => {
  const tokens = new Tokens(2);
  expect(tokens.taken).toBe(0);
  expect([tokens.take(), tokens.take(), tokens.take()]).toEqual([true, true, false]);
  expect(tokens.taken).toBe(2);
  tokens.give(1);
  expect(tokens.taken).toBe(1);
  expect([tokens.take(), tokens.take()]).toEqual([true, false]);
});

test("tasks that are in flight already may take more tokens than there are", () => {
  const tokens = new Tokens(1);
  tokens.takeAnyway();
  tokens.takeAnyway();
  expect([tokens.taken, tokens.take()]).toEqual([2, false]);
  tokens.give(1);
  expect([tokens.taken, tokens.take()]).toEqual([1, false]);
  tokens.give(1);
  expect([tokens.taken, tokens.take()]).toEqual([0, true]);
});

test("a wait for a change ends when tokens are given back or when it is woken", async () => {
  const tokens = new Tokens(3);
  tokens.take();
  let changes = 0;
  const wait = () => tokens.changed().then(() => changes++);
  const [first, second] = [wait(), wait()];
  await Promise.resolve();
  expect(changes).toBe(0);
  tokens.give(1);
  await Promise.all([first, second]);
  expect(changes).toBe(2);
  const third = wait();
  tokens.wake();
  await third;
  expect([changes, tokens.taken]).toEqual([3, 0]);
});

test("all tokens are back only when the last one is, whatever wakes the wait", async () => {
  const tokens = new Tokens(2);
  await tokens.allBack();
  tokens.take();
  tokens.take();
  let areBack = false;
  const back = tokens.allBack().then(() => {
    areBack = true;
  });
  tokens.wake();
  tokens.give(1);
  await new Promise(setImmediate);
  expect(areBack).toBe(false);
  tokens.give(1);
  await back;
  expect(areBack).toBe(true);
});
