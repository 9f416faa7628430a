// One round of chaos: a run of the compiled binary whose driver and hosts are killed, stopped and
// told to go at moments that a seed chooses, while the driver is started again with the same
// command whenever it is gone. A round knows nothing of the program but its command line and its
// files.

import { cp } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createRandom } from "../../../src/task/seed.ts";
import { withFolder } from "../../parts/folder.ts";
import { matrix } from "../../parts/program.ts";
import { readRecords } from "../../parts/records.ts";
import { CORAL } from "../../parts/repository.ts";
import { until } from "../../parts/until.ts";
import { type Accounting, account, keyed, type Rules } from "./accounting.ts";
import { Cluster, type Started, signalTo } from "./cluster.ts";

export const FAULTS = {
  "kill a host": "SIGKILL to one host",
  "kill hosts": "SIGKILL to all hosts but one",
  "kill all hosts": "SIGKILL to every host",
  "stop a host": "SIGSTOP to one host, SIGCONT within three seconds",
  "stop a host for long": "SIGSTOP to one host, SIGCONT after eight seconds",
  "stop a host for good": "SIGSTOP to one host",
  "end a host": "SIGTERM to one host",
  "kill the driver": "SIGKILL to the driver, the same command within two seconds",
  "stop the driver": "SIGSTOP to the driver, SIGCONT within three seconds",
  "end the driver": "SIGTERM to the driver, the same command when it is gone",
  "kill everything": "SIGKILL to the driver and every host, the same command at once",
} as const;

export type Fault = keyof typeof FAULTS;

export interface RoundOptions {
  readonly seed: number;
  readonly delivery: Rules["delivery"];
  /** The faults that the seed chooses from. */
  readonly faults: readonly Fault[];
  readonly faultCount: number;
  readonly workers: number;
  readonly trials: number;
  /** Where the files of a broken round are kept, under its seed. */
  readonly keep?: string | undefined;
}

export interface RoundResult extends Accounting {
  /** The faults in the order in which they struck. */
  readonly faults: readonly Fault[];
  readonly seconds: number;
  readonly driverStarts: number;
}

const ROWS = 40;
const ROUND_MS_MAX = 120_000;

export interface Pace {
  readonly trials: number;
  /** Tasks in flight. */
  readonly inFlight?: number;
  readonly latencyMs?: number;
}

/** Coral in a hurry. The pace changes no record but its times. */
export const paced = ({ trials, inFlight = 60, latencyMs = 20 }: Pace) => [
  "--trials",
  String(trials),
  "-n",
  String(inFlight),
  `models.speaker.latency="${latencyMs}ms"`,
  "models.speaker.tokens_per_second=100000",
];

const undisturbed = new Map<number, Promise<Rules["undisturbed"]>>();

/** The records of the run without faults, made once. */
export function undisturbedRecords(trials: number): Promise<Rules["undisturbed"]> {
  const known = undisturbed.get(trials);
  if (known !== undefined) return known;
  const made = withFolder(async (folder) => {
    await matrix(["drive", CORAL, "-o", "run", "-q", ...paced({ trials, inFlight: 400 })], {
      cwd: folder,
    });
    return keyed(await readRecords(`${folder}/run`));
  });
  undisturbed.set(trials, made);
  return made;
}

/**
 * Plays one round in a folder and throws, with the seed and what the processes said, where a
 * promise is broken.
 */
export async function playRound(options: RoundOptions): Promise<RoundResult> {
  const rules: Rules = {
    rows: ROWS,
    trials: options.trials,
    delivery: options.delivery,
    undisturbed: await undisturbedRecords(options.trials),
  };
  return await withFolder(async (folder) => {
    await using cluster = new Cluster(folder);
    const round = new Round(cluster, options);
    try {
      const result = await round.play(rules);
      if (result.wrong.length > 0) throw new Error(result.wrong.join("\n"));
      return result;
    } catch (thrown) {
      const message = thrown instanceof Error ? thrown.message : String(thrown);
      if (options.keep !== undefined)
        await cp(folder, join(options.keep, `${options.delivery}-${options.seed}`), {
          recursive: true,
        });
      throw new Error(
        `seed ${options.seed}, ${options.delivery}, ${round.struck.join(", ")}:\n${message}\n${round.testimony()}`,
      );
    }
  });
}

class Round {
  readonly struck: Fault[] = [];
  readonly #cluster: Cluster;
  readonly #options: RoundOptions;
  readonly #random: () => number;
  readonly #drivers: Started[] = [];
  /** SIGCONTs that are due. */
  readonly #later: Promise<void>[] = [];

  constructor(cluster: Cluster, options: RoundOptions) {
    this.#cluster = cluster;
    this.#options = options;
    this.#random = createRandom(options.seed);
  }

