// A run on many hosts, as `matrix drive` opens it: where hosts find the driver, which local workers
// it starts or adopts, and what the next driver of the run must know (driver.json).

import { networkInterfaces } from "node:os";
import type { ReplayWish } from "../agent/replay-wish.ts";
import type { HostDesk } from "../driver/host-calls.ts";
import { DRIVER_NAME } from "../driver/host-names.ts";
import type { Ledger } from "../driver/ledger.ts";
import { PeerFabric, PeerTransport } from "../driver/peer-fabric.ts";
import type { Rates } from "../driver/rates.ts";
import type { DriverTransport, Fabric, Run } from "../driver/run.ts";
import { MatrixError, messageOf } from "../error.ts";
import {
  type Address,
  isLoopback,
  isWildcard,
  LOOPBACK,
  needsTls,
  urlOf,
} from "../http/address.ts";
import { createIdentity, type Identity } from "../http/identity.ts";
import { PeerServer } from "../http/peer-server.ts";
import { knowSecret } from "../known-secrets.ts";
import type { Control } from "../peer/control.ts";
import type { HostId } from "../peer/member.ts";
import { Peer } from "../peer/peer.ts";
import { isRunning, machineId } from "../process.ts";
import { randomId } from "../random-id.ts";
import { type Bundle, createBundle, digestOf } from "../recipe/bundle.ts";
import type { Environment } from "../recipe/compose.ts";
import type { Recipe, RoleConfig } from "../recipe/schema/schema.ts";
import { type DriverFile, DriverFileKeeper, readEarlierDriver } from "../records/driver-file.ts";
import type { Lock } from "../records/held-lock.ts";
import { systemClock } from "../task/clock.ts";
import type { Log } from "../telemetry/log.ts";
import { isHostName, type LogSink } from "../telemetry/log-sink.ts";
import { version } from "../version.ts";
import { expectedHosts, LocalWorkers, localWorkersOf } from "./local-workers.ts";
import type { Plan } from "./plan.ts";
import { recordingOf } from "./replay/remote-source.ts";
import type { Replay } from "./replay/replay-source.ts";
import type { HostsSettings } from "./settings.ts";
import type { Stage } from "./stage.ts";

export interface ClusterOptions {
  /** Null for a run of a dataset. */
  readonly replay: Replay | null;
  readonly hosts: HostsSettings;
  /** Token of the run; null takes the earlier driver's, or makes one. */
  readonly token: string | null;
  /** Values of `${env:…}` that hosts are given. */
  readonly env: Environment;
  readonly plan: Plan;
  /** The run directory. */
  readonly directory: string;
  readonly lock: Pick<Lock, "confirm" | "lost">;
  readonly log: Log;
  readonly logSink: LogSink;
  readonly metrics: () => Promise<string>;
  readonly rates: Rates;
  readonly ledger: Ledger;
}

interface Place {
  readonly server: PeerServer;
  readonly url: string;
  readonly file: DriverFileKeeper;
  readonly bundle: Bundle;
  /** Identifies the run, and the files and secrets with which its hosts work. */
  readonly run: string;
  readonly token: string;
  /** This process among its peers. */
  readonly identity: Identity;
  readonly earlier: DriverFile | null;
}

/** The stage of a run on many hosts. It listens, and carries nothing until it is connected. */
export class Cluster implements Stage {
  readonly peer: Peer;
  readonly transport: DriverTransport;
  readonly models = [];
  readonly invitation: string | null;
  readonly #options: ClusterOptions;
  readonly #place: Place;
  /** Ids of all hosts that have taken part. */
  readonly #joined = new Set<string>();
  /** Hosts that the driver hears from now. */
  #present: ReadonlySet<string> = new Set();

  private constructor(options: ClusterOptions, place: Place) {
    const { run, store } = options.plan.recipe;
    this.#options = options;
    this.#place = place;
    this.invitation =
      options.hosts.listen === null
        ? null
        : `listening at ${place.url}; hosts join with: matrix agent --join ${options.directory}`;
    this.peer = new Peer({
      server: place.server,
      token: place.token,
      identity: place.identity,
      delivery: run.delivery,
      maxAttempts: run.max_attempts,
      store,
      capacity: Number.POSITIVE_INFINITY,
      roles: [],
      isSink: true,
      statefulSandboxOf: () => null,
      clock: systemClock,
      taskTimeoutMs: run.timeout,
    });
    this.transport = new PeerTransport(this.peer);
  }

