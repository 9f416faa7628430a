// The pauses before a worker is started again. What needs processes is in tests/e2e/run/worker.

import { expect, test } from "bun:test";
import { restartDelayMs } from "../../../src/run/worker/supervisor.ts";

test("a worker is started again at once twice, and then after pauses that double up to 30 s", () => {
  const pauses = Array.from({ length: 12 }, (_, index) => restartDelayMs(index + 1));
  expect(pauses).toEqual([
    ...[0, 0, 250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000],
  ]);
});
