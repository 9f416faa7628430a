// The fabric of a run on many hosts: the driver as the place where they meet. Hosts join here,
// report that they live, learn of each other and send their ends. Messages between roles go
// directly from host to host.
//
// Ends that arrive before the coordinator has formed have to wait. Only then does the driver know
// which tasks an earlier driver's hosts hold, and so which ends are new to the sink.

import { decodeControl, encodeControl } from "../peer/control.ts";
import type { HostId, Member, RoleLoad } from "../peer/member.ts";
import type { TaskKey } from "../peer/parcel.ts";
import type { Peer } from "../peer/peer.ts";
import type { Receiver } from "../peer/transport.ts";
import type { Clock } from "../task/clock.ts";
import { encodeTask } from "../task/encoded.ts";
import type { EndMessage, Message } from "../task/task.ts";
import type { Log } from "../telemetry/log.ts";
import type { CensusPhase } from "./census.ts";
import { Coordinator } from "./coordinator.ts";
import { EndedTasks } from "./ended-tasks.ts";
import { HostCalls, type HostDesk } from "./host-calls.ts";
import type { Rates } from "./rates.ts";
import type { DriverTasks, DriverTransport, Fabric } from "./run.ts";

/**
 * A host that is silent for this long is given up. Longer than user code should block a process.
 */
const SILENCE_MS = 5000;
/** The driver waits this long for the hosts of an earlier driver. */
const FORMING_MS = 5000;
const CENSUS_PATIENCE_MS = 1000;
const FIRST_CENSUS_MAX = 2 ** 48;
const TICK_MS = 100;
/** The time without the end of a task after which a census asks which tasks are still held. */
const STALL_MS = 15_000;
/** Interval at which the log names the roles without a host. */
const UNSERVED_MS = 10_000;
/** Hosts have this long to learn that the driver ends. */
const FAREWELL_MS = 3000;

/** The driver's end of the network. */
export class PeerTransport implements DriverTransport {
  readonly #peer: Peer;

  constructor(peer: Peer) {
    this.#peer = peer;
  }

  submit(message: Message): void {
    this.#peer.submit({ ...message, task: encodeTask(message.task) });
  }

  release(ends: readonly EndMessage[]): void {
    for (const end of ends) this.#peer.broker.complete(end);
  }
}

export interface PeerFabricOptions {
  readonly peer: Peer;
  /** The URL at which hosts reach the driver. */
  readonly url: string;
  /** The value for `--join` that the log shows; with the run directory no token is needed. */
  readonly directory: string;
  /** Identifies the run; every driver of the run has the same. */
  readonly run: string;
  /** Roles of the recipe: each needs a host. */
  readonly roles: readonly string[];
  /** Roles whose hosts keep something for a task until it has ended. */
  readonly keepers: ReadonlySet<string>;
  /** Hosts that an earlier driver knew. */
  readonly expected: ReadonlySet<HostId>;
  readonly delivery: "retry" | "at-most-once";
  readonly tasks: DriverTasks & Receiver & { readonly inFlight: number };
  readonly desk: HostDesk;
  /** Called with the hosts that are present, each time they change. */
  readonly onHosts: (hosts: readonly HostId[]) => void;
  readonly rates: Rates;
  readonly metrics: () => Promise<string>;
  readonly log: Log;
  readonly clock: Clock;
}

export class PeerFabric implements Omit<Fabric, "stop"> {
  readonly ready: Promise<void>;
  readonly #options: PeerFabricOptions;
  readonly #coordinator: Coordinator;
  readonly #calls: HostCalls;
  readonly #ended: EndedTasks;
  readonly #becomeReady: () => void;
  #ticking: NodeJS.Timeout | undefined;
  #isFormed = false;
  #isOver = false;
  /** Ends that arrived before the coordinator had formed. */
  #early: Message[] = [];
  /** Number of orphans since the log last reported them. */
  #orphans = 0;
  #lastEndAt: number;
  #saidUnservedAt: number;

