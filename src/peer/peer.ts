// A process among its peers: the part that hosts and the driver have in common. It has a broker and
// links, answers its peers, and hands the messages that are for it to its receiver.
//
// A peer is complete when it is made, and begins to take part when it is started.

import { MatrixError } from "../error.ts";
import type { Identity } from "../http/identity.ts";
import type { PeerServer } from "../http/peer-server.ts";
import type { PeerService, Route } from "../http/reception.ts";
import type { StoreConfig } from "../recipe/schema/schema.ts";
import type { Clock } from "../task/clock.ts";
import { EncodedTask } from "../task/encoded.ts";
import type { Message, Task } from "../task/task.ts";
import { Broker, type BrokerOptions } from "./broker.ts";
import { decodeControl, encodeControl } from "./control.ts";
import { decodeBatch } from "./decode.ts";
import { type Destination, destinationOf } from "./destination.ts";
import { encodeAnswer } from "./encode.ts";
import { Inbox } from "./inbox.ts";
import { Links } from "./links.ts";
import { type HostId, type Load, loadOf, type RoleLoad } from "./member.ts";
import { Routing } from "./routing.ts";
import { Store } from "./store.ts";
import type { HostTransport, Receiver } from "./transport.ts";

/**
 * The largest batch. A task is smaller (TASK_BYTES_MAX), and one that is nearly as large travels
 * alone.
 */
const BATCH_BYTES_MAX = 80 * 2 ** 20;
const CONTROL_BYTES_MAX = 64 * 2 ** 10;
const TICK_MS = 50;

export interface PeerOptions extends Pick<BrokerOptions, "delivery" | "maxAttempts" | "capacity"> {
  /** A server that listens already and is not started yet. */
  readonly server: PeerServer;
  readonly token: string;
  /** Proves the id of the server to peers; null for an id without a fingerprint. */
  readonly identity?: Identity | null;
  readonly store: StoreConfig;
  /** The current load of the roles that this process serves; none for the driver. */
  readonly roles: readonly RoleLoad[];
  /** True for the driver, which takes the ends of tasks. */
  readonly isSink: boolean;
  /**
   * The sandbox in which a role keeps state of its tasks between steps, by the name of its table;
   * null for most roles.
   */
  readonly statefulSandboxOf: (role: string) => string | null;
  readonly clock: Clock;
  /** The time of a task from its admission (`run.timeout`); no limit by default. */
  readonly taskTimeoutMs?: number;
}

export interface PeerStart extends PeerService {
  /** Takes the messages for this process: steps and forks on a host, ends on the driver. */
  readonly receiver: Receiver;
  /** Tells whether this peer is the driver, which alone takes the census. Default: any peer is. */
  readonly isDriver?: (id: HostId) => boolean;
  /** Called with a host that has held a task beyond its time, and has not ended it. */
  readonly onOverdue?: (host: HostId) => void;
}

export class Peer implements HostTransport {
  readonly self: HostId;
  readonly broker: Broker;
  readonly routing = new Routing();
  readonly links: Links;
  readonly server: PeerServer;
  readonly #options: PeerOptions;
  readonly #inbox = new Inbox();
  readonly #store: Store;
  readonly #roles: ReadonlySet<string>;
  #onOverdue: NonNullable<PeerStart["onOverdue"]> = () => undefined;
  #ticking: NodeJS.Timeout | undefined;

