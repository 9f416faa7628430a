// The window of a replica, step by step: how a refusal takes its place away, and how places come
// back. `random` is 0, so a replica that turns everything away is tried after 250 ms.

import { expect, test } from "bun:test";
import { Window } from "../../../src/model/replica/window.ts";

const create = (max: number, start: number | null = null) => new Window(max, () => 0, start);

/** One refusal after 5 ms, with nothing said of when to come back. */
function refuse(
  window: Window,
  inFlight: number,
  { now = 0, afterMs = 5, retryAfterMs = 0 } = {},
): void {
  window.refused({ inFlight, afterMs, retryAfterMs, now });
}

/** All of `sent` requests come, and the server keeps `capacity` of them. */
function burst(window: Window, sent: number, capacity: number, now = 0): void {
  for (let inFlight = sent; inFlight > capacity; inFlight--) refuse(window, inFlight, { now });
}

test("a window begins at its limit, or at what an earlier start found when that is less", () => {
  expect([create(1000).size, create(1000, 300).size, create(200, 300).size]).toEqual([
    1000, 300, 200,
  ]);
});

test("a window has room for as many requests as its size", () => {
  const window = create(3);
  expect([0, 2, 3].map((inFlight) => window.hasRoom(inFlight, 0))).toEqual([true, true, false]);
  expect(window.changesAt(0)).toBeNull();
});

test("a burst that is too large leaves a window of what the server kept", () => {
  const window = create(5000);
  expect(window.found).toBeNull();
  burst(window, 5000, 100);
  expect([window.size, window.found]).toEqual([100, 100]);
  const other = create(100_000);
  burst(other, 130, 100);
  expect([other.size, other.found]).toEqual([100_000 - 30, null]);
  burst(other, 150, 100);
  expect([other.size, other.found]).toEqual([100, 100]);
});

test("a third of a window that is turned away is too much, and less is not", () => {
  const window = create(1000);
  burst(window, 90, 68);
  expect([window.size, window.found]).toEqual([978, null]);
  refuse(window, 68);
  expect([window.size, window.found]).toEqual([67, 67]);
});

test("four refusals may be chance, however few requests are in flight, and five are not", () => {
  const window = create(10);
  for (let i = 0; i < 4; i++) refuse(window, 3);
  expect([window.size, window.found]).toEqual([6, null]);
  refuse(window, 3);
  expect([window.size, window.found]).toEqual([2, 2]);
});

test("refusals of different rounds are not added up", () => {
  const window = create(100);
  for (let i = 0; i < 500; i++) i % 4 === 0 ? refuse(window, 100) : window.answered(100);
  expect([window.size, window.found]).toEqual([100, null]);
});

test("an answer makes a window larger by one, up to its limit", () => {
  const window = create(100);
  burst(window, 100, 98);
  const sizes = [1, 2, 3].map(() => {
    window.answered(98);
    return window.size;
  });
  expect(sizes).toEqual([99, 100, 100]);
});

test("a window that is half used grows with an answer, and one that is less used does not", () => {
  const window = create(100);
  burst(window, 100, 90);
  window.answered(44);
  expect(window.size).toBe(90);
  window.answered(45);
  expect(window.size).toBe(91);
});

test("beyond the size that was too much, a window grows by one in twenty answers", () => {
  const window = create(1000);
  burst(window, 1000, 100);
  for (let i = 0; i < 19; i++) window.answered(100);
  expect(window.size).toBe(100);
  for (let i = 0; i < 2; i++) window.answered(100);
  expect(window.size).toBe(101);
});

test("a window forgets the size that was too much when it has outgrown it by a quarter", () => {
  const window = create(1000);
  burst(window, 1000, 100);
  for (let i = 0; i < 499; i++) window.answered(100);
  expect([window.size, window.found]).toEqual([124, 100]);
  for (let i = 0; i < 3; i++) window.answered(125);
  expect(window.found).toBeNull();
  const { size } = window;
  window.answered(125);
  expect(window.size).toBe(size + 1);
});

test("requests that are turned away though the window shrank do not hold it down", () => {
  const window = create(1000);
  burst(window, 1000, 100);
  const round = (refusals: number) => {
    for (let i = 0; i < refusals; i++) refuse(window, 100);
    for (let i = refusals; i < 100; i++) window.answered(100);
    return window.found;
  };
  // The first round ends with its first answer, because it has the burst in it.
  expect([round(0), round(10), round(0)]).toEqual([100, 100, 100]);
  expect(round(12)).toBe(125);
});

