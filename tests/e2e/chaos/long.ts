// Hundreds of rounds of chaos (round.ts), one after the other, and one table of them: what
// scripts/chaos runs.

import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { FAULTS, type Fault, playRound, type RoundOptions, type RoundResult } from "./round.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "200" },
    seed: { type: "string", default: String(Date.now() % 1e9) },
    workers: { type: "string", default: "3" },
    keep: { type: "string" },
  },
});
const SEED = Number(values.seed);
const SAID_EVERY = 10;
/** Rounds of at-most-once among those of retry. */
const AT_MOST_ONCE_EVERY = 4;

interface Tally {
  rounds: number;
  broken: number;
  faults: number;
  driverStarts: number;
  tasks: number;
  failed: number;
  lost: number;
  restarted: number;
  attemptsMax: number;
  seconds: number[];
}

const tallies = new Map<RoundOptions["delivery"], Tally>();
const struck = new Map<Fault, number>();

let interrupted = false;
process.once("SIGINT", () => {
  interrupted = true;
  console.error("stopping after this round");
});

for (let round = 0; round < Number(values.rounds) && !interrupted; round++) {
  const delivery = round % AT_MOST_ONCE_EVERY === AT_MOST_ONCE_EVERY - 1 ? "at-most-once" : "retry";
  const faults = Object.keys(FAULTS) as Fault[];
  const options = {
    seed: SEED + round,
    delivery,
    faults,
    faultCount: 1 + (round % 5),
    workers: Number(values.workers),
    trials: 40,
  } as const;
  const tally = tallyOf(delivery);
  tally.rounds++;
  try {
    add(tally, await playRound(options));
  } catch (thrown) {
    tally.broken++;
    console.error(
      `round ${round + 1} is broken: ${thrown instanceof Error ? thrown.message : thrown}`,
    );
  }
  if ((round + 1) % SAID_EVERY === 0) console.error(`${round + 1} of ${values.rounds} rounds`);
}
printTable();
process.exitCode = [...tallies.values()].some(({ broken }) => broken > 0) ? 1 : 0;

function tallyOf(delivery: RoundOptions["delivery"]): Tally {
  const known = tallies.get(delivery);
  if (known !== undefined) return known;
  const tally: Tally = {
    rounds: 0,
    broken: 0,
    faults: 0,
    driverStarts: 0,
    tasks: 0,
    failed: 0,
    lost: 0,
    restarted: 0,
    attemptsMax: 0,
    seconds: [],
  };
  tallies.set(delivery, tally);
  return tally;
}

function add(tally: Tally, result: RoundResult): void {
  const { ok, failed, lost, restarted, attemptsMax, faults, driverStarts, seconds } = result;
  tally.faults += faults.length;
  tally.driverStarts += driverStarts;
  tally.tasks += ok + failed + lost;
  tally.failed += failed;
  tally.lost += lost;
  tally.restarted += restarted;
  tally.attemptsMax = Math.max(tally.attemptsMax, attemptsMax);
  tally.seconds.push(seconds);
  for (const fault of faults) struck.set(fault, (struck.get(fault) ?? 0) + 1);
}

function printTable(): void {
  const date = new Date().toISOString().slice(0, 10);
  console.log(
    `\n${values.workers} workers, seed ${SEED}, ${cpus()[0]?.model} × ${cpus().length}, ${date}`,
  );
  const heads = [
    "",
    "rounds",
    "broken",
    "faults",
    "drivers",
    "tasks",
    "failed",
    "lost",
    "restarted",
    "attempts",
    "s p50",
    "s max",
  ];
  console.log(
    heads.map((head, index) => (index === 0 ? head.padEnd(14) : head.padStart(10))).join(""),
  );
  for (const [delivery, tally] of tallies) {
    const { rounds, broken, faults, driverStarts, tasks, failed, lost, restarted, attemptsMax } =
      tally;
    const seconds = tally.seconds.toSorted((a, b) => a - b);
    const times = [seconds[Math.floor(seconds.length / 2)], seconds.at(-1)].map((value) =>
      (value ?? 0).toFixed(1),
    );
    const cells = [
      rounds,
      broken,
      faults,
      driverStarts,
      tasks,
      failed,
      lost,
      restarted,
      attemptsMax,
      ...times,
    ];
    console.log(delivery.padEnd(14) + cells.map((cell) => String(cell).padStart(10)).join(""));
  }
  for (const [fault, meaning] of Object.entries(FAULTS)) {
    console.log(`${String(struck.get(fault as Fault) ?? 0).padStart(6)} × ${fault}: ${meaning}`);
  }
}
