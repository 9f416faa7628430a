// The replay guard, against a plain set of everything that was ever taken.

import { expect, test } from "bun:test";
import { ReplayGuard } from "../../src/http/replay-guard.ts";
import { createRandom } from "../../src/task/seed.ts";

test("a guard takes numbers in order, and each once", () => {
  const guard = new ReplayGuard();
  const base = Date.now() * 64;
  for (let n = base; n < base + 5000; n++) expect(guard.accept("a", n)).toBe(true);
  for (let n = base; n < base + 5000; n++) expect(guard.accept("a", n)).toBe(false);
});

test("a guard takes what was overtaken within the window, and nothing older", () => {
  const guard = new ReplayGuard();
  expect(guard.accept("a", 5000)).toBe(true);
  expect(guard.accept("a", 5000 - 1023)).toBe(true);
  expect(guard.accept("a", 5000 - 1024)).toBe(false);
  expect(guard.accept("a", 5000 - 1023)).toBe(false);
});

test("a guard keeps senders apart", () => {
  const guard = new ReplayGuard();
  expect(guard.accept("a", 7)).toBe(true);
  expect(guard.accept("b", 7)).toBe(true);
  expect(guard.accept("a", 7)).toBe(false);
});

test("a guard remembers a bounded number of senders, those heard of last", () => {
  const guard = new ReplayGuard();
  guard.accept("first", 1);
  guard.accept("second", 1);
  for (let n = 0; n < 4094; n++) guard.accept(`other ${n}`, 1);
  expect(guard.accept("second", 1)).toBe(false);
  guard.accept("one more", 1);
  expect(guard.accept("second", 1)).toBe(false);
  expect(guard.accept("first", 1)).toBe(true);
});

test("a guard takes whatever comes in whatever order within the window, and never twice", () => {
  const random = createRandom(4);
  const guard = new ReplayGuard();
  const taken = new Set<number>();
  let highest = 0;
  for (let step = 0; step < 50_000; step++) {
    const number = Math.max(0, highest - 1100 + Math.floor(random() * 1110));
    const isNew = !taken.has(number) && number > highest - 1024;
    expect(guard.accept("a", number)).toBe(isNew);
    if (isNew) taken.add(number);
    highest = Math.max(highest, ...(isNew ? [number] : []));
  }
  expect(taken.size).toBeGreaterThan(1000);
});
