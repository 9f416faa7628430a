// The time limits of a try: which one passed, and what the signal says.

import { expect, test } from "bun:test";
import { TimeLimits } from "../../../src/model/endpoint/time-limits.ts";
import { listenersOn } from "../../parts/listeners.ts";
import { timersLeftBy } from "../../parts/timers.ts";
import { until } from "../../parts/until.ts";

const patient = () => new AbortController().signal;

test("the limit of the whole answer passes and says so", async () => {
  using limits = new TimeLimits(patient(), 5, null);
  expect([limits.passed, limits.signal.aborted]).toEqual([null, false]);
  await until(() => limits.signal.aborted, "the limit passes");
  expect(limits.passed).toBe("no whole answer within 5 ms");
  expect(limits.signal.reason).toEqual(new Error("no whole answer within 5 ms"));
});

test("the limit of silence passes before that of the whole answer", async () => {
  using limits = new TimeLimits(patient(), 60_000, 5);
  await until(() => limits.signal.aborted, "the limit passes");
  expect(limits.passed).toBe("no token for 5 ms");
});

test("an event starts the silence anew, even when its limit was due already", async () => {
  using limits = new TimeLimits(patient(), 60_000, 250);
  const began = performance.now();
  // The event loop is held up, so that the timer cannot fire before the event is heard.
  while (performance.now() - began < 260);
  limits.heard();
  await new Promise((resolve) => setImmediate(resolve));
  expect(limits.passed).toBeNull();
});

test("without a limit of silence, hearing changes nothing", async () => {
  using limits = new TimeLimits(patient(), 20, null);
  await until(() => {
    limits.heard();
    return limits.signal.aborted;
  }, "the whole limit passes");
  expect(limits.passed).toBe("no whole answer within 20 ms");
});

test("the outer signal aborts with its own reason, and no limit has passed", () => {
  const controller = new AbortController();
  using limits = new TimeLimits(controller.signal, 60_000, 60_000);
  controller.abort(new Error("stop"));
  expect(limits.signal.reason).toEqual(new Error("stop"));
  expect(limits.passed).toBeNull();
  using late = new TimeLimits(controller.signal, 60_000, null);
  expect(late.signal.reason).toEqual(new Error("stop"));
});

test("a disposed limit neither passes nor follows the outer signal", async () => {
  const controller = new AbortController();
  const limits = new TimeLimits(controller.signal, 5, 5);
  limits[Symbol.dispose]();
  using other = new TimeLimits(patient(), 20, null);
  await until(() => other.signal.aborted, "a later limit has passed");
  controller.abort();
  expect([limits.passed, limits.signal.aborted]).toEqual([null, false]);
});

test("limits that are disposed leave no timer and no listener behind", async () => {
  const outer = patient();
  const left = await timersLeftBy(({ waiting }) => {
    const limits = new TimeLimits(outer, 60_000, 50);
    expect([waiting(), listenersOn(outer)]).toEqual([[60_000, 50], 1]);
    limits[Symbol.dispose]();
  });
  expect([left, listenersOn(outer)]).toEqual([[], 0]);
});

test("no limit passes while the clock stands, and what was left of it goes on afterwards", async () => {
  using limits = new TimeLimits(patient(), 40, 30);
  using later = new TimeLimits(patient(), 60, null);
  const { promise, resolve } = Promise.withResolvers<void>();
  const paused = limits.pausedFor(promise);
  await until(() => later.signal.aborted, "both limits would have passed");
  expect(limits.signal.aborted).toBe(false);
  resolve();
  await paused;
  await until(() => limits.signal.aborted, "a limit passes");
  expect(limits.passed).toMatch(/^no (whole answer within 40 ms|token for 30 ms)$/);
});

test("a pause that ends after the try leaves no timer, and its failure goes on", async () => {
  expect(
    await timersLeftBy(async () => {
      const limits = new TimeLimits(patient(), 60_000, 60_000);
      const { promise, reject } = Promise.withResolvers<void>();
      const paused = limits.pausedFor(promise);
      limits[Symbol.dispose]();
      reject(new Error("given up"));
      await expect(paused).rejects.toThrow("given up");
    }),
  ).toEqual([]);
});
