// Turns at a model for several hosts: how many a host gets, how they are shared, and what happens
// to requests that are given up.

import { expect, test } from "bun:test";
import { Rates } from "../../src/driver/rates.ts";
import { ProcessPermits } from "../../src/model/permits.ts";
import type { Rate } from "../../src/model/rate.ts";
import { until } from "../parts/until.ts";

const RATES = new Map([["m", { rpm: 12_000 }]]);
const patient = new AbortController().signal;

test("turns at a model are shared: a host with few requests does not wait for one with many", async () => {
  const rates = new Rates(RATES);
  const [greedy, modest] = [
    new ProcessPermits(RATES.keys(), rates),
    new ProcessPermits(RATES.keys(), rates),
  ];
  let before = 0;
  const leaving = new AbortController();
  for (let count = 0; count < 2000; count++) {
    void greedy
      .take("m", () => 0, leaving.signal)
      .then(
        () => before++,
        () => undefined,
      );
  }
  await Promise.all(Array.from({ length: 20 }, () => modest.take("m", () => 0, patient)));
  // One each, and a few that were given out before the second had asked.
  expect(before).toBeLessThan(80);
  leaving.abort(new Error("enough"));
  rates.stop();
});

test("a request stops waiting for its turn when its step's signal aborts, with the signal's reason", async () => {
  const rates = new Rates(new Map([["m", { rpm: 1 }]]));
  const permits = new ProcessPermits(["m"], rates);
  await permits.take("m", () => 0, patient);
  const step = new AbortController();
  const waiting = permits.take("m", () => 0, step.signal);
  step.abort(new Error("the step is over"));
  await expect(waiting).rejects.toThrow("the step is over");
  rates.stop();
});

test("the driver names the rate that requests wait for, by its recipe key", async () => {
  const rates = new Rates(new Map([["gpt-4.1", { rpm: 1000, tpm: 10 }]]));
  const permits = new ProcessPermits(["gpt-4.1"], rates);
  expect(rates.waitedFor).toEqual([]);
  await permits.take("gpt-4.1", () => 100, patient);
  const leaving = new AbortController();
  const waiting = permits.take("gpt-4.1", () => 100, leaving.signal);
  expect(rates.waitedFor).toEqual(['models."gpt-4.1".tpm']);
  leaving.abort(new Error("enough"));
  await expect(waiting).rejects.toThrow("enough");
  rates.stop();
});

test("requests wait for their turn while the driver is away, and get it when the driver is back", async () => {
  const rates = new Rates(RATES);
  let away = true;
  const asked = Promise.withResolvers<void>();
  const permits = new ProcessPermits(RATES.keys(), {
    ask: (model, wanted) => {
      if (!away) return rates.ask(model, wanted);
      asked.resolve();
      return Promise.reject(new Error("no driver"));
    },
  });
  const taken = permits.take("m", () => 0, patient);
  await asked.promise;
  away = false;
  await taken;
  rates.stop();
});

test("a model without a rate gives turns at once, until a driver has a rate for it", async () => {
  const permits = new ProcessPermits(RATES.keys(), {
    ask: () => Promise.reject(new Error("bug: asked")),
  });
  await permits.take("other", () => 1e9, patient);
  permits.settle("other", 0, 1e9);
  // Until a driver has one for it.
  permits.addModels(["other"]);
  const waiting = new AbortController();
  const taken = permits.take("other", () => 1, waiting.signal);
  waiting.abort(new Error("it waits"));
  await expect(taken).rejects.toThrow("it waits");
});

test("a turn waits for the tokens that earlier requests took beyond their estimates", async () => {
  const rates = new Rates(new Map([["m", { tpm: 60_000 }]]));
  await rates.ask("m", { tokens: [10], settled: 0 });
  await rates.ask("m", { tokens: [], settled: 3_600_000 });
  const next = rates.ask("m", { tokens: [10], settled: 0 });
  expect(await next).toEqual([]);
  rates.stop();
});

