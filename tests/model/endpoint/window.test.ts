// The window of a replica: how it finds out what a server takes, and finds it again after a storm.

import { describe, expect, test } from "bun:test";
import { Window } from "../../../src/model/endpoint/window.ts";
import { createRandom } from "../../../src/task/seed.ts";

/** A round in which the whole window is sent and a server takes `capacity` of it. Answers the window after it. */
function round(window: Window, capacity: number, now: number): number {
  const sent = window.size;
  for (let i = 0; i < sent; i++) {
    if (i < capacity) window.answered(sent);
    else window.overloaded(now, sent, now + 1);
  }
  return window.size;
}

describe("a window", () => {
  test("doubles with every round of answers, up to the limit", () => {
    const window = new Window(1000);
    expect([
      window.size,
      round(window, 1e6, 0),
      round(window, 1e6, 10),
      round(window, 1e6, 20),
    ]).toEqual([128, 256, 512, 1000]);
  });

  test("is less once a round trip, however many requests were turned away in it", () => {
    const window = new Window(128);
    for (let i = 0; i < 100; i++) window.overloaded(0, 128, 1);
    expect(window.size).toBe(89);
    for (let i = 0; i < 89; i++) window.overloaded(2, 89, 3);
    expect(window.size).toBe(62);
  });

  test("is not less for the few that are turned away whatever it sends", () => {
    const window = new Window(1000);
    const random = createRandom(7);
    for (let now = 0; now < 60; now++) {
      const sent = window.size;
      for (let i = 0; i < sent; i++)
        random() < 0.15 ? window.overloaded(now, sent, now + 1) : window.answered(sent);
    }
    expect(window.size).toBeGreaterThan(900);
  });

  test("stays around what the server takes", () => {
    const window = new Window(10_000);
    const sizes = Array.from({ length: 200 }, (_, i) => round(window, 300, i * 10));
    for (const size of sizes.slice(20)) {
      expect(size).toBeGreaterThan(200);
      expect(size).toBeLessThan(420);
    }
  });

  test("comes back within a few rounds after a storm that took it down to one", () => {
    const window = new Window(1000);
    for (let i = 0; i < 4; i++) round(window, 1e6, i);
    for (let now = 100; now < 130; now++) round(window, 0, now);
    expect(window.size).toBe(1);
    let rounds = 0;
    while (window.size < 600) round(window, 1e6, 1000 + rounds++);
    expect(rounds).toBeLessThan(12);
  });

  test("does not grow while it is not used", () => {
    const window = new Window(1000);
    for (let i = 0; i < 5000; i++) window.answered(10);
    expect(window.size).toBe(128);
  });

  test("counts from what was in flight, not from what might have been", () => {
    const window = new Window(1000);
    for (let i = 0; i < 4; i++) round(window, 1e6, i);
    for (let i = 0; i < 50; i++) window.overloaded(100, 50, 101);
    expect(window.size).toBe(35);
  });
});
