// The delivery promises, proved by simulation: thousands of seeds of a dozen hosts in trouble (tests/peer/world.ts). After
// every run each (row, trial) has one record, nothing is left in custody, and in retry mode nothing is lost.
//
// A failing seed prints itself; MATRIX_SIM_SEED=n runs that one alone, MATRIX_SIM_SEEDS=n runs more of them.
//
// What it found while this was built:
// - releases that rode on an answer were gone when the answer was: a sender kept its copy for ever (they ride on requests now);
// - a parcel from a host that its receiver did not know yet could never be released (strangers are refused until known);
// - "you were given up" was said once, in an answer that could be lost: the host never repeated itself (joinings are numbered);
// - a driver's census had the number of one by the driver before it: hosts answered with what they had then (numbers are random);
// - ends that came while the driver was forming were taken for old ones, and their tasks ran again (they wait now);
// - a task was struck for its whole stay on a host, so hosts killed from outside made long tasks fail (strikes count by step).

import { describe, expect, test } from "bun:test";
import { type Fault, type Outcome, type Scenario, World } from "./world.ts";

const only = process.env["MATRIX_SIM_SEED"];
const seeds = Number(process.env["MATRIX_SIM_SEEDS"] ?? 1000);
const ALL_FAULTS: readonly Fault[] = [
  "kill",
  "kill-two",
  "kill-driver",
  "kill-all",
  "freeze",
  "cut",
  "cut-one-way",
  "drain",
];

const TROUBLE: Omit<Scenario, "seed"> = {
  delivery: "retry",
  hosts: 12,
  tasks: 150,
  inFlight: 40,
  poison: 0,
  forkRate: 0,
  dropRate: 0.02,
  doubleRate: 0.02,
  troubleMs: 10_000,
  faultEveryMs: 400,
  faults: ALL_FAULTS,
};

/** Runs many seeds and fails with the first that breaks a promise. */
function prove(
  share: number,
  scenario: Omit<Scenario, "seed">,
  check: (outcome: Outcome) => string | null,
): void {
  const list =
    only === undefined
      ? Array.from({ length: Math.ceil(seeds * share) }, (_, i) => i + 1)
      : [Number(only)];
  for (const seed of list) {
    const outcome = new World({ ...scenario, seed }).run();
    const broken = brokenPromise(scenario, outcome) ?? check(outcome);
    if (broken !== null)
      throw new Error(`seed ${seed}: ${broken} (MATRIX_SIM_SEED=${seed} repeats it)`);
  }
}

function brokenPromise(
  { tasks }: Omit<Scenario, "seed">,
  { records, doubled, misrouted, left, stuck }: Outcome,
): string | null {
  if (stuck !== null) return `the run hangs: ${stuck}`;
  if (misrouted.length > 0) return `other hops than the rows ask for: ${misrouted.join(", ")}`;
  if (doubled.length > 0) return `recorded twice: ${doubled.join(", ")}`;
  if (records.size !== tasks) return `expected ${tasks} records, found ${records.size}`;
  return left.held + left.sent + left.inFlight > 0
    ? `left in custody: ${JSON.stringify(left)}`
    : null;
}

function count({ records }: Outcome, status: string): number {
  return [...records.values()].filter((record) => record.status === status).length;
}

