// Turns that a run pays for while its workers are killed, counted by the endpoint (paid.ts).
// MATRIX_TEST_SEED repeats a round, and MATRIX_PAID_ROUNDS sets the number of rounds.

import { expect, test } from "bun:test";
import { playPaidRound } from "./paid.ts";

const SEED = Number(process.env["MATRIX_TEST_SEED"] ?? Date.now() % 1e9);
const ROUNDS = Number(process.env["MATRIX_PAID_ROUNDS"] ?? 1);
const ROUND_MS_MAX = 120_000;

for (const pattern of ["best-of-n", "dialogue"] as const)
  for (let seed = SEED; seed < SEED + ROUNDS; seed++)
    test(
      `no turn of a ${pattern} is paid for twice when workers are killed (seed ${seed})`,
      async () => {
        const paid = await playPaidRound({ pattern, seed, rows: 60, workers: 3, kills: 3 });
        expect(paid).toEqual({ requests: pattern === "dialogue" ? 360 : 480, twice: [] });
      },
      ROUND_MS_MAX,
    );
