// Starts of sandboxes: how many run at once, and when the breaker refuses them.

import { expect, test } from "bun:test";
import { MatrixError } from "../../src/error.ts";
import { Starts } from "../../src/sandbox/starts.ts";
import { keptLog } from "../parts/kept-log.ts";
import { quiet } from "../parts/quiet.ts";
import { settle } from "../parts/scripted-sandbox.ts";

const unavailable = (why = "no space left") => new MatrixError("sandbox_unavailable", why);

/** Starts that end when the test says so. */
function gated(atOnceMax: number) {
  const starts = new Starts({ atOnceMax, log: quiet, clock: () => 0 });
  const running: { end: (error?: Error) => void }[] = [];
  const begin = (): Promise<unknown> =>
    starts
      .run(() => {
        const { promise, resolve, reject } = Promise.withResolvers<void>();
        const one = {
          end: (error?: Error): void => {
            running.splice(running.indexOf(one), 1);
            if (error === undefined) resolve();
            else reject(error);
          },
        };
        running.push(one);
        return promise;
      })
      .catch(() => undefined);
  return { running, begin };
}

async function withClock() {
  const clock = { now: 0 };
  const { log, lines } = keptLog();
  const starts = new Starts({ atOnceMax: 4, log, clock: () => clock.now });
  const fail = (error: Error = unavailable()) =>
    starts.run(() => Promise.reject(error)).catch((thrown) => thrown as MatrixError);
  const succeed = () => starts.run(async () => "started").catch((thrown) => thrown as MatrixError);
  return { clock, lines, fail, succeed };
}

test("two starts run at first, one more after each success, and never more than the bound", async () => {
  const { running, begin } = gated(4);
  for (let n = 0; n < 9; n++) void begin();
  await settle();
  const seen = [running.length];
  for (let n = 0; n < 5; n++) {
    running[0]?.end();
    await settle();
    seen.push(running.length);
  }
  expect(seen).toEqual([2, 3, 4, 4, 4, 4]);
});

test("a bound of one holds from the first start on", async () => {
  const { running, begin } = gated(1);
  for (let n = 0; n < 3; n++) void begin();
  await settle();
  expect(running).toHaveLength(1);
  running[0]?.end();
  await settle();
  expect(running).toHaveLength(1);
});

test("a failure halves the starts at once, down to one", async () => {
  const { running, begin } = gated(4);
  for (let n = 0; n < 20; n++) void begin();
  await settle();
  running[0]?.end();
  await settle();
  running[0]?.end();
  await settle();
  expect(running).toHaveLength(4);
  for (let left = 4; left > 0; left--) {
    running[0]?.end(unavailable());
    await settle();
  }
  expect(running).toHaveLength(1);
});

test("a start gives back what it started", async () => {
  const { succeed } = await withClock();
  expect(await succeed()).toBe("started");
});

test("four failures in a row do not open the breaker, the fifth does, and it says why and for how long", async () => {
  const { clock, lines, fail, succeed } = await withClock();
  for (let n = 0; n < 4; n++) await fail();
  expect(lines).toEqual([]);
  await fail();
  expect(lines).toEqual(["warning no sandbox is started for 2000 ms: no space left"]);
  clock.now = 500.5;
  expect(await succeed()).toMatchObject({
    code: "sandbox_unavailable",
    message: "no sandbox is started for now, after 5 failures: no space left",
    retryAfterMs: 1500,
  });
});

test("a success between failures starts the count anew", async () => {
  const { lines, fail, succeed } = await withClock();
  for (let n = 0; n < 4; n++) await fail();
  await succeed();
  for (let n = 0; n < 4; n++) await fail();
  expect(lines).toEqual([]);
  await fail();
  expect(lines).toHaveLength(1);
});

test("a refused start does not count as a failure of the engine", async () => {
  const { lines, fail, succeed } = await withClock();
  for (let n = 0; n < 5; n++) await fail();
  for (let n = 0; n < 5; n++) await succeed();
  expect(lines).toHaveLength(1);
});

test("the breaker closes with the first success after its time, and forgets how long it was open", async () => {
  const { clock, lines, fail, succeed } = await withClock();
  for (let n = 0; n < 5; n++) await fail();
  clock.now = 1999;
  expect(await succeed()).toMatchObject({ retryAfterMs: 1 });
  clock.now = 2000;
  expect(await succeed()).toBe("started");
  expect(await succeed()).toBe("started");
  expect(lines.slice(1)).toEqual(["info sandboxes start again"]);
  for (let n = 0; n < 5; n++) await fail();
  expect(lines.at(-1)).toBe("warning no sandbox is started for 2000 ms: no space left");
});

test("the breaker stays open twice as long after each failed trial, up to a minute", async () => {
  const { clock, lines, fail } = await withClock();
  for (let n = 0; n < 5; n++) await fail();
  for (let n = 0; n < 7; n++) {
    clock.now += 100_000;
    await fail(unavailable("still none"));
  }
  expect(lines.map((line) => Number(/for (\d+) ms/.exec(line)?.[1]))).toEqual([
    2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000,
  ]);
  expect(lines.at(-1)).toEndWith("still none");
});

test("while one start tries after the breaker's time, others are refused", async () => {
  const clock = { now: 0 };
  const starts = new Starts({ atOnceMax: 8, log: quiet, clock: () => clock.now });
  for (let n = 0; n < 2; n++) await starts.run(async () => undefined);
  for (let n = 0; n < 5; n++)
    await starts.run(() => Promise.reject(unavailable())).catch(() => undefined);
  clock.now = 2000;
  const trial = Promise.withResolvers<string>();
  const trying = starts.run(() => trial.promise);
  await settle();
  trial.resolve("tried");
  expect(await trying).toBe("tried");
});

test("other errors are passed on and do not open the breaker", async () => {
  const { lines, fail, succeed } = await withClock();
  for (let n = 0; n < 10; n++) {
    const bug = new Error("a bug");
    expect(await fail(bug)).toBe(bug as never);
    await fail(new MatrixError("sandbox_invalid", "no such image"));
  }
  expect(lines).toEqual([]);
  expect(await succeed()).toBe("started");
});