/** Rates of one model on a clock that the test sets. */
function createRates(rate: Rate) {
  const clock = { now: 5000, reads: 0 };
  const rates = new Rates(new Map([["m", rate]]), () => {
    clock.reads++;
    return clock.now;
  });
  const ask = (...tokens: readonly number[]) => rates.ask("m", { tokens, settled: 0 });
  /** Lets the driver give out turns at the time that the clock shows now. */
  const look = async () => {
    const before = clock.reads;
    await rates.ask("m", { tokens: [], settled: Number.MIN_VALUE });
    // It reads the clock to set its timer, and again when the timer has fired.
    await until(() => clock.reads >= before + 2, "the driver has looked");
  };
  return { rates, clock, ask, look };
}

test("a host gets the turns of the next 100 ms, and no more, in one answer", async () => {
  const { rates, ask } = createRates({ rpm: 6000 });
  const waits = await ask(...Array<number>(30).fill(0));
  expect(waits).toEqual([0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]);
  rates.stop();
});

test("hosts that ask together get turns in rotation, one request each", async () => {
  const { rates, ask } = createRates({ rpm: 1200 });
  const answers = await Promise.all([ask(0, 0, 0), ask(0), ask(0, 0)]);
  expect(answers).toEqual([[0], [50], [100]]);
  rates.stop();
});

test("a host that has all its turns leaves the next ones to the others", async () => {
  const { rates, ask } = createRates({ rpm: 2400 });
  expect(await Promise.all([ask(0), ask(0, 0, 0, 0, 0)])).toEqual([[0], [25, 50, 75, 100]]);
  rates.stop();
});

test("each turn takes the tokens of its own request", async () => {
  const { rates, ask } = createRates({ tpm: 60_000 });
  expect(await ask(10, 30, 50, 100, 1)).toEqual([0, 10, 40, 90]);
  rates.stop();
});

test("a host without a turn is answered with none after one second, and not before", async () => {
  const { rates, clock, ask, look } = createRates({ rpm: 1 });
  expect(await ask(0)).toEqual([0]);
  let answer: readonly number[] | null = null;
  const asked = ask(0).then((waits) => {
    answer = waits;
  });
  expect(rates.waitedFor).toEqual(["models.m.rpm"]);
  clock.now += 999;
  await look();
  expect(answer).toBeNull();
  clock.now += 1;
  await look();
  await asked;
  expect(answer).toEqual([] as unknown as null);
  expect(rates.waitedFor).toEqual([]);
  rates.stop();
});

test("a driver that stops answers every host that waits, with the turns that it has", async () => {
  const { rates, ask } = createRates({ rpm: 1 });
  await ask(0);
  const asked = [ask(0), ask(0, 0)];
  rates.stop();
  expect(await Promise.all(asked)).toEqual([[], []]);
  expect([...rates.models]).toEqual(["m"]);
});

test("a model that has no rate lets every request go at once", async () => {
  const { rates } = createRates({ rpm: 1 });
  expect(await rates.ask("other", { tokens: [5, 5], settled: 9 })).toEqual([0, 0]);
  rates.stop();
});

test("a single token beyond the estimates counts, too", async () => {
  const { rates, ask } = createRates({ tpm: 600 });
  expect(await ask(0)).toEqual([0]);
  await rates.ask("m", { tokens: [], settled: 1 });
  expect(await ask(0)).toEqual([100]);
  rates.stop();
});

test("hosts whose turn comes later are answered then, without asking again", async () => {
  const rates = new Rates(new Map([["m", { rpm: 1200 }]]));
  const ask = () => rates.ask("m", { tokens: [0], settled: 0 });
  const answers = await Promise.all([ask(), ask(), ask(), ask(), ask()]);
  expect(answers.map((waits) => waits.length)).toEqual([1, 1, 1, 1, 1]);
  rates.stop();
});

test("the driver looks at no clock for a model while no host waits", async () => {
  const { rates, clock, ask } = createRates({ rpm: 6000 });
  await ask(0);
  const { reads } = clock;
  const others = createRates({ rpm: 6000 });
  // The other model gives out turns twice, each time after hosts could gather.
  for (let turn = 0; turn < 2; turn++) await others.ask(0);
  expect(clock.reads).toBe(reads);
  others.rates.stop();
  rates.stop();
});

test("hosts that ask while turns are gathered wait for one look together", async () => {
  const { rates, clock, ask } = createRates({ rpm: 6000 });
  const before = clock.reads;
  await Promise.all([ask(0), ask(0), ask(0)]);
  // Each ask reads the clock, the timer is set once, and it gives out turns once.
  expect(clock.reads - before).toBe(5);
  rates.stop();
});
