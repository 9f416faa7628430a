// The patience of a host with a silent driver.

import { expect, test } from "bun:test";
import { Patience } from "../../src/host/patience.ts";

test("a host waits for a silent driver as long as it was told, and anew after each answer", () => {
  const patience = new Patience(10_000, 0);
  const asked = (from: number, to: number) => {
    const answers: string[] = [];
    for (let now = from; now <= to; now += 1000) answers.push(patience.ask(now));
    return answers;
  };
  expect(asked(1000, 9000)).toEqual(Array(9).fill("wait"));
  patience.heard(9500);
  expect(asked(10_500, 18_500)).toEqual(Array(9).fill("wait"));
  expect(asked(19_500, 20_500)).toEqual(["give up", "give up"]);
  patience.heard(21_000);
  expect(patience.ask(22_000)).toBe("wait");
});

test("a host that was frozen counts five seconds of that time at most", () => {
  const patience = new Patience(10_000, 0);
  expect(patience.ask(1000)).toBe("wait");
  expect(patience.ask(3_600_000)).toBe("wait");
  patience.heard(3_600_100);
  expect(patience.ask(3_601_000)).toBe("wait");
});

test("a host with endless patience waits for ever", () => {
  const patience = new Patience(Number.POSITIVE_INFINITY, 0);
  for (let now = 0; now < 1e9; now += 1e6) expect(patience.ask(now)).toBe("wait");
});

test("a host gives up when it has waited exactly as long as its patience", () => {
  const patience = new Patience(1000, 500);
  expect(patience.ask(1499)).toBe("wait");
  expect(patience.ask(1500)).toBe("give up");
});

test("of a pause between two questions, five seconds count", () => {
  const patience = new Patience(10_001, 0);
  expect([patience.ask(9000), patience.ask(18_000), patience.ask(18_001)]).toEqual([
    "wait",
    "wait",
    "give up",
  ]);
});

test("an answer begins the wait anew, from the time of the answer", () => {
  const patience = new Patience(1000, 0);
  patience.ask(900);
  patience.heard(1000);
  expect([patience.ask(1999), patience.ask(2000)]).toEqual(["wait", "give up"]);
});