  async play(rules: Rules): Promise<RoundResult> {
    const startedAt = performance.now();
    const { faultCount, faults, trials } = this.#options;
    const moments = Array.from(
      { length: faultCount },
      () => this.#random() * 0.9 * ROWS * trials,
    ).sort((a, b) => a - b);
    this.#drive();
    for (const moment of moments) {
      const fault = this.#pick(faults);
      await until(
        () => this.#cluster.recordCount() >= moment || this.#driver.end() !== null,
        `${moment} records are written`,
      );
      if (this.#driver.end() !== null) break;
      this.struck.push(fault);
      await this.#strike(fault);
    }
    const end = await Promise.race([
      this.#driver.ended,
      delay(ROUND_MS_MAX, "still running", { ref: false }),
    ]);
    if (end !== 0) throw new Error(`the driver ended with ${end}`);
    await this.#cluster.gone();
    await Promise.all(this.#later);
    await this.#verify();
    const seconds = (performance.now() - startedAt) / 1000;
    return {
      ...account(this.#cluster.directory, rules),
      faults: this.struck,
      seconds,
      driverStarts: this.#drivers.length,
    };
  }

  /** The last words of the processes. */
  testimony(): string {
    const last = (text: string) => text.slice(-2000);
    return [
      ...this.#drivers.map(
        (driver, index) =>
          `driver ${index + 1} (${driver.end() ?? "running"}): ${last(driver.stderr())}`,
      ),
      ...this.#cluster.describeAlive(),
    ].join("\n");
  }

  get #driver(): Started {
    const driver = this.#drivers.at(-1);
    if (driver === undefined) throw new Error("no driver was started");
    return driver;
  }

  #drive(): void {
    const { workers, trials, delivery } = this.#options;
    this.#drivers.push(
      this.#cluster.drive(CORAL, [
        "--workers",
        String(workers),
        ...paced({ trials }),
        `run.delivery="${delivery}"`,
        "run.fail_above=1",
        "run.grace=5s",
      ]),
    );
  }

  async #strike(fault: Fault): Promise<void> {
    switch (fault) {
      case "kill a host":
        return this.#signalHosts(1, "SIGKILL");
      case "kill hosts":
        return this.#signalHosts(this.#options.workers - 1, "SIGKILL");
      case "kill all hosts":
        return this.#signalHosts(this.#options.workers, "SIGKILL");
      case "end a host":
        return this.#signalHosts(1, "SIGTERM");
      case "stop a host":
        return this.#stop(this.#hosts(1), 200 + this.#random() * 2800);
      case "stop a host for long":
        return this.#stop(this.#hosts(1), 8000);
      case "stop a host for good":
        return this.#signalHosts(1, "SIGSTOP");
      case "stop the driver":
        return this.#stop([this.#driver.pid], 200 + this.#random() * 2800);
      case "kill the driver":
        this.#driver.signal("SIGKILL");
        await this.#driver.ended;
        await delay(this.#random() * 2000);
        return this.#drive();
      case "end the driver":
        return this.#endDriver();
      case "kill everything":
        for (const pid of [this.#driver.pid, ...this.#hosts(this.#options.workers)])
          signalTo(pid, "SIGKILL");
        await this.#driver.ended;
        return this.#drive();
    }
  }

  async #endDriver(): Promise<void> {
    // Before it has begun there is nothing to end in peace.
    await until(
      () =>
        this.#cluster.joinFile()?.driver.pid === this.#driver.pid || this.#driver.end() !== null,
      "the driver says where it is",
    );
    this.#driver.signal("SIGTERM");
    const end = await this.#driver.ended;
    // It may have been at its end.
    if (end === 0) return;
    if (end !== 3) throw new Error(`SIGTERM ended the driver with ${end}, not with 3`);
    this.#drive();
  }

  #signalHosts(count: number, signal: NodeJS.Signals): void {
    for (const pid of this.#hosts(count)) signalTo(pid, signal);
  }

  #stop(pids: readonly number[], forMs: number): void {
    for (const pid of pids) signalTo(pid, "SIGSTOP");
    this.#later.push(
      delay(forMs).then(() => {
        for (const pid of pids) signalTo(pid, "SIGCONT");
      }),
    );
  }

  #hosts(count: number): number[] {
    const left = this.#cluster.workers().map(({ pid }) => pid);
    return Array.from(
      { length: Math.min(count, left.length) },
      () => left.splice(Math.floor(this.#random() * left.length), 1)[0] ?? 0,
    );
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)] as T;
  }

  async #verify(): Promise<void> {
    const { code, stdout, stderr } = await matrix(["verify", this.#cluster.directory]);
    if (code !== 0) throw new Error(`verify ended with ${code}: ${stdout}${stderr}`);
  }
}
