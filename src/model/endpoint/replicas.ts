// The replicas of a model, and who is given which. Requests of one task go to one replica, the task's own (rendezvous hashing:
// when replicas come and go, few tasks move), while it is up and has room; else to the next in the task's order. Where none has
// room they wait here, and whoever comes free takes first what is its own.

import { MatrixError } from "../../error.ts";
import type { OpenaiModelConfig } from "../../recipe/model-schema.ts";
import { hash64 } from "../../task/seed.ts";
import type { ReplicaState, Replicated } from "../site.ts";
import { type Address, type Addresses, createAddresses } from "./addresses.ts";
import { Line } from "./line.ts";
import { Replica, type ReplicaParts } from "./replica.ts";

/** How often it is looked whether there is something new for those who wait. */
const LOOK_MIN_MS = 10;
const LOOK_MAX_MS = 250;

export interface Wanted {
  /** Of the task. */
  readonly key: string;
  /** Which in the task's order is wanted: after a failure, another. */
  readonly rank: number;
  /** When it is no longer waited for one that is up, by performance.now(). */
  readonly deadline: number;
  readonly signal: AbortSignal;
}

interface Waiting extends Wanted {
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
  /** Of null are those that came when none was usable. */
  readonly #line = new Line<Replica | null, Waiting>();
  #waiting = 0;
  #timer: NodeJS.Timeout | null = null;
  #foundAt: number | null = null;
  #finding: Promise<void> | null = null;
  #problem: string | null = null;

  constructor(name: string, config: OpenaiModelConfig, parts: ReplicaParts) {
    this.model = name;
    this.#config = config;
    this.#parts = parts;
    this.#addresses = createAddresses(config.base_url);
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

  /** A place at a replica, given back with `give`. Fails with the signal's reason, or when none was up until the deadline. */
  async take(wanted: Wanted): Promise<Replica> {
    wanted.signal.throwIfAborted();
    if (this.#isStale()) void this.#find();
    if (this.#replicas.length === 0 && this.#finding !== null) await this.#finding;
    this.#probe();
    const ordered = this.#orderOf(wanted);
    const now = performance.now();
    const replica = ordered.find((one) => one.hasRoom(now));
    if (replica === undefined) return this.#wait(wanted, ordered[0] ?? null);
    replica.inFlight++;
    return replica;
  }

  give(replica: Replica): void {
    replica.inFlight--;
    this.#serve(replica);
  }

  /** Whether a request that failed there can be sent elsewhere at once. */
  hasOther(replica: Replica): boolean {
    const now = performance.now();
    return this.#replicas.some((other) => other !== replica && other.isUsable(now));
  }

  /** Those that may be used, the wanted one first. */
  #orderOf({ key, rank }: Wanted): readonly Replica[] {
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

  #wait(wanted: Wanted, own: Replica | null): Promise<Replica> {
    const { signal } = wanted;
    return new Promise((resolve, reject) => {
      const abort = (): void => leave(() => reject(signal.reason));
      const leave = (end: () => void): void => {
        signal.removeEventListener("abort", abort);
        waiting.isOver = true;
        this.#waiting--;
        end();
      };
      const waiting: Waiting = {
        ...wanted,
        isOver: false,
        start: (replica) => leave(() => resolve(replica)),
        fail: (error) => leave(() => reject(error)),
      };
      signal.addEventListener("abort", abort, { once: true });
      this.#line.add(own, waiting);
      this.#waiting++;
      this.#lookLater();
    });
  }

  /** Gives what waits to a replica while it has room. */
  #serve(replica: Replica): void {
    const now = performance.now();
    while (this.#waiting > 0 && replica.hasRoom(now)) {
      replica.inFlight++;
      this.#line.takeFor(replica, (own) => own?.isUsable(now) === true)?.start(replica);
    }
  }

  /** Sees, while somebody waits, to everything that time alone changes. */
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

  /** Asks those that are down and whose backoff is over whether they are there. */
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
      why === "" ? "it has no replicas" : why,
    );
  }

  #isStale(): boolean {
    return this.#foundAt === null || performance.now() - this.#foundAt > this.#addresses.maxAgeMs;
  }

  /** Never two at once. Replicas that are named again stay what they are; one that is gone ends what it has under way. */
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
      ...(came.size > 0 ? [`new ${[...came].join(", ")}`] : []),
      ...(went.size > 0 ? [`gone ${[...went].join(", ")}`] : []),
    ];
    if (changes.length > 0)
      this.#parts.say(
        "info",
        `models.${this.model}: replicas, ${now.size} now: ${changes.join("; ")}`,
      );
  }
}
