import { expect, test } from "bun:test";
import { Quarantine, STRIKES_ALONE, type Suspect } from "../../src/peer/quarantine.ts";

function createQuarantine() {
  const started: string[] = [];
  const suspect = (name: string, strikes: number): Suspect => ({
    strikes,
    start: () => started.push(name),
  });
  return { quarantine: new Quarantine(), started, suspect };
}

test("a suspect runs alone from three strikes on", () => {
  expect(STRIKES_ALONE).toBe(3);
});

test.each([
  [0, 100],
  [1, 16],
  [2, 4],
  [3, 1],
  [4, 1],
  [99, 1],
])("of 100 suspects with %d strikes %d run at once", (strikes, width) => {
  const { quarantine, started, suspect } = createQuarantine();
  for (let index = 0; index < 100; index++) quarantine.add(suspect(`${index}`, strikes));
  expect(started).toEqual(Array.from({ length: width }, (_, index) => `${index}`));
});

test.each([
  [[3, 0], ["3"]],
  [[0, 3], ["0"]],
  [
    [0, 0, 3, 0],
    ["0", "0"],
  ],
  [
    [2, 2, 2, 2, 0],
    ["2", "2", "2", "2"],
  ],
  [
    [0, 0, 0, 2, 2],
    ["0", "0", "0", "2"],
  ],
  [
    [0, 0, 0, 0, 2],
    ["0", "0", "0", "0"],
  ],
])(
  "of suspects with strikes %j the first %j run at once, beside no more than any of them allows",
  (all, running) => {
    const { quarantine, started, suspect } = createQuarantine();
    for (const strikes of all) quarantine.add(suspect(`${strikes}`, strikes));
    expect(started).toEqual([...running]);
  },
);

test("a suspect that goes on keeps its place, and the next one starts when it is over", () => {
  const { quarantine, started, suspect } = createQuarantine();
  const [first, step, other] = [suspect("1", 3), suspect("1 goes on", 3), suspect("2", 3)];
  for (const one of [first, other]) quarantine.add(one);
  quarantine.replace(first, step);
  expect(started).toEqual(["1", "1 goes on"]);
  quarantine.remove(step);
  expect(started).toEqual(["1", "1 goes on", "2"]);
});

test("suspects with three strikes and with more share the lane of those that run alone", () => {
  const { quarantine, started, suspect } = createQuarantine();
  for (const strikes of [3, 4]) quarantine.add(suspect(`${strikes}`, strikes));
  expect(started).toEqual(["3"]);
});

test("a suspect that is over lets the longest waiting one start, and one that waits can be removed", () => {
  const { quarantine, started, suspect } = createQuarantine();
  const [first, second, third] = [suspect("1", 3), suspect("2", 3), suspect("3", 3)];
  for (const one of [first, second, third]) quarantine.add(one);
  quarantine.remove(second);
  expect(started).toEqual(["1"]);
  quarantine.remove(first);
  expect(started).toEqual(["1", "3"]);
  quarantine.remove(first);
  quarantine.remove(suspect("never here", 3));
  quarantine.add(second);
  expect(started).toEqual(["1", "3"]);
});