  /** Listens, and writes driver.json. Fails with `usage` when it cannot listen. */
  static async listen(options: ClusterOptions): Promise<Cluster> {
    const { hosts, plan, directory, env, lock, log } = options;
    const earlier = await readEarlierDriver(directory, (text) => log.write("warning", text));
    const token = options.token ?? earlier?.token ?? randomId(32);
    knowSecret(token, "MATRIX_TOKEN");
    const run = earlier?.run ?? randomId(12);
    const asked = hosts.listen ?? LOOPBACK;
    // Secrets do not cross a network in cleartext.
    const withSecrets = isLoopback(asked.hostname) || !hosts.insecure;
    const identity = createIdentity(`driver-${randomId(10)}`);
    const bundle = await createBundle(plan.loaded, { env, withSecrets });
    // A host that has other files or secrets than this driver's joins anew.
    const edition = `${run}.${digestOf(bundle)}`;
    const server = await listenAgain(asked, earlier, (address) =>
      listen(address, { token, self: identity.id, insecure: hosts.insecure, log }),
    );
    const listensAt = isWildcard(asked.hostname) ? ownAddress() : asked.hostname;
    const hostname = hosts.advertise ?? listensAt;
    const url = urlOf(hostname, server.port, server.tls);
    const content: DriverFile = {
      format: "matrix-driver-1",
      url,
      token,
      run,
      driver: { pid: process.pid, machine: machineId() },
      hosts: [...expectedHosts(earlier)],
      workers: [...localWorkersOf(earlier)],
    };
    const file = await DriverFileKeeper.create(directory, content, lock.confirm);
    const place = { server, url, file, bundle, run: edition, token, identity, earlier };
    return new Cluster(options, place);
  }

  /** A host writes to the journal under its id. */
  isWriting(writer: string): boolean {
    return this.peer.routing.has(writer);
  }

  connect(run: Run): Fabric {
    const { plan, directory, rates, metrics, log } = this.#options;
    const { file, url, earlier } = this.#place;
    const fabric = new PeerFabric({
      peer: this.peer,
      url,
      directory,
      run: this.#place.run,
      roles: Object.keys(plan.recipe.roles),
      keepers: rolesInSandboxes(plan.recipe),
      expected: expectedHosts(earlier),
      delivery: plan.recipe.run.delivery,
      tasks: run,
      desk: this.#desk(),
      onHosts: (hosts) => {
        this.#present = new Set(hosts);
        for (const id of hosts) this.#joined.add(id);
        file.save({ hosts: [...hosts] });
      },
      ...{ rates, metrics, log, clock: systemClock },
    });
    const { lock } = this.#options;
    return new ClusterFabric(fabric, this.#createWorkers(run, fabric), file, lock.lost, log);
  }

  /** The fabric stops what listens. */
  async stop(): Promise<void> {}

  #desk(): HostDesk {
    const { plan, replay, ledger, logSink } = this.#options;
    const wish = replay?.wish ?? null;
    return {
      welcome: (join) => welcome(join, this.#place, Object.keys(plan.recipe.roles), wish),
      recorded: (task) =>
        replay === null
          ? Promise.resolve({ redraws: 0, record: null })
          : recordingOf(replay.source, replay.wish.roles, task),
      spent: (host, spent) => ledger.report(host, spent),
      logs: (name, lines) => logSink.accept(name, lines),
    };
  }

  /** Null when there are none to start and none to adopt. */
  #createWorkers(run: Run, fabric: PeerFabric): LocalWorkers | null {
    const { hosts, directory, lock, log } = this.#options;
    const { file } = this.#place;
    const earlier = localWorkersOf(this.#place.earlier);
    if (hosts.workers === 0 && !earlier.some(isRunning)) return null;
    return new LocalWorkers({
      ...{ hosts, directory, earlier, log, confirm: lock.confirm },
      onWorkers: (workers) => file.save({ workers: [...workers] }),
      hasJoined: (id) => this.#joined.has(id),
      isPresent: (id) => this.#present.has(id),
      isFenced: (id) => fabric.isFenced(id),
      onDeath: (id) => fabric.died(id),
      onFailure: (why) => run.fail(new MatrixError("host_lost", `no worker can run: ${why}`)),
    });
  }
}

/** A fabric of hosts, with the local workers among them. */
class ClusterFabric implements Fabric {
  readonly #fabric: PeerFabric;
  readonly #workers: LocalWorkers | null;
  readonly #file: DriverFileKeeper;
  readonly #lost: AbortSignal;
  readonly #log: Log;

  constructor(
    fabric: PeerFabric,
    workers: LocalWorkers | null,
    file: DriverFileKeeper,
    lost: AbortSignal,
    log: Log,
  ) {
    this.#fabric = fabric;
    this.#workers = workers;
    this.#file = file;
    this.#lost = lost;
    this.#log = log;
  }

