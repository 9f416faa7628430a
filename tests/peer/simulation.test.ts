// The promises of delivery, proved by simulation: thousands of seeds of a dozen hosts in trouble
// (world.ts). After every run each (row, trial) has one record and nothing is left in custody, and
// with delivery = "retry" nothing is lost.
//
// A failing seed is printed. MATRIX_SIM_SEED=n runs that one alone, and MATRIX_SIM_SEEDS=n runs as
// many as that.
//
// Mistakes that it found:
// - Releases rode on answers. When an answer was lost, a sender never dropped its copy. Releases
//   ride on requests now.
// - A parcel of a host that its receiver did not know yet could never be released. Batches of
//   strangers are refused now.
// - "You were given up" was said once, in an answer that could be lost, so the host never repeated
//   what its peers have from it. Joinings have names now.
// - A census had the number of one by the driver before it, so hosts answered with what they had
//   had then. Numbers are random now.
// - Ends that came while the driver was forming were taken for old ones, and their tasks ran again.
//   They wait now.
// - A task was struck for its whole stay on a host, so hosts that were killed from outside made
//   long tasks fail. Strikes count by step now.
// - A peer that heard late that a host was given up let go of what it was to release, after that
//   host had repeated itself: the host never dropped its copy. Hosts repeat themselves twice now.

import { expect, test } from "bun:test";
import { GRAPH } from "./graph-rule.ts";
import { type Fault, type Outcome, type Scenario, World } from "./world.ts";

