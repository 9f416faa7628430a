// A run on many hosts, as `matrix drive` opens it: where hosts find it, which local workers it starts or adopts, and what the
// driver after this one must know (driver.json).

import { networkInterfaces } from "node:os";
import { join } from "node:path";
import type { Ledger } from "../driver/ledger.ts";
import { PeerFabric } from "../driver/peer-fabric.ts";
import type { Rates } from "../driver/rates.ts";
import type { Fabric, FabricParts } from "../driver/run.ts";
import { EXIT, MatrixError, messageOf } from "../error.ts";
import { type Address, isLoopback, isWildcard, LOOPBACK, urlOf } from "../http/address.ts";
import type { Control } from "../peer/control.ts";
import { isRunning, machineId } from "../process.ts";
import { randomId } from "../random-id.ts";
import { type Bundle, createBundle } from "../recipe/bundle.ts";
import type { Environment } from "../recipe/compose.ts";
import type { Recipe, RoleConfig } from "../recipe/schema.ts";
import {
  type DriverFile,
  readDriverFile,
  removeDriverFile,
  writeDriverFile,
} from "../records/driver-file.ts";
import { systemClock } from "../task/clock.ts";
import type { Log } from "../telemetry/log.ts";
import { isHostName, type LogSink } from "../telemetry/log-sink.ts";
import { version } from "../version.ts";
import type { Plan } from "./plan.ts";
import type { HostsSettings } from "./settings.ts";
import { Supervisor } from "./supervisor.ts";
import { WorkerLives } from "./worker-command.ts";

/** In records and logs. */
export const DRIVER_NAME = "driver";

export interface ClusterOptions {
  readonly hosts: HostsSettings;
  /** Token of the run; null takes the earlier driver's, or makes one. */
  readonly token: string | null;
  /** Values of `${env:…}` that hosts are given. */
  readonly env: Environment;
  readonly plan: Plan;
  /** The run directory. */
  readonly directory: string;
  readonly isRecorded: (rowId: string, trial: number) => boolean;
  readonly log: Log;
  readonly logSink: LogSink;
  readonly metrics: () => Promise<string>;
  readonly rates: Rates;
  readonly ledger: Ledger;
  readonly say: (line: string) => void;
}

export class Cluster implements Fabric {
  readonly #options: ClusterOptions;
  readonly #fabric: PeerFabric;
  readonly #lives: WorkerLives;
  readonly #supervisor: Supervisor | null;
  #file: DriverFile;
  /** Writes of driver.json, one after the other. */
  #saved: Promise<void> = Promise.resolve();

  private constructor(
    options: ClusterOptions,
    parts: FabricParts,
    fabric: PeerFabric,
    file: DriverFile,
    earlier: DriverFile | null,
  ) {
    const { hosts, directory } = options;
    this.#options = options;
    this.#fabric = fabric;
    this.#file = file;
    this.#lives = new WorkerLives({
      join: directory,
      patienceMs: hosts.patienceMs,
      insecure: hosts.insecure,
      watcher: "driver",
    });
    this.#supervisor = this.#createSupervisor(parts, localWorkers(earlier));
  }

  /** Listens, tells where, and starts the workers. Fails with `usage` when it cannot listen. */
  static async open(options: ClusterOptions, parts: FabricParts): Promise<Cluster> {
    const { hosts, plan, directory, say } = options;
    const earlier = await readDriverFile(directory);
    const token = options.token ?? earlier?.token ?? randomId(32);
    const run = earlier?.run ?? randomId(12);
    const asked = hosts.listen ?? LOOPBACK;
    const { insecure } = hosts;
    const safe = isLoopback(asked.hostname) || !insecure;
    const bundle = await createBundle(plan.loaded, { env: options.env, withSecrets: safe });
    const cluster: { current: Cluster | null } = { current: null };
    const { recipe } = plan.loaded;
    const listen = (address: Address) =>
      PeerFabric.listen(
        {
          self: `driver-${randomId(10)}`,
          token,
          run,
          listen: address,
          insecure,
          delivery: recipe.run.delivery,
          maxAttempts: recipe.run.max_attempts,
          store: recipe.store,
          metrics: options.metrics,
          roles: Object.keys(recipe.roles),
          keepers: rolesInSandboxes(recipe),
          welcome: (join) => welcome(join, run, Object.keys(recipe.roles), bundle),
          urlAt: (port, tls) =>
            urlOf(isWildcard(asked.hostname) ? ownAddress() : asked.hostname, port, tls),
          expected: expectedHosts(earlier),
          isRecorded: options.isRecorded,
          onHosts: (hosts) => cluster.current?.save({ hosts: [...hosts] }),
          rates: options.rates,
          onSpent: (host, spent) => options.ledger.report(host, spent),
          onLogs: (name, lines) => options.logSink.accept(name, lines),
          log: options.log,
          clock: systemClock,
        },
        parts,
      );
    const fabric = await listenAgain(asked, earlier, listen);
    const file: DriverFile = {
      format: "matrix-driver-1",
      url: fabric.url,
      token,
      run,
      driver: { pid: process.pid, machine: machineId() },
      hosts: [...expectedHosts(earlier)],
      workers: [...localWorkers(earlier)],
    };
    await writeDriverFile(directory, file);
    cluster.current = new Cluster(options, parts, fabric, file, earlier);
    cluster.current.#supervisor?.start();
    if (hosts.listen !== null)
      say(`listening at ${fabric.url}; hosts join with: matrix agent --join ${directory}`);
    return cluster.current;
  }

  /** A task has its record: nobody needs what hosts keep for it. */
  release(rowId: string, trial: number): void {
    this.#fabric.release(rowId, trial);
  }

  get transport(): Fabric["transport"] {
    return this.#fabric.transport;
  }

  get roles(): Fabric["roles"] {
    return this.#fabric.roles;
  }

  get ready(): Promise<void> {
    return this.#fabric.ready;
  }

  get wireBytes(): number {
    return this.#fabric.wireBytes;
  }

  get peer(): PeerFabric["peer"] {
    return this.#fabric.peer;
  }

  begin(): void {
    this.#fabric.begin();
  }

  written(ends: Parameters<Fabric["written"]>[0]): void {
    this.#fabric.written(ends);
  }

  async stop(): Promise<void> {
    // Together: an adopted worker that leaves because the run is over would be taken for one that crashed.
    await Promise.all([this.#fabric.stop(), this.#supervisor?.stop(WORKER_STOP_MS)]);
    await this.#saved;
    await removeDriverFile(this.#options.directory);
  }

  /** Tells the driver after this one. A disk that is full must not end the run here: the records will. */
  save(change: Partial<DriverFile>): void {
    this.#file = { ...this.#file, ...change };
    const file = this.#file;
    this.#saved = this.#saved.then(() =>
      writeDriverFile(this.#options.directory, file).catch(() => undefined),
    );
  }

  #createSupervisor(
    { onFailure }: FabricParts,
    earlier: readonly DriverFile["workers"][number][],
  ): Supervisor | null {
    const { hosts, directory, log } = this.#options;
    const count = hosts.workers;
    if (count === 0 && !earlier.some(isRunning)) return null;
    for (const { name, id } of earlier) this.#lives.adopt(name, id);
    const names = Array.from({ length: count }, (_, index) => `worker-${index + 1}`);
    const left = new Set(names);
    return new Supervisor({
      names,
      command: (name) => this.#lives.next(name, null),
      adopted: earlier,
      replacesLeavers: true,
      logs: join(directory, "logs"),
      onStart: () => this.#saveWorkers(),
      onDeath: (name, { code, lastError, restartInMs }) => {
        const id = this.#lives.idOf(name);
        if (id !== undefined) this.#fabric.died(id);
        if (restartInMs !== null) return;
        left.delete(name);
        this.#saveWorkers();
        if (code === EXIT.refused && left.size === 0 && hosts.listen === null)
          onFailure(new MatrixError("host_lost", `no worker can run: ${lastError.split("\n")[0]}`));
      },
      log,
    });
  }

  #saveWorkers(): void {
    const workers = this.#supervisor?.workers ?? [];
    this.save({
      workers: workers.map((worker) => ({
        ...worker,
        id: this.#lives.idOf(worker.name) ?? worker.name,
      })),
    });
  }
}