  get present(): Fabric["present"] {
    return this.#fabric.present;
  }

  get roles(): Fabric["roles"] {
    return this.#fabric.roles;
  }

  get canFinish(): boolean {
    return this.#fabric.canFinish;
  }

  get ready(): Promise<void> {
    return this.#fabric.ready;
  }

  /** Bytes of request bodies that peers have sent to each other. */
  get wireBytes(): number {
    return this.#fabric.wireBytes;
  }

  begin(): void {
    this.#fabric.begin();
    this.#workers?.start();
  }

  settle(rowId: string, trial: number): void {
    this.#fabric.settle(rowId, trial);
  }

  shutOut(host: HostId): void {
    this.#fabric.shutOut(host);
  }

  async stop(isComplete: boolean): Promise<void> {
    if (this.#lost.aborted) {
      // Hosts and workers belong to the driver that took over. They find it by themselves.
      this.#workers?.abandon();
      await this.#fabric.abandon();
      return;
    }
    // The next driver starts workers of its own. Hosts of `matrix agent` wait for it.
    const own = this.#workers?.hostIds;
    const keeps = (id: HostId) => !isComplete && own?.has(id) !== true;
    // Together: an adopted worker that leaves because the run is over would be taken for a crash.
    await Promise.all([this.#fabric.stop(keeps), this.#workers?.stop()]);
    const kept = this.#fabric.hosts.filter(({ id }) => keeps(id)).map(({ name }) => name);
    if (kept.length > 0) {
      const text = "hosts keep their tasks and wait for the next driver of this run";
      this.#log.write("info", text, { hosts: kept.join(",") });
      await this.#file.saved;
      return;
    }
    await this.#file.remove().catch((thrown: unknown) => {
      const why = messageOf(thrown);
      this.#log.write("warning", "the driver's file could not be removed", { why });
    });
  }
}

/** Listens where the earlier driver did, if that is free and the user asked for no port. */
async function listenAgain(
  asked: Address,
  earlier: DriverFile | null,
  listen: (address: Address) => Promise<PeerServer>,
): Promise<PeerServer> {
  if (asked.port === 0 && earlier !== null) {
    const port = Number(new URL(earlier.url).port);
    const again = await listen({ ...asked, port }).catch(() => null);
    if (again !== null) return again;
  }
  const { hostname, port } = asked;
  try {
    return await listen(asked);
  } catch (cause) {
    throw new MatrixError("usage", `cannot listen on ${hostname}:${port}: ${messageOf(cause)}`, {
      cause,
      hint: "another program may hold the port; port 0 takes a free one",
    });
  }
}

function listen(
  address: Address,
  {
    token,
    self,
    insecure,
    log,
  }: {
    readonly token: string;
    readonly self: string;
    readonly insecure: boolean;
    readonly log: Log;
  },
): Promise<PeerServer> {
  return PeerServer.listen({
    ...address,
    tls: needsTls(address.hostname, insecure),
    token,
    self,
    onBug: (error) =>
      log.write("error", `bug: ${messageOf(error)}`, { stack: (error as Error).stack ?? "" }),
  });
}

/** Roles whose sandboxes keep something of a task, or are its own, until it has ended. */
function rolesInSandboxes({ roles, sandboxes }: Recipe): ReadonlySet<string> {
  const keeps = ({ sandbox = "" }: RoleConfig): boolean =>
    sandboxes[sandbox]?.stateful === true || sandboxes[sandbox]?.serves === "one";
  return new Set(Object.keys(roles).filter((role) => keeps(roles[role] as RoleConfig)));
}

function welcome(
  { program, name }: Control<"join">,
  { run, bundle }: Place,
  roles: string[],
  wish: ReplayWish | null,
): Control<"welcome"> {
  if (program !== version)
    return {
      refused: `the driver is matrix ${version}, this host is ${program}: use one version on all nodes`,
    };
  if (!isHostName(name) || name === DRIVER_NAME)
    return { refused: `"${name}" cannot be the name of a host` };
  const { recipe, files, secrets } = bundle;
  const replay =
    wish === null ? {} : { replay: { ...wish, roles: [...wish.roles], ask: [...wish.ask] } };
  const contents = { recipe, files: { ...files }, secrets: { ...secrets } };
  return { run, roles, ...replay, bundle: contents };
}

/** An address of this machine that others can reach. */
function ownAddress(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return (
    addresses.find(({ internal, family }) => !internal && family === "IPv4")?.address ?? "127.0.0.1"
  );
}
