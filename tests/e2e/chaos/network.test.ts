// Driver and hosts on separate machines (network.ts), while the network between them is slow, loses
// packets, and is cut and healed. Off loopback the hosts speak TLS.

import { expect, test } from "bun:test";
import { setTimeout as delay } from "node:timers/promises";
import { withFolder } from "../../parts/folder.ts";
import { matrix } from "../../parts/program.ts";
import { CORAL } from "../../parts/repository.ts";
import { until } from "../../parts/until.ts";
import { type Accounting, account, readFinished } from "./accounting.ts";
import { Cluster, type Started } from "./cluster.ts";
import { type Machine, Network, networkMissing } from "./network.ts";
import { paced, undisturbedRecords } from "./round.ts";

const SEED = Number(process.env["MATRIX_TEST_SEED"] ?? Date.now() % 1e9);
const ALL_ROLES = "student,teacher,extractor,matcher";
const HOSTS = 3;
const TEST_MS_MAX = 90_000;
const FEW_RECORDS = 30;
/** Longer than the driver waits for a host that is silent. */
const GIVEN_UP_MS = 6000;
/**
 * Slow enough that the network is what is tested, also on a machine with little to spare: some 50
 * records a second.
 */
const PACE = { trials: 15, inFlight: 60, latencyMs: 250 } as const;

interface Stage {
  readonly network: Network;
  readonly cluster: Cluster;
  readonly driver: Started;
  readonly driverMachine: Machine;
  readonly hostMachines: readonly Machine[];
}

interface Scenario {
  readonly title: string;
  /** Before anything is started. */
  readonly before?: (stage: Pick<Stage, "network" | "driverMachine" | "hostMachines">) => void;
  /** While the run goes on. */
  readonly during?: (stage: Stage) => Promise<Healing | null>;
  /** The host that must do hops after healing. */
  readonly returning?: string;
  readonly expected: Partial<Accounting>;
}

interface Healing {
  readonly said: string;
  readonly healedAt: number;
}

const NOTHING_WRONG = { failed: 0, lost: 0, wrong: [] } as const;

const SCENARIOS: readonly Scenario[] = [
  {
    title:
      "50 ms of delay and 1 % of lost packets cost only time: no host is given up, no row starts again",
    before: ({ network }) =>
      network.between(network.machines, network.machines, { delayMs: 50, loss: 0.01 }),
    expected: { ...NOTHING_WRONG, restarted: 0 },
  },
  {
    title:
      "hosts that reach the driver but not each other send past each other, and deliver again when healed",
    during: async ({ network, cluster, hostMachines: [one, ...others] }) => {
      if (one === undefined) return null;
      return cutAndHeal(cluster, 1500, (loss) => network.between([one], others, { loss }));
    },
    expected: { ...NOTHING_WRONG },
  },
  {
    title: "a host that no other host can reach is given up, and takes tasks again when healed",
    during: async ({ network, cluster, hostMachines: [one] }) => {
      if (one === undefined) return null;
      return cutAndHeal(cluster, GIVEN_UP_MS, (loss) =>
        network.between([one], network.machines, { loss }),
      );
    },
    returning: "host-0",
    expected: { ...NOTHING_WRONG },
  },
  {
    title: "a host that hears the others but is not heard doubles nothing",
    during: async ({ network, cluster, driverMachine, hostMachines: [one, ...others] }) => {
      if (one === undefined) return null;
      return cutAndHeal(cluster, GIVEN_UP_MS, (loss) => {
        for (const machine of [driverMachine, ...others]) network.oneWay(one, machine, { loss });
      });
    },
    returning: "host-0",
    expected: { ...NOTHING_WRONG },
  },
  {
    title: "a driver that no host can reach finds every task where it was when healed",
    during: async ({ network, cluster, driverMachine, hostMachines }) => {
      return cutAndHeal(cluster, GIVEN_UP_MS, (loss) =>
        network.between([driverMachine], hostMachines, { loss }),
      );
    },
    expected: { ...NOTHING_WRONG },
  },
];

