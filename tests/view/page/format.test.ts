import { expect, test } from "bun:test";
import * as format from "../../../src/view/page/format.ts";

test("durations take the unit in which they have a few digits", () => {
  const of = (...values: number[]) => values.map(format.duration);
  expect(of(0, 0.05, 0.1, 9.94, 10, 999)).toEqual([
    ...["0 ms", "<0.1 ms", "0.1 ms", "9.9 ms", "10 ms", "999 ms"],
  ]);
  expect(of(1000, 9999, 10_000, 59_999)).toEqual(["1.00 s", "10.00 s", "10.0 s", "60.0 s"]);
  expect(of(60_000, 3_599_000, 3_600_000, 172_799_000, 172_800_000)).toEqual([
    ...["1 min 0 s", "59 min 59 s", "1 h 0 min", "47 h 59 min", "2 d 0 h"],
  ]);
  expect(of(-20)).toEqual(["−20 ms"]);
  expect(format.duration(null)).toBe("–");
});

test("small amounts keep three digits, and large ones two decimals", () => {
  expect([0, 0.0000885, 0.082, 0.5, 1, 999.999].map(format.money)).toEqual([
    ...["0", "0.0000885", "0.0820", "0.500", "1.00", "1000.00"],
  ]);
  expect(format.money(12_345)).toBe("12.3K");
  expect(format.money(null)).toBe("–");
});

test("scores that are whole have no decimals", () => {
  expect([0, 1, -2, 0.5, 0.1234, 1234.5].map(format.score)).toEqual([
    ...["0", "1", "-2", "0.500", "0.123", "1,235"],
  ]);
});

test("counts have separators, and large ones can be shortened", () => {
  expect([format.count(1_234_567), format.compact(9_999), format.compact(10_000)]).toEqual([
    ...["1,234,567", "9,999", "10K"],
  ]);
  expect(format.plural(1, "row") + format.plural(2, "row") + format.plural(0, "try", "tries")).toBe(
    "1 row2 rows0 tries",
  );
});

test("shares are never rounded to none or all", () => {
  expect([0, 0.0005, 0.012, 0.5, 0.9995, 1].map(format.percent)).toEqual([
    ...["0 %", "<0.1 %", "1.2 %", "50 %", ">99.9 %", "100 %"],
  ]);
  expect(format.percent(Number.NaN)).toBe("–");
});

test("a difference has its sign, and one that is shown as zero has none", () => {
  const of = (value: number) => format.signed(value, format.score);
  expect([0.25, -0.25, 0, 0.0001].map(of)).toEqual(["+0.250", "−0.250", "±0", "±0"]);
});

test("bytes take the unit in which they have a few digits", () => {
  expect([0, 999, 1000, 12_345, 9_999_999, 8e9].map(format.bytes)).toEqual([
    ...["0 B", "999 B", "1.0 kB", "12 kB", "10.0 MB", "8.0 GB"],
  ]);
});

test("ages are rounded to one unit", () => {
  const of = (seconds: number) => format.age(new Date(0).toISOString(), seconds * 1000);
  expect([0, 44, 45, 3599, 3600, 86_399, 86_400].map(of)).toEqual([
    ...["just now", "just now", "1 min ago", "60 min ago", "1 h ago", "24 h ago", "1 d ago"],
  ]);
  expect(format.age(null, 0)).toBe("–");
});

test("the name of a run is its key without the hash behind ~", () => {
  expect(format.nameInKey("coral~e8a0eced")).toBe("coral");
  expect(format.nameInKey("coral")).toBe("coral");
});
