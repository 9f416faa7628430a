// A process among its peers: what a host and a driver have in common. It listens, has a broker and links, and hands the
// messages that are for it to whoever does them.

import { type Address, isLoopback } from "../http/address.ts";
import { type PeerServer, type Route, servePeers } from "../http/peer-server.ts";
import { WireError } from "../http/wire-error.ts";
import { FORK_ROLE } from "../orchestrator/advance.ts";
import type { StoreConfig } from "../recipe/schema.ts";
import type { Clock } from "../task/clock.ts";
import { EncodedTask } from "../task/encoded.ts";
import type { Message, Task } from "../task/task.ts";
import { Broker, type BrokerOptions } from "./broker.ts";
import { decodeControl, encodeControl } from "./control.ts";
import { Links } from "./links.ts";
import { roleOf } from "./parcel.ts";
import { type HostId, inboxOf, type Load, Routing, SINK_ROLE } from "./routing.ts";
import { Store } from "./store.ts";
import type { HostTransport } from "./transport.ts";
import { Turns } from "./turns.ts";
import { decodeBatch, encodeAnswer } from "./wire.ts";

/** Of a request: a task is smaller (TASK_BYTES_MAX), and only one that is nearly as large is alone in its batch. */
const BATCH_BYTES_MAX = 80 * 2 ** 20;
const CONTROL_BYTES_MAX = 64 * 2 ** 10;
const TICK_MS = 50;

export interface PeerOptions
  extends Pick<BrokerOptions, "delivery" | "maxAttempts" | "capacity" | "onLoss"> {
  readonly self: HostId;
  readonly token: string;
  readonly listen: Address;
  /** Cleartext also off loopback. */
  readonly insecure: boolean;
  readonly store: StoreConfig;
  /** The sandbox in which a role keeps state of its tasks between steps, by the name of its table; null for most roles. */
  readonly statefulSandboxOf: (role: string) => string | null;
  /** Whether messages for a role belong here. */
  readonly serves: (role: string) => boolean;
  /** What is for this process: steps for its roles, ends for its sink. */
  readonly take: (messages: readonly Message[]) => void;
  readonly load: () => Load;
  /** What is asked of it beside batches and the census. */
  readonly routes?: Readonly<Record<string, Route>>;
  readonly metrics: () => string | Promise<string>;
  /** An error that is nobody's but ours. */
  readonly onBug: (error: unknown) => void;
  readonly clock: Clock;
}

export class Peer implements HostTransport {
  readonly self: HostId;
  readonly broker: Broker;
  readonly routing = new Routing();
  readonly links: Links;
  readonly tls: boolean;
  readonly #statefulSandboxOf: PeerOptions["statefulSandboxOf"];
  #server: PeerServer | null = null;
  #ticking: NodeJS.Timeout | undefined;

  private constructor(options: PeerOptions, store: Store) {
    const {
      self,
      token,
      delivery,
      maxAttempts,
      capacity,
      store: config,
      statefulSandboxOf,
      take,
      clock,
      listen,
      insecure,
    } = options;
    const turns = new Turns(take);
    this.self = self;
    this.#statefulSandboxOf = statefulSandboxOf;
    this.tls = !insecure && !isLoopback(listen.hostname);
    this.broker = new Broker({
      self,
      delivery,
      maxAttempts,
      capacity,
      routing: this.routing,
      pinnedTo: (message) => pinOf(message, statefulSandboxOf),
      deliver: (message) => turns.push(message),
      wake: (to) => this.links.wake(to),
      onLoss: options.onLoss,
      now: clock,
    });
    this.links = new Links({
      self,
      token,
      routing: this.routing,
      broker: this.broker,
      store: config.enabled ? store : null,
      above: config.above,
      clock,
    });
  }

  /** Fails when the address cannot be listened at. */
  static async listen(options: PeerOptions): Promise<Peer> {
    const store = new Store(options.store.memory);
    const peer = new Peer(options, store);
    peer.#server = await servePeers({
      ...options.listen,
      token: options.token,
      tls: peer.tls,
      self: options.self,
      routes: { ...options.routes, ...peer.#routes(options, store) },
      metrics: options.metrics,
      onBug: options.onBug,
    });
    peer.#ticking = setInterval(() => {
      peer.links.prune();
      peer.broker.tick();
    }, TICK_MS);
    return peer;
  }

  get port(): number {
    return this.#server?.port ?? 0;
  }

  /** Requests that were refused, by reason. */
  get refused(): Readonly<Record<string, number>> {
    return this.#server?.refused ?? {};
  }

  send(message: Message, done: Task | null): void {
    if (done === null) {
      this.broker.submit(message);
      return;
    }
    const sandbox = this.#statefulSandboxOf(done.role);
    const { task } = message;
    const isPinned = sandbox !== null && task instanceof EncodedTask;
    this.broker.handOn(
      done,
      isPinned ? { ...message, task: task.pinned(sandbox, this.self) } : message,
    );
  }

  settle(branch: Task): void {
    this.broker.settle(branch);
  }

  async stop(): Promise<void> {
    clearInterval(this.#ticking);
    this.links.close();
    await this.#server?.stop();
  }

  #routes({ self, load, serves, clock }: PeerOptions, store: Store): Record<string, Route> {
    return {
      batch: {
        bytesMax: BATCH_BYTES_MAX,
        run: (body, from) => {
          const { batch, incomplete } = decodeBatch(
            body,
            (task, mark) => store.find(task, mark),
            clock(),
          );
          if (!batch.parcels.every(({ message }) => isFor(self, roleOf(message), serves)))
            throw new WireError("a message is for a role of another host");
          const receipt = this.broker.receive(from, batch);
          return encodeAnswer(receipt === null ? null : { ...receipt, incomplete, load: load() });
        },
      },
      census: {
        bytesMax: CONTROL_BYTES_MAX,
        run: (body) => {
          const { number, phase } = decodeControl("census", body);
          if (phase === "begin") {
            this.broker.beginCensus(number);
            return encodeControl("counted", null);
          }
          const counted = this.broker.collectCensus(number);
          return encodeControl("counted", counted === null ? null : [...counted]);
        },
      },
    };
  }
}

function isFor(self: HostId, role: string, serves: (role: string) => boolean): boolean {
  return serves(role) || role === inboxOf(self) || (role === FORK_ROLE && !serves(SINK_ROLE));
}

/** The only process that can do this step: the one with the task's sandbox. */
function pinOf(
  message: Message,
  statefulSandboxOf: PeerOptions["statefulSandboxOf"],
): HostId | null {
  if (message.kind === "end" || !(message.task instanceof EncodedTask)) return null;
  const sandbox = statefulSandboxOf(message.task.role);
  return sandbox === null ? null : (message.task.pins[sandbox] ?? null);
}
