// A host among its peers: the live parts of its roles, its place in the network, and its membership
// in the run. It is opened when the run was joined, and stopped in peace or at once.

import { messageOf } from "../../error.ts";
import type { DriverAddress, DriverCalls } from "../../host/driver-calls.ts";
import type { Host } from "../../host/host.ts";
import { type DriverNews, Membership } from "../../host/membership.ts";
import type { Role } from "../../host/role.ts";
import { Watchdog } from "../../host/watch/watchdog.ts";
import {
  type Address,
  hostnameOf,
  isLoopback,
  isWildcard,
  LOOPBACK,
  needsTls,
  urlOf,
} from "../../http/address.ts";
import type { Identity } from "../../http/identity.ts";
import { PeerServer } from "../../http/peer-server.ts";
import { type PermitRequest, ProcessPermits } from "../../model/permits.ts";
import { Peer } from "../../peer/peer.ts";
import type { Environment } from "../../recipe/compose.ts";
import type { Recipe } from "../../recipe/schema/schema.ts";
import { systemClock } from "../../task/clock.ts";
import { createMetrics } from "../../telemetry/metrics.ts";
import { Recorder } from "../../telemetry/recorder.ts";
import type { StreamedLog } from "../../telemetry/streamed-log.ts";
import { createTracing } from "../../telemetry/tracing.ts";
import { version } from "../../version.ts";
import { createHost, createRoles } from "../create-host.ts";
import { ratesOf } from "../limits.ts";
import type { Plan } from "../plan.ts";
import { Spending } from "../spending.ts";
import { LogSender } from "./log-sender.ts";

export interface HostProcessOptions {
  readonly plan: Plan;
  /** Names the run, whatever driver it has. */
  readonly run: string;
  /** Id of this life of the host. */
  readonly id: string;
  readonly name: string;
  /** Proves `id` to peers; null for an id without a fingerprint. */
  readonly identity?: Identity | null;
  readonly roles: readonly string[];
  readonly driver: DriverCalls;
  /** The current URL of the driver. */
  readonly found: DriverAddress;
  /** Null for a free port: on loopback when the driver is there too, else on every address. */
  readonly listen: Address | null;
  /** The hostname under which other hosts reach this one; null for one that is found out. */
  readonly advertise?: string | null;
  /** Cleartext between machines. */
  readonly insecure: boolean;
  readonly patienceMs: number;
  /** Called when the driver is lost, or back. */
  readonly onDriver: (news: DriverNews) => void;
  /** Tells whether the files of the run say that it is complete. */
  readonly isComplete: () => Promise<boolean>;
  /** The run directory; null where this process cannot reach it. */
  readonly runDirectory: string | null;
  /** OTEL_… variables. */
  readonly env: Environment;
  readonly log: StreamedLog;
  /** Ends the opening. */
  readonly signal: AbortSignal;
}

/** Most messages that a host holds beyond those that run. It refuses more, and others take them. */
const CAPACITY_MIN = 20_000;
/** The driver answers within a second, if only with nothing. */
const PERMITS_TIMEOUT_MS = 5000;
const DRAIN_LOOK_MS = 25;

export class HostProcess {
  readonly membership: Membership;
  readonly #options: HostProcessOptions;
  readonly #host: Host;
  readonly #peer: Peer;
  readonly #logs: LogSender;
  /** Releases what this host holds; called last to first. */
  readonly #open: AsyncDisposableStack;

  private constructor(
    options: HostProcessOptions,
    host: Host,
    peer: Peer,
    membership: Membership,
    open: AsyncDisposableStack,
  ) {
    const { driver, name, log } = options;
    this.#options = options;
    this.#host = host;
    this.#peer = peer;
    this.membership = membership;
    this.#open = open;
    this.#logs = new LogSender(driver, name, log);
  }