const only = process.env["MATRIX_SIM_SEED"];
const seeds = Number(process.env["MATRIX_SIM_SEEDS"] ?? 1000);
/** A thousand seeds take half a minute alone on a machine, and twenty times that on a busy one. */
const TIMEOUT_MS = 900_000;
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
async function prove(
  share: number,
  scenario: Omit<Scenario, "seed">,
  check: (outcome: Outcome) => string | null,
): Promise<void> {
  const list =
    only === undefined
      ? Array.from({ length: Math.ceil(seeds * share) }, (_, i) => i + 1)
      : [Number(only)];
  for (const seed of list) {
    const outcome = await new World({ ...scenario, seed }).run();
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

test(
  "every task ends once and well, whatever dies, freezes or is cut off",
  () =>
    prove(1, TROUBLE, (outcome) =>
      count(outcome, "ok") === TROUBLE.tasks ? null : "a task did not end well",
    ),
  TIMEOUT_MS,
);

test(
  "every task that goes several ways at once ends once and well, whatever dies, freezes or is cut off",
  () =>
    prove(1, { ...TROUBLE, forkRate: 0.5 }, (outcome) =>
      count(outcome, "ok") === TROUBLE.tasks ? null : "a task did not end well",
    ),
  TIMEOUT_MS,
);

test(
  "every task in a graph with branches, Sends and a subgraph ends once with the state of LangGraph, whatever dies, freezes or is cut off",
  async () => {
    const check = (outcome: Outcome) =>
      count(outcome, "ok") === 60 ? null : "a task did not end well";
    const scenario = { ...TROUBLE, tasks: 60, graph: GRAPH };
    await prove(0.05, scenario, check);
    await prove(0.02, { ...scenario, decidesLater: true }, check);
  },
  TIMEOUT_MS,
);

test(
  "every task ends once and well when its rule is in another process and decides later",
  () =>
    prove(0.03, { ...TROUBLE, forkRate: 0.3, decidesLater: true }, (outcome) =>
      count(outcome, "ok") === TROUBLE.tasks ? null : "a task did not end well",
    ),
  TIMEOUT_MS,
);

test(
  "a turn that is finished is not done again when hosts or the driver die or leave",
  () => {
    for (const [share, faults] of [
      [0.3, ["kill"]],
      [0.1, ["kill", "kill-driver", "kill-all"]],
      [0.1, ["drain", "kill"]],
    ] as const)
      prove(
        share,
        { ...TROUBLE, forkRate: 0.5, dropRate: 0, doubleRate: 0, faults },
        ({ paidTwice }) => (paidTwice.length > 0 ? `done again: ${paidTwice.join(", ")}` : null),
      );
  },
  TIMEOUT_MS,
);

test(
  "a turn that a living host does is not done by another one, when hosts die under tasks without branches",
  () =>
    prove(
      0.2,
      { ...TROUBLE, dropRate: 0, doubleRate: 0, stepMs: 100, faults: ["kill"] },
      ({ paidAtOnce }) => (paidAtOnce.length > 0 ? `done at once: ${paidAtOnce}` : null),
    ),
  TIMEOUT_MS,
);

test(
  "without trouble no branch is sent out twice",
  () =>
    prove(
      0.05,
      { ...TROUBLE, forkRate: 1, dropRate: 0, doubleRate: 0, faults: [] },
      ({ restarts, redelivered }) =>
        restarts + redelivered > 0 ? `${restarts} restarts, ${redelivered} redelivered` : null,
    ),
  TIMEOUT_MS,
);

test(
  "hosts that are full of tasks that wait for branches still take branches",
  () =>
    prove(
      0.05,
      { ...TROUBLE, hosts: 3, tasks: 300, inFlight: 300, forkRate: 1, faults: [] },
      (outcome) => (count(outcome, "ok") === 300 ? null : "a task did not end well"),
    ),
  TIMEOUT_MS,
);

test(
  "a branch that only two dead hosts knew of is found missing and done again",
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
  TIMEOUT_MS,
);

test(
  "a host that leaves waits for its branches",
  () =>
    prove(
      0.2,
      { ...TROUBLE, forkRate: 1, dropRate: 0, doubleRate: 0, faults: ["drain"] },
      ({ restarts, deaths }) =>
        restarts + deaths > 0 ? `${restarts} restarts, ${deaths} deaths` : null,
    ),
  TIMEOUT_MS,
);

test(
  "hosts that were given up and come back send their branches out again",
  () =>
    prove(0.2, { ...TROUBLE, forkRate: 1, faults: ["freeze", "cut"] }, (outcome) =>
      count(outcome, "ok") === TROUBLE.tasks ? null : "a task did not end well",
    ),
  TIMEOUT_MS,
);

test(
  "with delivery at most once, every task ends once, well or as lost",
  () =>
    prove(0.5, { ...TROUBLE, delivery: "at-most-once" }, (outcome) =>
      count(outcome, "failed") === 0 ? null : "a task failed",
    ),
  TIMEOUT_MS,
);

test(
  "with delivery at most once, no step is begun twice, whatever dies, also the driver",
  () =>
    prove(
      0.3,
      { ...TROUBLE, delivery: "at-most-once", doubleRate: 0 },
      // A request that arrives twice is not of this world: HTTP/2 sends none again.
      ({ begunAgain }) => (begunAgain.length > 0 ? `begun again: ${begunAgain.join(", ")}` : null),
    ),
  TIMEOUT_MS,
);

test(
  "a network that loses a fifth of everything loses no task",
  () =>
    prove(
      0.1,
      { ...TROUBLE, dropRate: 0.2, doubleRate: 0.2, faults: ["kill", "freeze"] },
      () => null,
    ),
  TIMEOUT_MS,
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
  TIMEOUT_MS,
);

test(
  "a few hosts with no second one to a role do as well",
  () =>
    prove(0.2, { ...TROUBLE, hosts: 3, tasks: 60 }, (outcome) =>
      count(outcome, "ok") === 60 ? null : "a task did not end well",
    ),
  TIMEOUT_MS,
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
  TIMEOUT_MS,
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
  TIMEOUT_MS,
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
  TIMEOUT_MS,
);

for (const [poison, forkRate, hosts] of [
  [1, 0, 12],
  [2, 0.5, 12],
  [1, 0, 3],
] as const)
  test(
    `${poison} of the rows on ${hosts} hosts kill each host that works on them, and fail alone (branches: ${forkRate})`,
    () =>
      prove(
        0.1,
        { ...TROUBLE, hosts, poison, forkRate, dropRate: 0, doubleRate: 0, faults: [] },
        (outcome) => {
          const failed = [...outcome.records].filter(([, { status }]) => status !== "ok");
          const guilty = Array.from({ length: poison }, (_, row) => `0:${row} host_lost`);
          const found = failed.map(([key, { code }]) => `${key} ${code}`).sort();
          if (found.join() !== guilty.join()) return `failed: ${found.join(", ")}`;
          // Seven find it out; when both hosts that know of it die, its row starts again, and so
          // does the finding out.
          return outcome.deaths <= 60 * poison ? null : `${outcome.deaths} hosts died`;
        },
      ),
    TIMEOUT_MS,
  );

test("one seed gives the same run again", async () => {
  const run = () => new World({ ...TROUBLE, seed: 7 }).run();
  expect(await run()).toEqual(await run());
});

test(
  "hosts that beat and do nothing are shut out, and only the tasks that they held beyond their time fail",
  async () => {
    let found = 0;
    await prove(
      0.3,
      { ...TROUBLE, faults: ["stick", "stick", "kill", "freeze"], taskTimeoutMs: 15_000 },
      ({ records, fenced, wronglyAccused }) => {
        const odd = [...records.values()].filter(
          ({ status, code }) => status !== "ok" && code !== "task_timeout",
        );
        if (odd.length > 0) return `${odd.length} tasks ended as neither ok nor late`;
        if (wronglyAccused.length > 0) return `taken for stuck: ${wronglyAccused.join(", ")}`;
        found += fenced;
        return null;
      },
    );
    expect(found).toBeGreaterThan(0);
  },
  TIMEOUT_MS,
);

test(
  "hosts that hand over something that is not a record are shut out, and every task goes on elsewhere and ends well",
  async () => {
    let found = 0;
    await prove(
      0.5,
      { ...TROUBLE, faults: ["lie", "kill", "freeze"], maxAttempts: 30 },
      ({ records, fenced }) => {
        const odd = [...records.values()].filter(({ status }) => status !== "ok");
        found += fenced;
        return odd.length === 0 ? null : `${odd.length} tasks did not end well`;
      },
    );
    expect(found).toBeGreaterThan(0);
  },
  TIMEOUT_MS,
);
