// The fabric of a run on many hosts: the place where they meet. Hosts join here and fetch the recipe, tell that they live,
// learn of each other, and send their ends; messages between roles never come by.

import { type Address, needsTls } from "../http/address.ts";
import { PeerServer } from "../http/peer-server.ts";
import type { Route } from "../http/reception.ts";
import { type Control, decodeControl, encodeControl } from "../peer/control.ts";
import type { HostId, Load, Member, RoleLoad } from "../peer/member.ts";
import { parseKey } from "../peer/parcel.ts";
import { Peer, type PeerOptions } from "../peer/peer.ts";
import type { Clock } from "../task/clock.ts";
import { encodeTask } from "../task/encoded.ts";
import type { Spent } from "../task/spent.ts";
import type { Message } from "../task/task.ts";
import type { Log } from "../telemetry/log.ts";
import type { CensusPhase } from "./census.ts";
import { Coordinator } from "./coordinator.ts";
import type { Rates } from "./rates.ts";
import type { Fabric, FabricParts } from "./run.ts";

/** How long a host may be silent before it is given up. Longer than user code should block a process. */
const SILENCE_MS = 5000;
/** How long to wait for the hosts of the driver before this one. */
const FORMING_MS = 5000;
const CENSUS_PATIENCE_MS = 1000;
const FIRST_CENSUS_MAX = 2 ** 48;
const TICK_MS = 100;
/** Nothing has ended for so long: who has what? */
const STALL_MS = 15_000;
const MISSING_ROLES_MS = 10_000;
/** How long hosts have to learn that the run is over. */
const FAREWELL_MS = 3000;
/** Ends that a host is told of at once; of more it finds out by itself, later. */
const ENDED_MAX = 10_000;
const CONTROL_BYTES_MAX = 256 * 2 ** 10;
const LOGS_BYTES_MAX = 2 * 2 ** 20;

export interface PeerFabricOptions
  extends Pick<PeerOptions, "token" | "delivery" | "maxAttempts" | "store"> {
  readonly self: HostId;
  readonly listen: Address;
  /** Cleartext also off loopback. */
  readonly insecure: boolean;
  readonly metrics: () => Promise<string>;
  /** Names the run, whatever driver it has. */
  readonly run: string;
  /** Of the recipe: each needs a host. */
  readonly roles: readonly string[];
  /** Whose hosts keep something of a task until it has ended. */
  readonly keepers: ReadonlySet<string>;
  /** What a host that joins is told; a text says why it may not. */
  readonly welcome: (join: Control<"join">) => Control<"welcome">;
  /** Where hosts reach the driver, once it listens at this port. */
  readonly urlAt: (port: number, tls: boolean) => string;
  /** Hosts of the driver that died before this one. */
  readonly expected: ReadonlySet<HostId>;
  readonly isRecorded: (rowId: string, trial: number) => boolean;
  /** Who is there, each time that changes. */
  readonly onHosts: (hosts: readonly HostId[]) => void;
  /** Of the models that have a rate. */
  readonly rates: Rates;
  /** What a host has spent on models since it began. */
  readonly onSpent: (host: HostId, spent: Spent) => void;
  readonly onLogs: (name: string, lines: Control<"logs">["lines"]) => void;
  readonly log: Log;
  readonly clock: Clock;
}

export class PeerFabric implements Fabric {
  readonly transport = {
    submit: (message: Message): void =>
      this.#peer.submit({ ...message, task: encodeTask(message.task) }),
  };
  readonly ready: Promise<void>;
  readonly url: string;
  readonly #options: PeerFabricOptions;
  readonly #parts: FabricParts;
  readonly #peer: Peer;
  readonly #coordinator: Coordinator;
  #ticking: NodeJS.Timeout | undefined;
  readonly #bytes = new Map<HostId, number>();
  /** What hosts that keep something are to be told at their next beat. */
  readonly #ended = new Map<HostId, [rowId: string, trial: number][]>();
  #isFormed = false;
  /** Ends that came before it was known which tasks hosts hold: who of them is new to the sink is known then. */
  #early: Message[] = [];
  #becomeReady: () => void = () => undefined;
  #isOver = false;
  /** Tasks that nobody has any more, since that was last said. */
  #missing = 0;
  #lastEndAt = performance.now();
  #saidMissingAt = performance.now();

