// The ledger: each process is counted once, whatever dies and comes back, and nothing begins on money that may be gone.

import { describe, expect, test } from "bun:test";
import { Ledger } from "../../src/driver/ledger.ts";
import { createRandom } from "../../src/task/seed.ts";
import { NOTHING_SPENT_BY_HOSTS, type Spent } from "../../src/task/spent.ts";

const spent = (requests: number): Spent => ({
  requests,
  prompt_tokens: 10 * requests,
  completion_tokens: requests,
  cost: requests / 100,
});
const paid = (requests: number) => ({
  usage: { requests, prompt_tokens: 10 * requests, completion_tokens: requests },
  cost: requests / 100,
});

describe("a ledger", () => {
  test("comes to what all processes spent, over drivers that are killed while hosts live on", () => {
    for (let seed = 0; seed < 100; seed++) {
      const random = createRandom(seed);
      const hosts = new Map<string, number>();
      let ledger = new Ledger(NOTHING_SPENT_BY_HOSTS);
      for (let step = 0; step < 200; step++) {
        const name = `host-${Math.floor(random() * 5)}`;
        const requests = (hosts.get(name) ?? 0) + Math.floor(random() * 10);
        hosts.set(name, requests);
        // What a host tells a driver that is about to be killed, it tells the next one, too.
        const noted = ledger.recorded;
        if (random() < 0.9) ledger.report(name, spent(requests));
        if (random() < 0.1)
          ledger = new Ledger(JSON.parse(JSON.stringify(random() < 0.5 ? noted : ledger.recorded)));
      }
      for (const [name, requests] of hosts) ledger.report(name, spent(requests));
      const all = [...hosts.values()].reduce((sum, requests) => sum + requests, 0);
      expect([seed, ledger.spent.requests, ledger.spent.prompt_tokens]).toEqual([
        seed,
        all,
        10 * all,
      ]);
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

  test("has room for a task while those in flight leave some of the budget, if they yet take what finished ones took", () => {
    const ledger = new Ledger(NOTHING_SPENT_BY_HOSTS, { tokens: 1100 });
    const roomBeside = (counts: readonly number[], tasks: number, used = 0) =>
      counts.map((inFlight) => ledger.hasRoom(inFlight, { tasks, used: spent(used) }));
    expect(roomBeside([0, 3, 4], 0)).toEqual([true, true, false]);
    ledger.report("host", spent(50));
    // 550 are left, and each of five tasks took 110.
    expect(roomBeside([0, 4, 5], 5)).toEqual([true, true, false]);
    // What hosts have not told yet is counted as well: each of ten took 88.
    expect(roomBeside([0, 2, 3], 10, 80)).toEqual([true, true, false]);
    ledger.report("host", spent(99));
    expect(roomBeside([0, 10, 11], 1000)).toEqual([true, true, false]);
  });

  test("holds back what is next while records say more than hosts have told, and only near the budget", () => {
    const ledger = new Ledger(NOTHING_SPENT_BY_HOSTS, { tokens: 1100 });
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
