// The host processes of this machine that a driver starts and supervises (`--workers`), and those
// that it adopts from the driver before it.

import { join } from "node:path";
import { cpuMsOf, isRunning, machineId } from "../process.ts";
import { type DriverFile, readEarlierDriver, removeDriverFile } from "../records/driver-file.ts";
import { sendKill } from "../sandbox/spawn.ts";
import type { Log } from "../telemetry/log.ts";
import type { HostsSettings } from "./settings.ts";
import { BlockedWorkers } from "./worker/blocked-workers.ts";
import { Supervisor } from "./worker/supervisor.ts";
import { WorkerLives } from "./worker/worker-command.ts";

type Worker = DriverFile["workers"][number];

/** Workers learn that the run is over within this time, and have nothing left to do. */
const STOP_MS = 5000;
/** Interval of looks for workers that a step blocks for good. */
const LOOK_MS = 1000;

export interface LocalWorkersOptions {
  readonly hosts: HostsSettings;
  /** The run directory. */
  readonly directory: string;
  /** Workers of the driver before this one. */
  readonly earlier: readonly Worker[];
  readonly log: Log;
  /** Fails when another driver has the run; called before a worker is started again. */
  readonly confirm?: () => Promise<void>;
  /** Called with the workers that run, each time they change. */
  readonly onWorkers: (workers: readonly Worker[]) => void;
  /** Tells whether the host of this id has ever taken part in the run. */
  readonly hasJoined?: (hostId: string) => boolean;
  /** Tells whether the driver hears from the host of this id now. */
  readonly isPresent?: (hostId: string) => boolean;
  /** Tells whether the driver has shut out the host of this id. */
  readonly isFenced?: (hostId: string) => boolean;
  /** Called when a worker dies, with the host id of that life. */
  readonly onDeath: (hostId: string) => void;
  /** No worker can run, and no other host will come. */
  readonly onFailure: (why: string) => void;
}

export class LocalWorkers {
  readonly #options: LocalWorkersOptions;
  readonly #lives: WorkerLives;
  readonly #supervisor: Supervisor;
  /** Workers that are still wanted. */
  readonly #left: Set<string>;
  #isStopping = false;
  readonly #blocked = new BlockedWorkers(cpuMsOf);
  readonly #looking: NodeJS.Timeout;

  constructor(options: LocalWorkersOptions) {
    const { hosts, directory, earlier, log, confirm = async () => undefined } = options;
    this.#options = options;
    this.#lives = new WorkerLives({
      join: directory,
      patienceMs: hosts.patienceMs,
      insecure: hosts.insecure,
      watcher: "driver",
    });
    for (const { name, id } of earlier) this.#lives.adopt(name, id);
    const names = Array.from({ length: hosts.workers }, (_, index) => `worker-${index + 1}`);
    this.#left = new Set(names);
    this.#supervisor = new Supervisor({
      names,
      command: (name) => this.#lives.next(name, null),
      adopted: earlier,
      replacesLeavers: true,
      confirm,
      hasJoined: (name) => options.hasJoined?.(this.#lives.idOf(name) ?? "") === true,
      logs: join(directory, "logs"),
      onStart: () => this.#tellWorkers(),
      onDeath: (name, { code, signal, lastError, restartInMs }) => {
        const id = this.#lives.idOf(name);
        if (id !== undefined) options.onDeath(id);
        if (restartInMs === null)
          this.#giveUp(name, lastError || `it ended with ${signal ?? `exit code ${code}`}`);
      },
      log,
    });
    this.#looking = setInterval(() => this.#endBlocked(), LOOK_MS);
    this.#looking.unref();
  }

  start(): void {
    this.#supervisor.start();
  }

  /** Ids of the hosts that run now as these workers. */
  get hostIds(): ReadonlySet<string> {
    return new Set(this.#supervisor.workers.flatMap(({ name }) => this.#lives.idOf(name) ?? []));
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    clearInterval(this.#looking);
    await this.#supervisor.stop(STOP_MS);
  }

  /** Leaves the workers alone: they belong to another driver now. */
  abandon(): void {
    clearInterval(this.#looking);
    this.#supervisor.abandon();
  }

  /** Kills workers that do nothing for good; the supervisor replaces them. */
  #endBlocked(): void {
    const { hasJoined, isPresent, isFenced, log } = this.#options;
    const running = this.#supervisor.workers.flatMap(({ name, pid }) => {
      const id = this.#lives.idOf(name) ?? name;
      // A worker that starts has not been heard of yet.
      if (hasJoined?.(id) !== true) return [];
      return [{ name, id, pid, isPresent: isPresent?.(id) ?? true }];
    });
    for (const { id, pid } of running) if (isFenced?.(id) === true) sendKill(pid);
    for (const { name, pid } of this.#blocked.look(running)) {
      const text = `${name} is killed: it is silent and burns processor time, so a step of user code never yields`;
      log.write("warning", text, { pid });
      sendKill(pid);
    }
  }

  #giveUp(name: string, why: string): void {
    const { hosts, onFailure } = this.#options;
    const wasWanted = this.#left.delete(name);
    this.#tellWorkers();
    // Workers that end because the run is over are not given up.
    const isLast = wasWanted && this.#left.size === 0 && hosts.listen === null;
    if (isLast && !this.#isStopping) onFailure(why);
  }

  #tellWorkers(): void {
    const { workers } = this.#supervisor;
    this.#options.onWorkers(
      workers.map((worker) => ({ ...worker, id: this.#lives.idOf(worker.name) ?? worker.name })),
    );
  }
}

/** Workers that the driver before this one started on this machine. */
export function localWorkersOf(earlier: DriverFile | null): readonly Worker[] {
  return earlier !== null && earlier.driver.machine === machineId() ? earlier.workers : [];
}

/**
 * Hosts that may still be there: those that the earlier driver knew and that are not known dead.
 */
export function expectedHosts(earlier: DriverFile | null): ReadonlySet<string> {
  const dead = new Set(
    localWorkersOf(earlier)
      .filter((worker) => !isRunning(worker))
      .map(({ id }) => id),
  );
  return new Set((earlier?.hosts ?? []).filter((id) => !dead.has(id)));
}

/**
 * Tells the workers of an earlier driver to go. This driver hosts every role itself, and starts
 * again what they hold.
 */
export async function dismissWorkers(directory: string, log: Log): Promise<void> {
  const earlier = await readEarlierDriver(directory, (text) => log.write("warning", text));
  for (const worker of localWorkersOf(earlier)) {
    if (isRunning(worker)) process.kill(worker.pid, "SIGTERM");
  }
  await removeDriverFile(directory);
}