  private constructor(options: PeerFabricOptions, parts: FabricParts, server: PeerServer) {
    this.#options = options;
    this.#parts = parts;
    this.#peer = new Peer({
      ...options,
      server,
      capacity: Number.POSITIVE_INFINITY,
      roles: [],
      isSink: true,
      statefulSandboxOf: () => null,
    });
    this.url = options.urlAt(server.port, server.tls);
    this.ready = new Promise((resolve) => {
      this.#becomeReady = resolve;
    });
    this.#coordinator = this.#createCoordinator();
  }

  /** Fails when the address cannot be listened at. */
  static async listen(options: PeerFabricOptions, parts: FabricParts): Promise<PeerFabric> {
    const { self, token, listen, insecure, log } = options;
    const server = await PeerServer.listen({
      ...listen,
      tls: needsTls(listen.hostname, insecure),
      token,
      self,
      onBug: (error) =>
        log.write("error", `bug: ${String(error)}`, { stack: (error as Error).stack ?? "" }),
    });
    return new PeerFabric(options, parts, server);
  }

  begin(): void {
    this.#peer.start({
      receiver: { receive: (messages) => this.#take(messages) },
      routes: this.#routes(),
      metrics: this.#options.metrics,
    });
    this.#ticking = setInterval(() => this.#tick(), TICK_MS);
  }

  get hosts(): readonly Member[] {
    return this.#coordinator.hosts.map(({ member }) => member);
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

  /** Of all bodies that peers sent to each other. */
  get wireBytes(): number {
    return [...this.#bytes.values()].reduce(
      (sum, bytes) => sum + bytes,
      this.#peer.links.bytesSent,
    );
  }

  get peer(): Pick<Peer, "broker" | "server" | "routing"> {
    return this.#peer;
  }

  /** This host is known to be dead: nobody need wait for its silence. */
  died(id: HostId): void {
    this.#coordinator.remove(id, "died");
  }

  written(ends: readonly Message[]): void {
    this.#lastEndAt = performance.now();
    for (const end of ends) this.#peer.broker.complete(end);
  }

  /** A task has its record. */
  release(rowId: string, trial: number): void {
    for (const { id, roles } of this.hosts) {
      if (!roles.some((role) => this.#options.keepers.has(role))) continue;
      const ended = this.#ended.get(id) ?? [];
      if (ended.length < ENDED_MAX) ended.push([rowId, trial]);
      this.#ended.set(id, ended);
    }
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    this.#coordinator.end();
    const deadline = performance.now() + FAREWELL_MS;
    while (this.hosts.length > 0 && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    clearInterval(this.#ticking);
    this.#options.rates.stop();
    await this.#peer.stop();
  }

  #take(messages: readonly Message[]): void {
    if (this.#isFormed) this.#parts.sink(messages);
    else this.#early.push(...messages);
  }

  #createCoordinator(): Coordinator {
    const { self, expected, isRecorded, log, clock, onHosts } = this.#options;
    const { inFlight, onAdopted, onMissing } = this.#parts;
    let adopted = 0;
    const changed = (): void => {
      if (this.#isFormed) onHosts(this.hosts.map(({ id }) => id));
    };
    return new Coordinator({
      self: {
        id: self,
        name: self,
        roles: [],
        isSink: true,
        address: this.url,
        leaving: false,
      },
      broker: this.#peer.broker,
      routing: this.#peer.routing,
      inFlight,
      expected,
      formingMs: FORMING_MS,
      silenceMs: SILENCE_MS,
      censusPatienceMs: CENSUS_PATIENCE_MS,
      firstCensus: Math.floor(Math.random() * FIRST_CENSUS_MAX),
      ask: (host, number, phase) => void this.#askCensus(host, number, phase),
      isRecorded: (key) => {
        const { rowId, trial } = parseKey(key);
        return isRecorded(rowId, trial);
      },
      onAdopted: () => {
        adopted++;
        onAdopted();
      },
      onMissing: (key, task) => {
        log.write("info", "nobody has a task any more", { task: key, attempt: task.attempt });
        this.#missing++;
        onMissing(key, task);
      },
      onJoin: ({ name, roles, address }) => {
        log.write("info", `${name} joined`, { roles: roles.join(","), address });
        changed();
      },
      onLeave: ({ id, name }, why) => {
        this.#ended.delete(id);
        log.write(
          why === "died" ? "warning" : "info",
          why === "died" ? `${name} is gone: others take over what it had` : `${name} left`,
        );
        changed();
      },
      onFormed: () => {
        this.#isFormed = true;
        this.#parts.sink(this.#early);
        this.#early = [];
        if (adopted > 0) log.write("info", "adopted the tasks that hosts held", { tasks: adopted });
        changed();
      },
      now: clock,
    });
  }

  async #askCensus(host: HostId, number: number, phase: CensusPhase): Promise<void> {
    const question = encodeControl("census", { number, phase });
    try {
      const counted = decodeControl(
        "counted",
        await this.#peer.links.request(host, "census", question, CENSUS_PATIENCE_MS),
      );
      this.#coordinator.counted(host, number, phase, counted === null ? null : new Map(counted));
    } catch {
      // It is asked again, or given up.
    }
  }

  #tick(): void {
    this.#coordinator.tick();
    if (!this.#isFormed || this.#isOver) return;
    this.#sayMissing();
    const now = performance.now();
    const missing = this.#rolesWithoutHost();
    if (missing.length === 0) this.#becomeReady();
    else if (now - this.#saidMissingAt > MISSING_ROLES_MS) {
      this.#saidMissingAt = now;
      this.#options.log.write(
        "warning",
        `waiting for a host of ${missing.join(", ")} (matrix agent --role ${missing.join(",")} --join ${this.url})`,
      );
    }
    if (now - this.#lastEndAt > STALL_MS && this.#parts.inFlight.size > 0) {
      this.#lastEndAt = now;
      this.#coordinator.recount();
    }
  }

  /** One line for all of them: there may be thousands. */
  #sayMissing(): void {
    if (this.#missing === 0) return;
    const then =
      this.#options.delivery === "retry" ? "their rows start again" : "they are recorded as lost";
    this.#options.log.write(
      "warning",
      `nobody has ${this.#missing} of the tasks any more: ${then}`,
    );
    this.#missing = 0;
  }

  #rolesWithoutHost(): readonly string[] {
    const served = new Set(this.hosts.flatMap(({ roles }) => roles));
    return this.#options.roles.filter((role) => !served.has(role));
  }

  // — What hosts ask —

  #routes(): Record<string, Route> {
    return {
      join: { bytesMax: CONTROL_BYTES_MAX, run: (body) => this.#join(body) },
      beat: { bytesMax: CONTROL_BYTES_MAX, run: (body, from) => this.#beat(body, from) },
      permits: { bytesMax: CONTROL_BYTES_MAX, run: (body) => this.#permits(body) },
      leave: { bytesMax: CONTROL_BYTES_MAX, run: (body) => this.#leave(body) },
      logs: { bytesMax: LOGS_BYTES_MAX, run: (body) => this.#logs(body) },
    };
  }

  #join(body: Uint8Array): Uint8Array {
    const join = decodeControl("join", body);
    if (join.replaces !== null) this.died(join.replaces);
    return encodeControl("welcome", this.#options.welcome(join));
  }

  #beat(body: Uint8Array, from: HostId): Uint8Array {
    const { run, host, load, known, bytes, spent } = decodeControl("beat", body);
    // A host of what was in this directory before.
    if (run !== this.#options.run)
      return encodeControl("heard", {
        state: "over",
        joining: "",
        rated: [],
        ended: [],
        list: null,
      });
    const { rates, onSpent } = this.#options;
    this.#bytes.set(from, bytes);
    onSpent(from, spent);
    const ended = this.#ended.get(from) ?? [];
    this.#ended.delete(from);
    const { state, joining, list } = this.#coordinator.beat({
      member: { ...host, id: from, isSink: false },
      load: load as Load,
      known,
    });
    return encodeControl("heard", {
      state,
      joining,
      rated: [...rates.models],
      ended,
      list:
        list === null
          ? null
          : {
              version: list.version,
              members: list.members.map((other) => ({ ...other, roles: [...other.roles] })),
            },
    });
  }

  async #permits(body: Uint8Array): Promise<Uint8Array> {
    const { model, ...wanted } = decodeControl("permits", body);
    return encodeControl("turns", { waits: [...(await this.#options.rates.ask(model, wanted))] });
  }

  #leave(body: Uint8Array): Uint8Array {
    const { id, why, spent } = decodeControl("leave", body);
    this.#options.onSpent(id, spent);
    this.#coordinator.remove(id, why);
    return encodeControl("done", null);
  }

  #logs(body: Uint8Array): Uint8Array {
    const { name, lines } = decodeControl("logs", body);
    this.#options.onLogs(name, lines);
    return encodeControl("done", null);
  }
}
