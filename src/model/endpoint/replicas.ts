// The replicas of a model, and which request goes to which. The requests of one task prefer one
// replica, the first in the task's own order (rendezvous hashing: few tasks move when replicas come
// and go). They get it while it is usable and has room, and otherwise the next in that order. When
// no replica has room, requests wait here.

import { MatrixError } from "../../error.ts";
import type { OpenaiModelConfig } from "../../recipe/schema/model-schema.ts";
import { hash64 } from "../../task/seed.ts";
import type { ReplicaState, Replicated } from "../contract.ts";
import { type Address, type Addresses, createAddresses } from "./addresses.ts";
import { Replica, type ReplicaParts } from "./replica.ts";
import { WaitingLine } from "./waiting-line.ts";

/** Bounds for the time between two looks at the replicas while requests wait. */
const LOOK_MIN_MS = 10;
const LOOK_MAX_MS = 250;

export interface PlaceRequest {
  /** Names the task. */
  readonly key: string;
  /** Position in the task's order that is preferred. A retry prefers another replica. */
  readonly rank: number;
  /**
   * Time by performance.now() after which the request no longer waits while no replica is usable.
   */
  readonly deadline: number;
  readonly signal: AbortSignal;
}

interface Waiting extends PlaceRequest {
  isOver: boolean;
  readonly start: (replica: Replica) => void;
  readonly fail: (error: unknown) => void;
}

export class Replicas implements Replicated {
  readonly model: string;
  readonly #config: OpenaiModelConfig;
  readonly #parts: ReplicaParts;
  readonly #addresses: Addresses;
  #replicas: readonly Replica[] = [];
  /** Requests that came when no replica was usable prefer null. */
  readonly #line = new WaitingLine<Replica | null, Waiting>();
  #waiting = 0;
  #timer: NodeJS.Timeout | null = null;
  #foundAt: number | null = null;
  #finding: Promise<void> | null = null;
  #problem: string | null = null;

  constructor(
    name: string,
    config: OpenaiModelConfig,
    parts: ReplicaParts,
    addresses = createAddresses(config.base_url),
  ) {
    this.model = name;
    this.#config = config;
    this.#parts = parts;
    this.#addresses = addresses;
  }

