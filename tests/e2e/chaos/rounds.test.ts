// Rounds of chaos against the compiled binary (round.ts): hosts and driver are killed, stopped and
// ended at random, and the driver is started again. MATRIX_TEST_SEED repeats them,
// MATRIX_CHAOS_ROUNDS sets how many of each kind there are; scripts/chaos plays hundreds.

import { test } from "bun:test";
import { FAULTS, type Fault, playRound } from "./round.ts";

const SEED = Number(process.env["MATRIX_TEST_SEED"] ?? Date.now() % 1e9);
const ROUNDS = Number(process.env["MATRIX_CHAOS_ROUNDS"] ?? 1);
const ROUND_MS_MAX = 150_000;

const NAMES = Object.keys(FAULTS) as Fault[];
/** These take as long as a silent host is waited for, or a grace lasts: for scripts/chaos. */
const SLOW: readonly Fault[] = ["stop a host for long", "stop a host for good"];

for (let round = 0; round < ROUNDS; round++) {
  const seed = SEED + round;
  const common = {
    seed,
    faults: NAMES.filter((name) => !SLOW.includes(name)),
    faultCount: 3,
    workers: 3,
    trials: 30,
  };
  test(
    `delivery "retry" loses and doubles nothing in a round of chaos (seed ${seed})`,
    async () => void (await playRound({ ...common, delivery: "retry" })),
    ROUND_MS_MAX,
  );
  test(
    `delivery "at-most-once" records each loss once and starts no row again (seed ${seed})`,
    async () => void (await playRound({ ...common, delivery: "at-most-once" })),
    ROUND_MS_MAX,
  );
}
