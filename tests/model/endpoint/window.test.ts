// The window of a replica: how it finds what a server takes, and finds it again after a storm.

import { expect, test } from "bun:test";
import { Window } from "../../../src/model/endpoint/window.ts";
import { createRandom } from "../../../src/task/seed.ts";

/**
 * A round in which the whole window is sent and a server takes `capacity` of it. Answers the window
 * after it.
 */
function round(window: Window, capacity: number, now: number): number {
  const sent = window.size;
  for (let i = 0; i < sent; i++) {
    if (i < capacity) window.answered(sent);
    else window.overloaded(now, sent, now + 1);
  }
  return window.size;
}

test("a window doubles with every round of answers, up to its limit", () => {
  const window = new Window(1000);
  expect([
    window.size,
    round(window, 1e6, 0),
    round(window, 1e6, 10),
    round(window, 1e6, 20),
  ]).toEqual([128, 256, 512, 1000]);
});

test("a window shrinks once a round trip, however many requests were turned away in it", () => {
  const window = new Window(128);
  for (let i = 0; i < 100; i++) window.overloaded(0, 128, 1);
  expect(window.size).toBe(89);
  for (let i = 0; i < 89; i++) window.overloaded(2, 89, 3);
  expect(window.size).toBe(62);
});

test("a window does not shrink for the few requests that are turned away whatever it sends", () => {
  const window = new Window(1000);
  const random = createRandom(7);
  for (let now = 0; now < 60; now++) {
    const sent = window.size;
    for (let i = 0; i < sent; i++)
      random() < 0.15 ? window.overloaded(now, sent, now + 1) : window.answered(sent);
  }
  expect(window.size).toBeGreaterThan(900);
});

test("a window stays around what the server takes", () => {
  const window = new Window(10_000);
  const sizes = Array.from({ length: 200 }, (_, i) => round(window, 300, i * 10));
  for (const size of sizes.slice(20)) {
    expect(size).toBeGreaterThan(200);
    expect(size).toBeLessThan(420);
  }
});

test("a window comes back within a few rounds after a storm took it down to one", () => {
  const window = new Window(1000);
  for (let i = 0; i < 4; i++) round(window, 1e6, i);
  for (let now = 100; now < 130; now++) round(window, 0, now);
  expect(window.size).toBe(1);
  let rounds = 0;
  while (window.size < 600) round(window, 1e6, 1000 + rounds++);
  expect(rounds).toBeLessThan(12);
});

test("a window does not grow while it is not used", () => {
  const window = new Window(1000);
  for (let i = 0; i < 5000; i++) window.answered(10);
  expect(window.size).toBe(128);
});

test("a window shrinks from what was in flight, not from what might have been", () => {
  const window = new Window(1000);
  for (let i = 0; i < 4; i++) round(window, 1e6, i);
  for (let i = 0; i < 50; i++) window.overloaded(100, 50, 101);
  expect(window.size).toBe(35);
});

test("a window begins at 128, or at its limit when that is less", () => {
  expect([new Window(127).size, new Window(128).size, new Window(1000).size]).toEqual([
    127, 128, 128,
  ]);
});

test("a window that is half used grows, and one that is less used does not", () => {
  const window = new Window(1000);
  window.answered(63);
  expect(window.size).toBe(128);
  window.answered(64);
  expect(window.size).toBe(129);
});

test("beyond the size that was too much, a round adds a twentieth of the window", () => {
  const window = new Window(1000);
  for (let i = 0; i < 32; i++) window.overloaded(0, 128, 1);
  const threshold = window.size;
  expect(threshold).toBe(89);
  for (let i = 0; i < threshold; i++) window.answered(threshold);
  expect(window.size).toBe(Math.floor(128 * 0.7 + 89 * 0.05));
});

test("a quarter of a window that is turned away is too much, and less is not", () => {
  const window = new Window(100);
  for (let i = 0; i < 24; i++) window.overloaded(0, 100, 1);
  expect(window.size).toBe(100);
  window.overloaded(0, 100, 1);
  expect(window.size).toBe(70);
});

test("requests that were turned away in different rounds are not added up", () => {
  const window = new Window(100);
  for (let round = 0; round < 5; round++) {
    for (let i = 0; i < 20; i++) window.overloaded(round, 100, round);
    for (let i = 0; i < 80; i++) window.answered(100);
  }
  expect(window.size).toBe(100);
});

test("a window is never less than one", () => {
  const window = new Window(1);
  for (let now = 0; now < 5; now++) window.overloaded(now, 1, now);
  expect(window.size).toBe(1);
});

test("the count of requests that were turned away starts anew when the window has shrunk", () => {
  const window = new Window(100);
  for (let i = 0; i < 25; i++) window.overloaded(0, 100, 1);
  for (let i = 0; i < 17; i++) window.overloaded(1, 100, 2);
  expect(window.size).toBe(70);
  window.overloaded(1, 100, 2);
  expect(window.size).toBe(49);
});
