// Turns at a model for several hosts: what one gets, what the others get, and what becomes of those who give up.

import { describe, expect, test } from "bun:test";
import { Rates } from "../../src/driver/rates.ts";
import { ProcessPermits } from "../../src/model/permits.ts";

const RATES = new Map([["m", { rpm: 12_000 }]]);
const patient = new AbortController().signal;

describe("turns at a model", () => {
  test("are shared: a host with few requests does not wait for one with many", async () => {
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

  test("are not waited for longer than the step's signal lets, with its reason", async () => {
    const rates = new Rates(new Map([["m", { rpm: 1 }]]));
    const permits = new ProcessPermits(["m"], rates);
    await permits.take("m", () => 0, patient);
    const step = new AbortController();
    const waiting = permits.take("m", () => 0, step.signal);
    step.abort(new Error("the step is over"));
    await expect(waiting).rejects.toThrow("the step is over");
    rates.stop();
  });

  test("say which rate they wait for", async () => {
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

  test("are waited for while the driver is away, and taken when it is there again", async () => {
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

  test("are given at once for a model without a rate", async () => {
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

  test("of tokens wait for what earlier requests turned out to be", async () => {
    const rates = new Rates(new Map([["m", { tpm: 60_000 }]]));
    await rates.ask("m", { tokens: [10], settled: 0 });
    await rates.ask("m", { tokens: [], settled: 3_600_000 });
    const next = rates.ask("m", { tokens: [10], settled: 0 });
    expect(await next).toEqual([]);
    rates.stop();
  });
});