describe("delivery", () => {
  test(
    "retry: every task ends once and well, whatever dies, freezes or is cut off",
    () =>
      prove(1, TROUBLE, (outcome) =>
        count(outcome, "ok") === TROUBLE.tasks ? null : "a task did not end well",
      ),
    300_000,
  );

  test(
    "branches: every task that goes several ways at once ends once and well, whatever dies, freezes or is cut off",
    () =>
      prove(1, { ...TROUBLE, forkRate: 0.5 }, (outcome) =>
        count(outcome, "ok") === TROUBLE.tasks ? null : "a task did not end well",
      ),
    300_000,
  );

  test(
    "branches: without trouble none is sent out twice",
    () =>
      prove(
        0.05,
        { ...TROUBLE, forkRate: 1, dropRate: 0, doubleRate: 0, faults: [] },
        ({ restarts, redelivered }) =>
          restarts + redelivered > 0 ? `${restarts} restarts, ${redelivered} redelivered` : null,
      ),
    300_000,
  );

  test(
    "branches: hosts that are full of tasks that wait for them still take them",
    () =>
      prove(
        0.05,
        { ...TROUBLE, hosts: 3, tasks: 300, inFlight: 300, forkRate: 1, faults: [] },
        (outcome) => (count(outcome, "ok") === 300 ? null : "a task did not end well"),
      ),
    300_000,
  );

  test(
    "branches: what the only two hosts knew that died is found missing and done again",
    () =>
      prove(
        0.2,
        {
          ...TROUBLE,
          hosts: 6,
          forkRate: 1,
          dropRate: 0,
          doubleRate: 0,
          faults: ["kill-two"],
          faultEveryMs: 600,
        },
        (outcome) => (count(outcome, "ok") === TROUBLE.tasks ? null : "a task did not end well"),
      ),
    300_000,
  );

  test(
    "branches: a host that leaves waits for them",
    () =>
      prove(
        0.2,
        { ...TROUBLE, forkRate: 1, dropRate: 0, doubleRate: 0, faults: ["drain"] },
        ({ restarts, deaths }) =>
          restarts + deaths > 0 ? `${restarts} restarts, ${deaths} deaths` : null,
      ),
    300_000,
  );

  test(
    "branches: hosts that were given up and come back send them out again",
    () =>
      prove(0.2, { ...TROUBLE, forkRate: 1, faults: ["freeze", "cut"] }, (outcome) =>
        count(outcome, "ok") === TROUBLE.tasks ? null : "a task did not end well",
      ),
    300_000,
  );

  test(
    "at-most-once: every task ends once, well or as lost",
    () =>
      prove(0.5, { ...TROUBLE, delivery: "at-most-once" }, (outcome) =>
        count(outcome, "failed") === 0 ? null : "a task failed",
      ),
    300_000,
  );

  test(
    "a network that loses a fifth of everything loses no task",
    () =>
      prove(
        0.1,
        { ...TROUBLE, dropRate: 0.2, doubleRate: 0.2, faults: ["kill", "freeze"] },
        () => null,
      ),
    300_000,
  );

  test(
    "hosts that are killed again and again under long steps take no task for the cause, and none waits for ever",
    () =>
      prove(
        0.05,
        {
          ...TROUBLE,
          hosts: 4,
          inFlight: 60,
          stepMs: 300,
          faultEveryMs: 1500,
          faults: ["kill"],
          troubleMs: 60_000,
        },
        (outcome) =>
          count(outcome, "ok") === TROUBLE.tasks ? null : `${count(outcome, "failed")} failed`,
      ),
    300_000,
  );

  test(
    "a few hosts with no second one to a role do as well",
    () =>
      prove(0.2, { ...TROUBLE, hosts: 3, tasks: 60 }, (outcome) =>
        count(outcome, "ok") === 60 ? null : "a task did not end well",
      ),
    300_000,
  );

  test(
    "drained hosts hand everything over: no row starts again, no step is done twice",
    () =>
      prove(
        0.2,
        { ...TROUBLE, dropRate: 0, doubleRate: 0, faults: ["drain"] },
        ({ restarts, deaths }) =>
          restarts + deaths > 0 ? `${restarts} restarts, ${deaths} deaths` : null,
      ),
    300_000,
  );

  test(
    "a driver that dies again and again starts no row again: hosts hold what is in flight",
    () =>
      prove(
        0.2,
        {
          ...TROUBLE,
          tasks: 600,
          dropRate: 0,
          doubleRate: 0,
          faultEveryMs: 1500,
          faults: ["kill-driver"],
        },
        ({ restarts }) => (restarts > 0 ? `${restarts} rows started again` : null),
      ),
    300_000,
  );

  test(
    "without trouble nothing is sent twice",
    () =>
      prove(
        0.05,
        { ...TROUBLE, dropRate: 0, doubleRate: 0, faults: [] },
        ({ restarts, redelivered, duplicates }) =>
          restarts + redelivered + duplicates > 0
            ? `${restarts} restarts, ${redelivered} redelivered, ${duplicates} duplicates`
            : null,
      ),
    300_000,
  );

  test(
    "a row that kills its hosts fails after a few, and takes no other row with it",
    () =>
      prove(0.1, { ...TROUBLE, poison: 1, dropRate: 0, doubleRate: 0, faults: [] }, (outcome) => {
        const codes = ["0:0", "0:1"].map((key) => outcome.records.get(key)?.code ?? "ok");
        const expected = codes.every((code) => code === "host_lost" || code === "ok");
        if (!expected || count(outcome, "failed") > 2)
          return `${count(outcome, "failed")} failed, the poison rows with ${codes}`;
        // Seven find it out; when both hosts that know of it die, its row starts again, and so does the finding out.
        return outcome.deaths <= 40 ? null : `${outcome.deaths} hosts died`;
      }),
    300_000,
  );

  test("of one seed is the same run again", () => {
    const run = () => new World({ ...TROUBLE, seed: 7 }).run();
    expect(run()).toEqual(run());
  });
});
