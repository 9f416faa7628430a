// Driver and hosts on machines of their own (network.ts), while the network between them is slow, loses packets, and is cut
// and healed. Off loopback the hosts speak TLS.

import { expect, test } from "bun:test";
import { setTimeout as delay } from "node:timers/promises";
import { CORAL, matrix, until, withFolder } from "../matrix.ts";
import { type Accounting, account } from "./accounting.ts";
import { Cluster, type Started } from "./cluster.ts";
import { type Machine, Network, networkMissing } from "./network.ts";
import { settings, undisturbedRecords } from "./round.ts";

const SEED = Number(process.env["MATRIX_TEST_SEED"] ?? Date.now() % 1e9);
const ALL_ROLES = "student,teacher,extractor,matcher";
const HOSTS = 3;
const TEST_MS_MAX = 90_000;
const WINDOW_MS = 500;

interface Stage {
  readonly network: Network;
  readonly cluster: Cluster;
  readonly driver: Started;
  readonly driverMachine: Machine;
  readonly hostMachines: readonly Machine[];
}

interface Scenario {
  readonly title: string;
  readonly trials: number;
  /** Before anything is started. */
  readonly before?: (stage: Pick<Stage, "network" | "driverMachine" | "hostMachines">) => void;
  /** While the run goes on. */
  readonly during?: (stage: Stage) => Promise<void>;
  readonly expected: Partial<Accounting>;
}

const NOTHING_WRONG = { failed: 0, lost: 0, wrong: [] } as const;

const SCENARIOS: readonly Scenario[] = [
  {
    title: "50 ms and 1 % of the packets lost on every way cost time alone: no host is given up, no row starts again",
    trials: 10,
    before: ({ network }) => network.between(network.machines, network.machines, { delayMs: 50, loss: 0.01 }),
    expected: { ...NOTHING_WRONG, restarted: 0 },
  },
  {
    title: "hosts that cannot reach each other, but the driver, send past each other, and are as fast as before when healed",
    trials: 100,
    during: async ({ network, cluster, hostMachines: [one, ...others] }) => {
      if (one === undefined) return;
      await cutAndHeal(cluster, 1500, (loss) => network.between([one], others, { loss }));
    },
    expected: { ...NOTHING_WRONG },
  },
  {
    title: "a host that nobody can reach is given up, and takes load again when healed",
    trials: 100,
    during: async ({ network, cluster, hostMachines: [one] }) => {
      if (one === undefined) return;
      await cutAndHeal(cluster, 6000, (loss) => network.between([one], network.machines, { loss }));
    },
    expected: { ...NOTHING_WRONG },
  },
  {
    title: "a host that hears everybody and is heard by nobody doubles nothing",
    trials: 100,
    during: async ({ network, cluster, driverMachine, hostMachines: [one, ...others] }) => {
      if (one === undefined) return;
      await cutAndHeal(cluster, 6000, (loss) => {
        for (const machine of [driverMachine, ...others]) network.oneWay(one, machine, { loss });
      });
    },
    expected: { ...NOTHING_WRONG },
  },
  {
    title: "a driver that no host can reach finds every task where it was when healed",
    trials: 100,
    during: async ({ network, cluster, driverMachine, hostMachines }) => {
      await cutAndHeal(cluster, 6000, (loss) => network.between([driverMachine], hostMachines, { loss }));
    },
    expected: { ...NOTHING_WRONG },
  },
];

/** Takes a way away for a while, gives it back, and waits until records come as fast as before. */
async function cutAndHeal(cluster: Cluster, forMs: number, setLoss: (loss: number) => void): Promise<void> {
  await until(() => cluster.recordCount() > 400, "the run is under way");
  const before = await rateOf(cluster);
  setLoss(1);
  await delay(forMs);
  const cut = await rateOf(cluster);
  setLoss(0);
  const healedAt = performance.now();
  let after = 0;
  await until(
    async () => {
      after = await rateOf(cluster);
      return after > before / 2;
    },
    `more than half of ${Math.round(before)} records/s are written again`,
  );
  const rates = [before, cut, after].map((rate) => Math.round(rate)).join(", ");
  console.log(`records/s before, while cut and after: ${rates}; ${Math.round(performance.now() - healedAt)} ms after it was healed`);
}

/** Records a second, measured now. */
async function rateOf(cluster: Cluster): Promise<number> {
  const [count, at] = [cluster.recordCount(), performance.now()];
  await delay(WINDOW_MS);
  return ((cluster.recordCount() - count) * 1000) / (performance.now() - at);
}

async function play({ trials, before, during, expected }: Scenario): Promise<void> {
  const reason = networkMissing();
  if (reason !== null) {
    console.log(`skipped: ${reason}`);
    return;
  }
  const undisturbed = await undisturbedRecords(trials);
  await using network = await Network.create(1 + HOSTS, SEED);
  await withFolder(async (folder) => {
    await using cluster = new Cluster(folder);
    const [driverMachine, ...hostMachines] = network.machines;
    if (driverMachine === undefined) throw new Error("the network has no machine");
    before?.({ network, driverMachine, hostMachines });
    const driver = cluster.drive(CORAL, ["--listen", `${driverMachine.address}:0`, ...settings(trials)], driverMachine);
    const agents = hostMachines.map((machine) => cluster.agent(ALL_ROLES, ["--listen", `${machine.address}:0`], machine));
    try {
      await during?.({ network, cluster, driver, driverMachine, hostMachines });
      expect(await driver.ended).toBe(0);
      expect(await Promise.all(agents.map(({ ended }) => ended))).toEqual([0, 0, 0]);
    } catch (thrown) {
      console.log(`seed ${SEED}`, ...[driver, ...agents].map((started) => started.stderr().slice(-1500)));
      throw thrown;
    }
    const rules = { rows: 40, trials, delivery: "retry", undisturbed } as const;
    expect(account(cluster.directory, rules)).toMatchObject(expected);
    expect((await matrix(["verify", cluster.directory])).code).toBe(0);
    await cluster.gone();
    const { carried, lost } = await network.close();
    console.log(`${carried} packets carried, ${lost} lost`);
  });
}

for (const scenario of SCENARIOS) test(scenario.title, () => play(scenario), TEST_MS_MAX);