  constructor(options: PeerOptions) {
    const { server, token, delivery, maxAttempts, capacity, store, clock } = options;
    const { identity = null, taskTimeoutMs } = options;
    this.self = server.self;
    this.server = server;
    this.#options = options;
    this.#store = new Store(store.memory);
    this.#roles = new Set(options.roles.map(({ name }) => name));
    this.broker = new Broker({
      self: this.self,
      delivery,
      maxAttempts,
      capacity,
      routing: this.routing,
      pinnedTo: (message) => pinOf(message, options.statefulSandboxOf),
      deliver: (message) => this.#inbox.push(message),
      wake: (to) => this.links.wake(to),
      now: clock,
      ...(taskTimeoutMs === undefined ? {} : { taskTimeoutMs }),
      onOverdue: (host) => this.#onOverdue(host),
    });
    this.links = new Links({
      self: this.self,
      token,
      identity,
      routing: this.routing,
      broker: this.broker,
      store: store.enabled ? this.#store : null,
      above: store.above,
      clock,
    });
  }

  /** `routes` answer requests to this process other than batches and the census. */
  start({ receiver, routes, metrics, onOverdue, isDriver = () => true }: PeerStart): void {
    if (onOverdue !== undefined) this.#onOverdue = onOverdue;
    this.#inbox.start(receiver);
    this.#ticking = setInterval(() => {
      this.links.prune();
      this.broker.tick();
    }, TICK_MS);
    this.server.start({ routes: { ...routes, ...this.#routes(isDriver) }, metrics });
  }

  get load(): Load {
    return loadOf(this.#options.roles);
  }

  submit(message: Message): void {
    this.broker.submit(message);
  }

  begin(task: Task): Task | null {
    return this.broker.begin(task);
  }

  handOn(done: Task, next: Message): void {
    const sandbox = this.#options.statefulSandboxOf(done.role);
    const { task } = next;
    const isPinned = sandbox !== null && task instanceof EncodedTask;
    this.broker.handOn(done, isPinned ? { ...next, task: task.pinned(sandbox, this.self) } : next);
  }

  settle(branch: Task): void {
    this.broker.settle(branch);
  }

  async stop(): Promise<void> {
    clearInterval(this.#ticking);
    this.links.close();
    await this.server.stop();
  }

  #routes(isDriver: (id: HostId) => boolean): Record<string, Route> {
    return {
      batch: { bytesMax: BATCH_BYTES_MAX, run: (body, from) => this.#takeBatch(body, from) },
      census: {
        bytesMax: CONTROL_BYTES_MAX,
        run: (body, from) => {
          if (!isDriver(from)) throw new MatrixError("wire_invalid", `${from} is not the driver`);
          return this.#answerCensus(body);
        },
      },
    };
  }

  #takeBatch(body: Uint8Array, from: HostId): Uint8Array {
    const { batch, incomplete } = decodeBatch(
      body,
      (task, mark) => this.#store.find(task, mark),
      this.#options.clock(),
    );
    if (!batch.parcels.every(({ message }) => this.#takes(destinationOf(message))))
      throw new MatrixError("wire_invalid", "a message is for a role of another host");
    const receipt = this.broker.receive(from, batch);
    return encodeAnswer(receipt === null ? null : { ...receipt, incomplete, load: this.load });
  }

  #takes(destination: Destination): boolean {
    switch (destination.kind) {
      case "role":
        return this.#roles.has(destination.role);
      case "any host":
        return this.#roles.size > 0;
      case "sink":
        return this.#options.isSink;
      case "process":
        return destination.id === this.self;
    }
  }

  #answerCensus(body: Uint8Array): Uint8Array {
    const { number, phase } = decodeControl("census", body);
    if (phase === "begin") {
      this.broker.beginCensus(number);
      return encodeControl("counted", null);
    }
    const counted = this.broker.collectCensus(number);
    return encodeControl("counted", counted === null ? null : [...counted]);
  }
}

/**
 * The only process that can do this step: the one with the task's sandbox. Null where any host of
 * the role can.
 */
function pinOf(
  { kind, task }: Message,
  statefulSandboxOf: PeerOptions["statefulSandboxOf"],
): HostId | null {
  if (kind !== "step" || !(task instanceof EncodedTask)) return null;
  const sandbox = statefulSandboxOf(task.role);
  return sandbox === null ? null : (task.pins[sandbox] ?? null);
}