  constructor(options: PeerFabricOptions) {
    const { peer, run, desk, rates, keepers, clock } = options;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ready = promise;
    this.#becomeReady = resolve;
    this.#options = options;
    this.#lastEndAt = clock();
    this.#saidUnservedAt = this.#lastEndAt;
    this.#ended = new EndedTasks(keepers);
    this.#coordinator = new Coordinator({
      self: { ...DRIVER, id: peer.self, name: peer.self, address: options.url },
      broker: peer.broker,
      routing: peer.routing,
      tasks: options.tasks,
      expected: options.expected,
      formingMs: FORMING_MS,
      silenceMs: SILENCE_MS,
      censusPatienceMs: CENSUS_PATIENCE_MS,
      firstCensus: Math.floor(Math.random() * FIRST_CENSUS_MAX),
      ask: (host, number, phase) => void this.#askCensus(host, number, phase),
      watcher: this,
      now: clock,
    });
    const coordinator = this.#coordinator;
    this.#calls = new HostCalls({ run, desk, coordinator, rates, ended: this.#ended });
  }

  begin(): void {
    const { peer, metrics } = this.#options;
    const receiver = { receive: (messages: readonly Message[]) => this.#take(messages) };
    const onOverdue = (host: HostId) =>
      this.#fence(host, "it lives, but does not end its tasks within run.timeout");
    peer.start({ receiver, routes: this.#calls.routes, metrics, onOverdue });
    this.#ticking = setInterval(() => this.#tick(), TICK_MS);
  }

  get present(): Fabric["present"] {
    return this.#coordinator.hosts.map(({ member: { name, leaving }, load }) => ({
      ...{ name, leaving, load },
    }));
  }

  get roles(): readonly RoleLoad[] {
    return this.#options.roles.map((name) => {
      const sum = { name, queued: 0, busy: 0, slots: 0 };
      for (const { load } of this.#coordinator.hosts) {
        sum.queued += load[name]?.queued ?? 0;
        sum.busy += load[name]?.busy ?? 0;
        sum.slots += load[name]?.slots ?? 0;
      }
      return sum;
    });
  }

  /** Bytes of request bodies that peers have sent to each other. */
  get wireBytes(): number {
    return this.#calls.bytesSent + this.#options.peer.links.bytesSent;
  }

  /** Until the coordinator has formed, hosts of an earlier driver may still come. */
  get canFinish(): boolean {
    return !this.#isFormed || this.hosts.length > 0;
  }

  settle(rowId: string, trial: number): void {
    this.#lastEndAt = this.#options.clock();
    if (this.#options.keepers.size > 0) this.#ended.add(rowId, trial, this.hosts);
  }

  /** True for a host that was shut out. */
  isFenced(id: HostId): boolean {
    return this.#coordinator.isFenced(id);
  }

  shutOut(host: HostId): void {
    this.#fence(host, "it handed over something that is not a record");
  }

  /** Shuts out a host that beats and does not do its work. */
  #fence(id: HostId, why: string): void {
    const host = this.#coordinator.hosts.find(({ member }) => member.id === id);
    if (host === undefined) return;
    this.#options.log.write("warning", `${host.member.name} is shut out: ${why}`, { host: id });
    this.#coordinator.fence(id);
  }

  /** A host is known to be dead: its silence need not be waited for. */
  died(id: HostId): void {
    this.#coordinator.remove(id, "died");
  }

  /**
   * Tells hosts that this driver ends. Those that `keeps` names keep their tasks for the next
   * driver, and the others leave.
   */
  async stop(keeps: (id: HostId) => boolean): Promise<void> {
    this.#isOver = true;
    this.#coordinator.end(keeps);
    const { clock } = this.#options;
    const deadline = clock() + FAREWELL_MS;
    while (this.#coordinator.untold > 0 && clock() < deadline)
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    await this.abandon();
  }

  /** Leaves the hosts without a word, as a driver that dies does. They look for the next one. */
  async abandon(): Promise<void> {
    clearInterval(this.#ticking);
    this.#options.rates.stop();
    await this.#options.peer.stop();
  }

  // — What the coordinator tells —

  joined({ name, roles, address }: Member): void {
    this.#options.log.write("info", `${name} joined`, { roles: roles.join(","), address });
    this.#tellHosts();
  }

  left({ id, name }: Member, why: "left" | "died"): void {
    this.#ended.forget(id);
    if (why === "left") this.#options.log.write("info", `${name} left`);
    else this.#options.log.write("warning", `${name} is gone: other hosts take over its tasks`);
    this.#tellHosts();
  }

  formed(adopted: number): void {
    const { tasks, log } = this.#options;
    this.#isFormed = true;
    tasks.receive(this.#early);
    this.#early = [];
    if (adopted > 0) log.write("info", "took over the tasks that hosts held", { tasks: adopted });
    this.#tellHosts();
  }

  orphaned(keys: readonly TaskKey[]): void {
    this.#orphans += keys.length;
    for (const task of keys) this.#options.log.write("info", "no process holds a task", { task });
  }

  /** Hosts that are present. */
  get hosts(): readonly Member[] {
    return this.#coordinator.hosts.map(({ member }) => member);
  }

  #tellHosts(): void {
    // A driver that has not formed keeps the earlier driver's list: it may die, too.
    if (this.#isFormed) this.#options.onHosts(this.hosts.map(({ id }) => id));
  }

  #take(messages: readonly Message[]): void {
    if (this.#isFormed) this.#options.tasks.receive(messages);
    else for (const message of messages) this.#early.push(message);
  }

  async #askCensus(host: HostId, number: number, phase: CensusPhase): Promise<void> {
    const question = encodeControl("census", { number, phase });
    const { links } = this.#options.peer;
    try {
      const body = await links.request(host, "census", question, CENSUS_PATIENCE_MS);
      const counted = decodeControl("counted", body);
      this.#coordinator.counted(host, number, phase, counted === null ? null : new Map(counted));
    } catch {
      // The census asks again, or the host is given up.
    }
  }

  #tick(): void {
    this.#coordinator.tick();
    if (!this.#isFormed || this.#isOver) return;
    this.#sayOrphans();
    const now = this.#options.clock();
    const unserved = this.#rolesWithoutHost();
    if (unserved.length === 0) this.#becomeReady();
    else this.#sayUnserved(unserved, now);
    if (now - this.#lastEndAt > STALL_MS && this.#options.tasks.inFlight > 0) {
      this.#lastEndAt = now;
      this.#coordinator.recount();
    }
  }

  /** Writes one line for all orphans since the last one: there may be thousands. */
  #sayOrphans(): void {
    if (this.#orphans === 0) return;
    const { delivery, log } = this.#options;
    const then = delivery === "retry" ? "their rows start again" : "they are recorded as lost";
    log.write("warning", `no process holds ${this.#orphans} of the tasks any more: ${then}`);
    this.#orphans = 0;
  }

  #sayUnserved(roles: readonly string[], now: number): void {
    if (now - this.#saidUnservedAt <= UNSERVED_MS) return;
    this.#saidUnservedAt = now;
    const { log, directory } = this.#options;
    const command = `matrix agent --role ${roles.join(",")} --join ${directory}`;
    log.write("warning", `waiting for a host of ${roles.join(", ")} (${command})`);
  }

  #rolesWithoutHost(): readonly string[] {
    const served = new Set(this.hosts.flatMap(({ roles }) => roles));
    return this.#options.roles.filter((role) => !served.has(role));
  }
}

/** The driver as a member that its peers know. */
const DRIVER = { roles: [], isSink: true, leaving: false } as const;