test("a full window doubles after 250 ms without a refusal, and needs no answer", () => {
  const window = create(1000, 100);
  expect(window.hasRoom(100, 1000)).toBe(false);
  expect(window.changesAt(1000)).toBe(1250);
  expect(window.hasRoom(100, 1249)).toBe(false);
  expect(window.hasRoom(100, 1250)).toBe(true);
  expect(window.size).toBe(200);
  expect(window.hasRoom(200, 1499)).toBe(false);
  expect(window.hasRoom(200, 1500)).toBe(true);
  for (const now of [1750, 2000]) window.hasRoom(window.size, now);
  expect([window.size, window.changesAt(2000)]).toEqual([1000, null]);
});

test("a refusal begins the 250 ms anew, and slow refusals make them longer", () => {
  const window = create(1000, 100);
  window.hasRoom(100, 0);
  refuse(window, 100, { now: 200, afterMs: 300 });
  expect(window.changesAt(200)).toBeNull();
  expect(window.hasRoom(99, 240)).toBe(false);
  expect(window.changesAt(240)).toBe(840);
  expect([window.hasRoom(99, 839), window.hasRoom(99, 840)]).toEqual([false, true]);
});

test("a window does not double beyond the size that was too much", () => {
  const window = create(1000);
  burst(window, 1000, 100);
  refuse(window, 80);
  expect(window.size).toBe(79);
  expect(window.found).toBe(79);
  expect([window.hasRoom(79, 0), window.hasRoom(79, 10_000)]).toEqual([false, false]);
  expect(window.changesAt(10_000)).toBeNull();
});

test("a replica that turns everything away gets one request after 250 ms, and its size back", () => {
  const window = create(1000);
  burst(window, 1000, 300);
  // Rounds in which 300 are answered make this the lasting size.
  for (let i = 0; i < 700; i++) window.answered(300);
  const lasting = window.found;
  burst(window, 300, 0, 5000);
  expect([window.size, window.found]).toEqual([1, lasting]);
  expect([window.isPaused(5249), window.isPaused(5250)]).toEqual([true, false]);
  expect([window.hasRoom(0, 5249), window.hasRoom(0, 5250)]).toEqual([false, true]);
  expect(window.changesAt(5000)).toBe(5250);
  let now = 5250;
  const sizes: number[] = [];
  for (; window.size < 300; now += 250) {
    window.hasRoom(window.size, now);
    sizes.push(window.size);
  }
  expect(sizes).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
  expect(now - 5250).toBe(2500);
});

test("the last refusal of a storm says how long to wait, and a shorter one does not end it", () => {
  const window = create(10);
  refuse(window, 2, { retryAfterMs: 60_000 });
  expect(window.isPaused(0)).toBe(false);
  refuse(window, 1, { retryAfterMs: 5000 });
  expect([window.isPaused(4999), window.isPaused(5000)]).toEqual([true, false]);
  refuse(window, 1, { now: 100, retryAfterMs: 1000 });
  expect(window.changesAt(100)).toBe(5000);
});

test("the time between two requests that try a replica has up to 250 ms of chance", () => {
  const window = new Window(10, () => 1, null);
  refuse(window, 1);
  expect(window.changesAt(0)).toBe(500);
});

test("a window that outgrew its limit is full for 250 ms before it doubles", () => {
  const window = create(1000);
  burst(window, 1000, 100);
  expect(window.hasRoom(100, 0)).toBe(false);
  for (let i = 0; i < 510; i++) window.answered(125);
  expect(window.found).toBeNull();
  const { size } = window;
  expect([1000, 1249, 1250].map((now) => window.hasRoom(size, now))).toEqual([false, false, true]);
});

test("a round in which too many were turned away does not count as chance", () => {
  const window = create(10);
  burst(window, 10, 5);
  expect(window.found).toBe(5);
  for (let i = 0; i < 16; i++) window.answered(5);
  expect(window.found).toBe(5);
});

test("a window is never less than one", () => {
  const window = create(1);
  refuse(window, 2);
  expect(window.size).toBe(1);
  for (let now = 0; now < 5; now++) refuse(window, 1, { now });
  expect(window.size).toBe(1);
});

test("a window that restarts holds what is in flight, and doubles from there", () => {
  const window = create(1000);
  window.restart(0);
  expect([window.size, window.hasRoom(0, 0), window.hasRoom(1, 0)]).toEqual([1, true, false]);
  expect(window.hasRoom(1, 250)).toBe(true);
  window.restart(7);
  expect(window.size).toBe(2);
  const other = create(1000);
  other.restart(7);
  expect(other.size).toBe(7);
});

test("a window that was full before it restarts has to be full anew before it grows", () => {
  const window = create(1000, 3);
  window.restart(2);
  expect(window.hasRoom(2, 0)).toBe(false);
  window.restart(2);
  expect([window.changesAt(250), window.hasRoom(2, 250), window.size]).toEqual([null, false, 2]);
  expect([window.hasRoom(2, 499), window.hasRoom(2, 500)]).toEqual([false, true]);
});
