// The ledger: each process is counted once, even when processes die and come back, and no task
// begins on money that may be spent already.

import { expect, test } from "bun:test";
import { atLeast, Ledger, tokensOf, usedUp } from "../../src/driver/ledger.ts";
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

test("the ledger comes to what all processes spent, over drivers that are killed while hosts live on", () => {
  for (let seed = 0; seed < 100; seed++) {
    const random = createRandom(seed);
    const hosts = new Map<string, number>();
    let ledger = new Ledger(NOTHING_SPENT_BY_HOSTS);
    for (let step = 0; step < 200; step++) {
      const name = `host-${Math.floor(random() * 5)}`;
      const requests = (hosts.get(name) ?? 0) + Math.floor(random() * 10);
      hosts.set(name, requests);
      // A host reports to the next driver again what it told the one that is killed.
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

test("what earlier starts spent can use up the budget at once", () => {
  const earlier = { ...spent(10), hosts: { old: spent(4) } };
  expect(new Ledger(earlier, { tokens: 110 }).spentUp.aborted).toBe(true);
  expect(new Ledger(earlier, { tokens: 111 }).spentUp.aborted).toBe(false);
  expect(new Ledger(earlier, { money: 0.1 }).spentUp.aborted).toBe(true);
  expect(new Ledger(earlier).spentUp.aborted).toBe(false);
});

test("a task may begin while the tasks in flight leave some of the budget, at what ended ones took", () => {
  const ledger = new Ledger(NOTHING_SPENT_BY_HOSTS, { tokens: 1100 });
  const roomBeside = (counts: readonly number[], tasks: number, used = 0) =>
    counts.map((inFlight) => ledger.hasRoom(inFlight, { tasks, used: spent(used) }));
  expect(roomBeside([0, 3, 4], 0)).toEqual([true, true, false]);
  ledger.report("host", spent(50));
  // 550 are left, and each of five tasks took 110.
  expect(roomBeside([0, 4, 5], 5)).toEqual([true, true, false]);
  // Spending that hosts have not reported yet is counted as well: each of ten took 88.
  expect(roomBeside([0, 2, 3], 10, 80)).toEqual([true, true, false]);
  ledger.report("host", spent(99));
  expect(roomBeside([0, 10, 11], 1000)).toEqual([true, true, false]);
});

test("the next task is held back while records may have used up the budget before hosts report it", () => {
  const ledger = new Ledger(NOTHING_SPENT_BY_HOSTS, { tokens: 1100 });
  ledger.record(paid(50), 1000);
  expect(ledger.hold(1000)).toBeNull();
  ledger.record(paid(50), 1100);
  expect(ledger.hold(1100)).toBeInstanceOf(Promise);
  // Hosts have reported by now what they had spent then.
  expect(ledger.hold(3000)).toBeNull();
  ledger.report("host", spent(99));
  expect(ledger.hold(3000)).toBeNull();
  ledger.report("host", spent(100));
  expect(ledger.spentUp.aborted).toBe(true);
  expect(ledger.hold(3000)).toBeNull();
});

test("a report replaces the one before it of the same host, and none with the same number of requests", () => {
  const ledger = new Ledger(NOTHING_SPENT_BY_HOSTS, { tokens: 1000 });
  ledger.report("a", spent(1));
  ledger.report("b", spent(2));
  ledger.report("a", spent(3));
  expect(ledger.spent).toEqual(spent(5));
  ledger.report("a", { ...spent(3), cost: 9 });
  ledger.report("idle", spent(0));
  expect(ledger.recorded).toEqual({ ...spent(5), hosts: { a: spent(3), b: spent(2) } });
});

test("spending of hosts whose names are lost stays in the sum", () => {
  const ledger = new Ledger({ ...spent(10), hosts: { old: spent(4) } });
  ledger.report("new", spent(1));
  ledger.report("old", spent(6));
  expect(ledger.spent.requests).toBe(13);
  expect(ledger.recorded.hosts).toEqual({ old: spent(6), new: spent(1) });
});

test("the signal aborts with the report that reaches the budget", () => {
  const ledger = new Ledger(NOTHING_SPENT_BY_HOSTS, { tokens: 110 });
  ledger.report("a", spent(9));
  expect(ledger.spentUp.aborted).toBe(false);
  ledger.report("a", spent(10));
  expect(ledger.spentUp.aborted).toBe(true);
});

test("without a budget there is always room, and nothing is held", () => {
  const ledger = new Ledger(NOTHING_SPENT_BY_HOSTS);
  ledger.report("a", spent(1e6));
  ledger.record(paid(1e6), 0);
  expect(ledger.hasRoom(1000, { tasks: 1, used: spent(1e6) })).toBe(true);
  expect(ledger.hold(0)).toBeNull();
});

test("a record is forgotten when hosts have had two periods of 600 ms to report it", () => {
  const at = (now: number): boolean => {
    const ledger = new Ledger(NOTHING_SPENT_BY_HOSTS, { tokens: 1100 });
    ledger.record(paid(1), 0);
    ledger.record(paid(100), 700);
    return ledger.hold(now) !== null;
  };
  expect([700, 1299, 1300, 1899, 1900, 5000].map(at)).toEqual([
    ...[true, true, true, true],
    ...[false, false],
  ]);
});

test("a record of the period before is forgotten when the present period is over", () => {
  const ledger = new Ledger(NOTHING_SPENT_BY_HOSTS, { tokens: 1100 });
  ledger.record(paid(100), 700);
  expect(ledger.hold(1300)).not.toBeNull();
  expect(ledger.hold(1899)).not.toBeNull();
  expect(ledger.hold(1900)).toBeNull();
});

test("tasks that are held wait for one and the same report, and for the next one afterwards", async () => {
  const ledger = new Ledger(NOTHING_SPENT_BY_HOSTS, { money: 1 });
  ledger.record(paid(100), 0);
  const held = ledger.hold(0);
  expect(ledger.hold(1)).toBe(held);
  await held;
  const next = ledger.hold(2);
  expect(next).not.toBeNull();
  expect(next).not.toBe(held);
});

test("a record without a cost counts its tokens alone", () => {
  const ledger = new Ledger(NOTHING_SPENT_BY_HOSTS, { money: 1, tokens: 110 });
  ledger.record({ ...paid(9), cost: null }, 0);
  expect(ledger.hold(0)).toBeNull();
  ledger.record({ ...paid(1), cost: null }, 0);
  expect(ledger.hold(0)).not.toBeNull();
});

test("a budget is used up when its limit is reached, and says by how much in money or tokens", () => {
  expect(usedUp({ ...spent(1), cost: 1.5 }, { money: 1.5 })).toBe("1.5000 of 1.5 in money");
  expect(usedUp({ ...spent(1), cost: 1.49999 }, { money: 1.5 })).toBeNull();
  expect(usedUp(spent(1000), { tokens: 11_000 })).toBe("11,000 of 11,000 tokens");
  expect(usedUp(spent(1000), { tokens: 11_001 })).toBeNull();
  // Money is named first where both are used up.
  expect(usedUp(spent(1000), { money: 2, tokens: 5 })).toBe("10.0000 of 2 in money");
  expect(usedUp(spent(1000), {})).toBeNull();
});

test("tokens are those of prompts and of answers", () => {
  expect(tokensOf({ requests: 1, prompt_tokens: 20, completion_tokens: 3, cost: 0 })).toBe(23);
});

test("the larger of two sums is taken member by member", () => {
  const noted = { requests: 1, prompt_tokens: 20, completion_tokens: 3, cost: 40 };
  const used = { requests: 10, prompt_tokens: 2, completion_tokens: 30, cost: 4 };
  expect(atLeast(noted, used)).toEqual({
    requests: 10,
    prompt_tokens: 20,
    completion_tokens: 30,
    cost: 40,
  });
});

test("one task may begin alone, though the budget is used up by then", () => {
  const ledger = new Ledger({ ...spent(100), hosts: {} }, { tokens: 1100 });
  expect(ledger.hasRoom(0, { tasks: 10, used: spent(100) })).toBe(true);
  expect(ledger.hasRoom(1, { tasks: 10, used: spent(100) })).toBe(false);
});