/** Workers learn that the run is over, and have nothing left to do. */
const WORKER_STOP_MS = 5000;

/** Where the driver before this one listened, if that is free and nothing else was asked for. */
async function listenAgain(
  asked: Address,
  earlier: DriverFile | null,
  listen: (address: Address) => Promise<PeerFabric>,
): Promise<PeerFabric> {
  if (asked.port === 0 && earlier !== null) {
    const again = await listen({ ...asked, port: Number(new URL(earlier.url).port) }).catch(
      () => null,
    );
    if (again !== null) return again;
  }
  try {
    return await listen(asked);
  } catch (cause) {
    throw new MatrixError(
      "usage",
      `cannot listen on ${asked.hostname}:${asked.port}: ${messageOf(cause)}`,
      {
        cause,
        hint: "another program may hold the port; port 0 takes a free one",
      },
    );
  }
}

/** Processes of this machine that an earlier driver started. */
function localWorkers(earlier: DriverFile | null): readonly DriverFile["workers"][number][] {
  return earlier !== null && earlier.driver.machine === machineId() ? earlier.workers : [];
}

/** Tells workers of an earlier driver to go: this one hosts every role itself, and starts again what they hold. */
export async function dismissWorkers(directory: string): Promise<void> {
  for (const worker of localWorkers(await readDriverFile(directory))) {
    if (isRunning(worker)) process.kill(worker.pid, "SIGTERM");
  }
  await removeDriverFile(directory);
}

/** Hosts that may still be there: a local worker that is known to be dead is not waited for. */
/** Of sandboxes that keep something of a task, or are its own, until it has ended. */
function rolesInSandboxes({ roles, sandboxes }: Recipe): ReadonlySet<string> {
  const keeps = ({ sandbox = "" }: RoleConfig): boolean =>
    sandboxes[sandbox]?.stateful === true || sandboxes[sandbox]?.serves === "one";
  return new Set(Object.keys(roles).filter((role) => keeps(roles[role] as RoleConfig)));
}

function expectedHosts(earlier: DriverFile | null): ReadonlySet<string> {
  const dead = new Set(
    localWorkers(earlier)
      .filter((worker) => !isRunning(worker))
      .map(({ id }) => id),
  );
  return new Set((earlier?.hosts ?? []).filter((id) => !dead.has(id)));
}

function welcome(
  { program, name }: Control<"join">,
  run: string,
  roles: string[],
  bundle: Bundle,
): Control<"welcome"> {
  if (program !== version)
    return {
      refused: `the driver is matrix ${version}, this is ${program}: run the same on every node`,
    };
  if (!isHostName(name) || name === DRIVER_NAME)
    return { refused: `no host can be named "${name}"` };
  return {
    run,
    roles,
    bundle: { recipe: bundle.recipe, files: { ...bundle.files }, secrets: { ...bundle.secrets } },
  };
}

/** An address of this machine that others can reach. */
function ownAddress(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return (
    addresses.find(({ internal, family }) => !internal && family === "IPv4")?.address ?? "127.0.0.1"
  );
}