  /** Opens sandboxes, models and agents, listens, and takes part from then on. */
  static async open(options: HostProcessOptions): Promise<HostProcess> {
    const { plan, run, id, name, roles, driver, env, log, patienceMs, onDriver, isComplete } =
      options;
    const { recipe } = plan;
    await using open = new AsyncDisposableStack();
    const tracing = await createTracing(env, recipe.name, version);
    open.defer(async () => tracing?.close());
    const spending = new Spending();
    const recorder = new Recorder();
    const permits = new ProcessPermits(ratesOf(recipe).keys(), {
      ask: (model, wanted) => askPermits(driver, model, wanted),
    });
    const live = await plan.open({
      ...{ host: name, roles, permits, log, signal: options.signal },
      ...{ spend: spending.add, recorder },
      answers: {
        directory: options.runDirectory,
        writer: id,
        // The first step comes only when the peer is there.
        isWriting: (writer) => peer.routing.has(writer),
      },
    });
    open.defer(() => live.stop());
    const served = createRoles(recipe, live.agents);
    const peer = await openPeer(options, served);
    open.defer(() => peer.stop());
    const watchdog = new Watchdog("worker", name);
    open.defer(() => watchdog.stop());
    const host = createHost({
      ...{ plan, name, roles: served, transport: peer, tracing, recorder, watchdog },
    });
    const described = { run: recipe.name, host: name, version };
    const observe = () => ({
      roles: served,
      broker: peer.broker.counts,
      refusedRequests: peer.server.refused,
      tasks: null,
      models: live.replicated,
      spent: null,
    });
    const metrics = await createMetrics(env, described, observe, recorder);
    // Both at once, because each waits for its collector.
    open.defer(async () => void (await Promise.all([metrics.close(), tracing?.close()])));
    peer.start({
      ...{ receiver: host, routes: {}, metrics: () => metrics.render() },
      isDriver: (peerId) => peerId === driver.driverId,
    });
    const membership = new Membership({
      run,
      host: { id, name, roles, address: addressOf(options, peer) },
      peer,
      driver,
      spent: () => spending.total,
      ...{ patienceMs, onDriver, isComplete },
      onRated: (models) => permits.addModels(models),
      onEnded: (rowId, trial) => live.sandboxes.release(rowId, trial),
    });
    log.write("info", "joined", { run, roles: roles.join(","), pid: process.pid });
    return new HostProcess(options, host, peer, membership, open.move());
  }

  /**
   * Hands over what waits, finishes what runs, and answers for what other hosts keep, for at most
   * `run.grace`.
   */
  async drain(): Promise<void> {
    const { plan, log } = this.#options;
    const { broker } = this.#peer;
    log.write("info", "leaving: hands over what waits and finishes what runs");
    this.membership.leave();
    broker.leave();
    const deadline = performance.now() + plan.recipe.run.grace;
    while (!this.#isIdle && !this.membership.isOver && performance.now() < deadline) {
      this.#host.receive(broker.relocate(this.#host.takeWaiting()));
      await new Promise((resolve) => setTimeout(resolve, DRAIN_LOOK_MS));
    }
    const { held, sent } = broker.counts;
    // A run that is over needs nothing of what a host still has.
    if (held + sent === 0 || this.membership.isOver) return;
    const text = "left before its work was done (run.grace): other hosts take it over";
    log.write("warning", text, { held, sent });
  }

  async stop(): Promise<void> {
    await this.#logs.stop();
    await this.membership.stop();
    this.#host.stop();
    await this.#open.disposeAsync();
  }

  get #isIdle(): boolean {
    return this.#host.idle && this.#peer.broker.idle;
  }
}

async function openPeer(options: HostProcessOptions, roles: readonly Role[]): Promise<Peer> {
  const { plan, id, identity = null, found, insecure, log } = options;
  const { run, store } = plan.recipe;
  const listen = listensAt(options);
  const server = await PeerServer.listen({
    ...listen,
    tls: needsTls(listen.hostname, insecure),
    token: found.token,
    self: id,
    onBug: (error) =>
      log.write("error", `bug: ${messageOf(error)}`, { stack: (error as Error).stack ?? "" }),
  });
  const slots = roles.reduce((sum, role) => sum + role.slots, 0);
  return new Peer({
    server,
    token: found.token,
    identity,
    delivery: run.delivery,
    maxAttempts: run.max_attempts,
    store,
    capacity: Math.max(CAPACITY_MIN, slots * 2),
    roles,
    isSink: false,
    statefulSandboxOf: (role) => statefulSandboxOf(plan.recipe, role),
    clock: systemClock,
    taskTimeoutMs: run.timeout,
  });
}

/** The sandbox in which a role keeps state of its tasks between steps; null for most roles. */
function statefulSandboxOf({ roles, sandboxes }: Recipe, role: string): string | null {
  const { sandbox } = roles[role] ?? {};
  return sandbox !== undefined && sandboxes[sandbox]?.stateful === true ? sandbox : null;
}

/** By default a host listens on loopback when the driver does, else on every address. */
function listensAt({ listen, advertise = null, found }: HostProcessOptions): Address {
  const isLocal = isLoopback(advertise ?? hostnameOf(found.url));
  return listen ?? (isLocal ? LOOPBACK : { hostname: "0.0.0.0", port: 0 });
}

/** The URL at which other hosts reach this one. */
function addressOf(options: HostProcessOptions, { server }: Peer): string {
  const { hostname } = listensAt(options);
  const seen = isWildcard(hostname) ? (options.driver.localAddress ?? hostname) : hostname;
  return urlOf(options.advertise ?? seen, server.port, server.tls);
}

/** The driver gives permits for all hosts together. */
async function askPermits(
  driver: DriverCalls,
  model: string,
  { tokens, settled }: PermitRequest,
): Promise<readonly number[]> {
  const question = { model, tokens: [...tokens], settled };
  const turns = await driver.call("permits", "permits", question, "turns", PERMITS_TIMEOUT_MS);
  if (turns === null) throw new Error("there is no driver");
  return turns.waits;
}