  get replicas(): readonly ReplicaState[] {
    return this.#replicas.map(({ label, isUp, inFlight, window }) => ({
      replica: label,
      isUp,
      inFlight,
      window,
    }));
  }

  get waiting(): number {
    return this.#waiting;
  }

  /**
   * Resolves with a place at a replica, which the caller returns with `give`. Fails with the
   * signal's reason, or when no replica was usable until the deadline.
   */
  async take(request: PlaceRequest): Promise<Replica> {
    request.signal.throwIfAborted();
    if (this.#isStale()) void this.#find();
    if (this.#replicas.length === 0 && this.#finding !== null) await this.#finding;
    this.#probe();
    const ordered = this.#orderOf(request);
    const now = performance.now();
    const replica = ordered.find((one) => one.hasRoom(now));
    if (replica === undefined) return this.#wait(request, ordered[0] ?? null);
    replica.inFlight++;
    return replica;
  }

  give(replica: Replica): void {
    replica.inFlight--;
    this.#serve(replica);
  }

  /** Tells whether a request that failed at one replica can be sent to another at once. */
  hasOther(replica: Replica): boolean {
    const now = performance.now();
    return this.#replicas.some((other) => other !== replica && other.isUsable(now));
  }

  /** The usable replicas, the preferred one first. */
  #orderOf({ key, rank }: PlaceRequest): readonly Replica[] {
    const now = performance.now();
    const usable = this.#replicas.filter((one) => one.isUsable(now));
    if (usable.length < 2) return usable;
    const ordered = usable
      .map((replica) => ({ replica, weight: hash64(`${key}\u0000${replica.label}`)[0] }))
      .sort((a, b) => b.weight - a.weight)
      .map(({ replica }) => replica);
    const first = rank % ordered.length;
    return [...ordered.slice(first), ...ordered.slice(0, first)];
  }

  #wait(request: PlaceRequest, preferred: Replica | null): Promise<Replica> {
    const { signal } = request;
    return new Promise((resolve, reject) => {
      const abort = (): void => leave(() => reject(signal.reason));
      const leave = (end: () => void): void => {
        signal.removeEventListener("abort", abort);
        waiting.isOver = true;
        this.#waiting--;
        end();
      };
      const waiting: Waiting = {
        ...request,
        isOver: false,
        start: (replica) => leave(() => resolve(replica)),
        fail: (error) => leave(() => reject(error)),
      };
      signal.addEventListener("abort", abort, { once: true });
      this.#line.add(preferred, waiting);
      this.#waiting++;
      this.#lookLater();
    });
  }

  /** Gives a replica waiting requests while it has room. */
  #serve(replica: Replica): void {
    const now = performance.now();
    while (this.#waiting > 0 && replica.hasRoom(now)) {
      replica.inFlight++;
      this.#line.takeFor(replica, (own) => own?.isUsable(now) === true)?.start(replica);
    }
  }

  /**
   * Handles changes that come with time alone while requests wait: addresses, backoffs, pauses and
   * deadlines.
   */
  #look(): void {
    const now = performance.now();
    if (this.#isStale()) void this.#find();
    this.#probe();
    for (const replica of this.#replicas) this.#serve(replica);
    if (!this.#replicas.some((replica) => replica.isUsable(now)))
      for (const waiting of this.#line) if (now >= waiting.deadline) waiting.fail(this.#noneIsUp());
    this.#lookLater();
  }

  #lookLater(): void {
    if (this.#waiting === 0 || this.#timer !== null) return;
    const now = performance.now();
    const changes = this.#replicas
      .map((replica) => replica.changesAt(now))
      .filter((at) => at !== null);
    const waitMs = Math.max(LOOK_MIN_MS, Math.min(LOOK_MAX_MS, ...changes.map((at) => at - now)));
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#look();
    }, waitMs);
  }

  /** Probes the replicas that are down and whose backoff is over. */
  #probe(): void {
    for (const replica of this.#replicas)
      if (!replica.isUp)
        void replica.probe(() => performance.now()).then(() => this.#serve(replica));
  }

  #noneIsUp(): MatrixError {
    const isPaused = this.#replicas.some(({ isUp }) => isUp);
    const troubles = this.#replicas
      .map(({ trouble }) => trouble)
      .filter((trouble) => trouble !== "");
    const why = [...troubles, this.#problem].filter((what) => what !== null).join("; ");
    return new MatrixError(
      isPaused ? "model_overloaded" : "model_unavailable",
      why === "" ? `models.${this.model} has no replicas` : why,
    );
  }

  #isStale(): boolean {
    return this.#foundAt === null || performance.now() - this.#foundAt > this.#addresses.maxAgeMs;
  }

  /**
   * Looks for the addresses again, never twice at once. A replica that is named again keeps its
   * state; one that is gone finishes what it has in flight.
   */
  #find(): Promise<void> {
    this.#finding ??= this.#addresses.find().then(({ addresses, problem }) => {
      const isFirst = this.#foundAt === null;
      this.#foundAt = performance.now();
      this.#finding = null;
      if (problem !== null && problem !== this.#problem)
        this.#parts.say("warning", `models.${this.model}: ${problem}`);
      this.#problem = problem;
      if (addresses === null) return;
      if (!isFirst && problem === null) this.#sayChange(addresses);
      const known = new Map(this.#replicas.map((replica) => [replica.label, replica]));
      this.#replicas = addresses.map(
        (address) => known.get(address.label) ?? new Replica(this.#config, address, this.#parts),
      );
      if (this.#waiting > 0) this.#look();
    });
    return this.#finding;
  }

  #sayChange(addresses: readonly Address[]): void {
    const before = new Set(this.#replicas.map(({ label }) => label));
    const now = new Set(addresses.map(({ label }) => label));
    const [came, went] = [now.difference(before), before.difference(now)];
    const changes = [
      ...(came.size > 0 ? [`new: ${[...came].join(", ")}`] : []),
      ...(went.size > 0 ? [`gone: ${[...went].join(", ")}`] : []),
    ];
    if (changes.length > 0)
      this.#parts.say(
        "info",
        `models.${this.model}: the replicas changed, ${now.size} now; ${changes.join("; ")}`,
      );
  }
}
