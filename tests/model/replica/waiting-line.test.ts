// Who gets the next place at a replica, and in which order.

import { expect, test } from "bun:test";
import { WaitingLine } from "../../../src/model/replica/waiting-line.ts";

class Item {
  isOver = false;
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

function createLine(...items: readonly (readonly [preferred: string | null, name: string])[]) {
  const line = new WaitingLine<string | null, Item>();
  const byName = new Map<string, Item>();
  for (const [preferred, name] of items) {
    const item = new Item(name);
    byName.set(name, item);
    line.add(preferred, item);
  }
  const take = (replica: string, ...able: readonly string[]) =>
    line.takeFor(replica, (preferred) => preferred !== null && able.includes(preferred))?.name;
  return { line, byName, take };
}

test("a replica takes first what prefers it, in order of arrival", () => {
  const { take } = createLine(["B", "1"], ["A", "2"], ["B", "3"], ["A", "4"]);
  expect([take("A", "A", "B"), take("A", "A", "B")]).toEqual(["2", "4"]);
});

test("a replica that nothing prefers takes what has waited longest", () => {
  const { take } = createLine(["C", "1"], ["B", "2"], ["B", "3"]);
  const all = ["A", "B", "C"];
  expect([take("A", ...all), take("A", ...all), take("A", ...all), take("A", ...all)]).toEqual([
    "1",
    "2",
    "3",
    undefined,
  ]);
});

test("what prefers a replica that cannot take any is taken as if it preferred this one", () => {
  const { take } = createLine(["B", "1"], ["C", "2"], ["A", "3"], [null, "4"]);
  expect([take("A", "A", "C"), take("A", "A", "C")]).toEqual(["1", "3"]);
  expect([take("A", "A", "C"), take("A", "A", "C")]).toEqual(["4", "2"]);
});

test("items that are over are skipped, and do not count as waiting", () => {
  const { line, byName, take } = createLine(["A", "1"], ["A", "2"], ["B", "3"]);
  for (const name of ["1", "3"]) (byName.get(name) as Item).isOver = true;
  expect([...line].map(({ name }) => name)).toEqual(["2"]);
  expect([take("A", "A", "B"), take("A", "A", "B")]).toEqual(["2", undefined]);
  expect([...line]).toEqual([]);
});

test("an item that is added after its queue was empty is taken like any other", () => {
  const { line, take } = createLine(["A", "1"]);
  expect(take("A", "A")).toBe("1");
  expect(take("A", "A")).toBeUndefined();
  line.add("A", new Item("2"));
  expect(take("A", "A")).toBe("2");
});
