// The ledger: each process is counted once, whatever dies and comes back, and nothing begins on money that may be gone.

import { describe, expect, test } from "bun:test";
import { Ledger, NOTHING_RECORDED } from "../../src/driver/ledger.ts";
import type { Spent } from "../../src/model/site.ts";
import { createRandom } from "../../src/task/seed.ts";

const spent = (requests: number): Spent => ({ requests, prompt_tokens: 10 * requests, completion_tokens: requests, cost: requests / 100 });
const paid = (requests: number) => ({
  usage: { requests, prompt_tokens: 10 * requests, completion_tokens: requests },
  cost: requests / 100,
});

describe("a ledger", () => {
  test("comes to what all processes spent, over drivers that are killed while hosts live on", () => {
    for (let seed = 0; seed < 100; seed++) {
      const random = createRandom(seed);
      const hosts = new Map<string, number>();
      let ledger = new Ledger(NOTHING_RECORDED);
      for (let step = 0; step < 200; step++) {
        const name = `host-${Math.floor(random() * 5)}`;
        const requests = (hosts.get(name) ?? 0) + Math.floor(random() * 10);
        hosts.set(name, requests);
        // What a host tells a driver that is about to be killed, it tells the next one, too.
        const noted = ledger.recorded;
        if (random() < 0.9) ledger.report(name, spent(requests));
        if (random() < 0.1) ledger = new Ledger(JSON.parse(JSON.stringify(random() < 0.5 ? noted : ledger.recorded)));
      }
      for (const [name, requests] of hosts) ledger.report(name, spent(requests));
      const all = [...hosts.values()].reduce((sum, requests) => sum + requests, 0);
      expect([seed, ledger.spent.requests, ledger.spent.prompt_tokens]).toEqual([seed, all, 10 * all]);
      expect(ledger.spent.cost).toBeCloseTo(all / 100, 6);
    }
  });

  test("is used up by what earlier starts spent, at once", () => {
    const earlier = { ...spent(10), hosts: { old: spent(4) } };
    expect(new Ledger(earlier, { tokens: 110 }).spentUp.aborted).toBe(true);
    expect(new Ledger(earlier, { tokens: 111 }).spentUp.aborted).toBe(false);
    expect(new Ledger(earlier, { money: 0.1 }).spentUp.aborted).toBe(true);
    expect(new Ledger(earlier).spentUp.aborted).toBe(false);
  });

  test("has room for a task while those in flight leave some of the budget, if they take what finished ones took", () => {
    const ledger = new Ledger(NOTHING_RECORDED, { tokens: 1100 });
    const none = { tasks: 0, used: NOTHING_RECORDED };
    expect([0, 3, 4].map((inFlight) => ledger.hasRoom(inFlight, none, 0))).toEqual([true, true, false]);
    ledger.report("host", spent(50));
    const finished = { tasks: 5, used: spent(25) };
    // 550 are left, and each task takes 55.
    expect([0, 9, 10].map((inFlight) => ledger.hasRoom(inFlight, finished, 0))).toEqual([true, true, false]);
    // What hosts have not told yet is counted as well.
    ledger.record(paid(25), 0);
    expect([0, 4, 5].map((inFlight) => ledger.hasRoom(inFlight, finished, 0))).toEqual([true, true, false]);
    expect(new Ledger(NOTHING_RECORDED, { money: 1 }).hasRoom(20, { tasks: 1, used: spent(5) }, 0)).toBe(false);
  });

  test("holds back what is next while records say more than hosts have told, and only near the budget", () => {
    const ledger = new Ledger(NOTHING_RECORDED, { tokens: 1100 });
    ledger.record(paid(50), 1000);
    expect(ledger.hold(1000)).toBeNull();
    ledger.record(paid(50), 1100);
    expect(ledger.hold(1100)).toBeInstanceOf(Promise);
    // Hosts have told by now what they had spent then.
    expect(ledger.hold(3000)).toBeNull();
    ledger.report("host", spent(99));
    expect(ledger.hold(3000)).toBeNull();
    ledger.report("host", spent(100));
    expect(ledger.spentUp.aborted).toBe(true);
    expect(ledger.hold(3000)).toBeNull();
  });
});
