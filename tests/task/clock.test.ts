import { expect, test } from "bun:test";
import { systemClock } from "../../src/task/clock.ts";

test("the system clock counts milliseconds since the epoch and never goes back", () => {
  const before = systemClock();
  expect(Math.abs(before - Date.now())).toBeLessThan(60_000);
  expect(systemClock()).toBeGreaterThanOrEqual(before);
});