/** Cuts a way for a while, heals it, and waits until records are written again. */
async function cutAndHeal(
  cluster: Cluster,
  forMs: number,
  setLoss: (loss: number) => void,
): Promise<Healing> {
  await until(() => cluster.recordCount() > 40, "the run is under way");
  const before = await rateOf(cluster);
  setLoss(1);
  const [count, cutAt] = [cluster.recordCount(), performance.now()];
  await delay(forMs);
  const cut = ((cluster.recordCount() - count) * 1000) / (performance.now() - cutAt);
  setLoss(0);
  const healedAt = Date.now();
  const after = await rateOf(cluster);
  const rates = [before, cut, after].map((rate) => Math.round(rate)).join(", ");
  const took = Date.now() - healedAt;
  return {
    said: `records/s before, while cut and ${took} ms after it was healed: ${rates}; `,
    healedAt,
  };
}

/** Records a second, over the next few. */
async function rateOf(cluster: Cluster): Promise<number> {
  const [count, at] = [cluster.recordCount(), performance.now()];
  await until(() => cluster.recordCount() >= count + FEW_RECORDS, "a few more records are written");
  return (FEW_RECORDS * 1000) / (performance.now() - at);
}

async function play({ title, before, during, returning, expected }: Scenario): Promise<void> {
  const reason = networkMissing();
  if (reason !== null) {
    console.log(`skipped: ${reason}`);
    return;
  }
  const undisturbed = await undisturbedRecords(PACE.trials);
  await using network = await Network.create(1 + HOSTS, SEED);
  await withFolder(async (folder) => {
    await using cluster = new Cluster(folder);
    const [driverMachine, ...hostMachines] = network.machines;
    if (driverMachine === undefined) throw new Error("the network has no machine");
    before?.({ network, driverMachine, hostMachines });
    const driver = cluster.drive(
      CORAL,
      ["--listen", `${driverMachine.address}:0`, ...paced(PACE)],
      driverMachine,
    );
    const agents = hostMachines.map((machine, index) =>
      cluster.agent(
        ALL_ROLES,
        ["--listen", `${machine.address}:0`, "--name", `host-${index}`],
        machine,
      ),
    );
    let healing: Healing | null | undefined;
    try {
      healing = await during?.({ network, cluster, driver, driverMachine, hostMachines });
      expect(await driver.ended).toBe(0);
      expect(await Promise.all(agents.map(({ ended }) => ended))).toEqual([0, 0, 0]);
    } catch (thrown) {
      console.log(
        `seed ${SEED}`,
        ...[driver, ...agents].map((started) => started.stderr().slice(-1500)),
      );
      throw thrown;
    }
    const rules = { rows: 40, trials: PACE.trials, delivery: "retry", undisturbed } as const;
    const accounting = account(cluster.directory, rules);
    expect(accounting).toMatchObject(expected);
    expect((await matrix(["verify", cluster.directory])).code).toBe(0);
    await cluster.gone();
    if (returning !== undefined)
      expect(hopsAfter(cluster.directory, returning, healing?.healedAt ?? 0)).toBeGreaterThan(0);
    const { carried, lost } = await network.close();
    console.log(
      `${title}: ${healing?.said ?? ""}${carried} packets carried, ${lost} lost, ${accounting.restarted} rows restarted`,
    );
  });
}

function hopsAfter(directory: string, host: string, time: number): number {
  return readFinished(directory).reduce(
    (sum, { history }) =>
      sum + history.filter((hop) => hop.host === host && Date.parse(hop.at) > time).length,
    0,
  );
}

// They wait most of the time, and share nothing.
for (const scenario of SCENARIOS)
  test.concurrent(scenario.title, () => play(scenario), TEST_MS_MAX);
