// The replicas of a model, and which request goes to which. The requests of one task prefer one
// replica, the first in the task's own order (rendezvous hashing: few tasks move when replicas come
// and go). They get it while it has room and is not overloaded (choice.ts), and otherwise the next
// in that order. When there is none, requests wait here.

import { MatrixError } from "../../error.ts";
import type { OpenaiModelConfig } from "../../recipe/schema/model-schema.ts";
import { hash64 } from "../../task/seed.ts";
import type { ReplicaState, Replicated } from "../contract.ts";
import { createAddresses } from "./addresses.ts";
import { choose, isWorth, limitMs } from "./choice.ts";
import type { Begun } from "./load.ts";
import type { Replica, ReplicaParts } from "./replica.ts";
import { Roster } from "./roster.ts";
import { WaitingLine } from "./waiting-line.ts";

/** Bounds for the time between two looks at the replicas while requests wait. */
const LOOK_MIN_MS = 10;
const LOOK_MAX_MS = 250;
/** The largest share of the replicas that is ejected at once. */
const EJECTED_SHARE_MAX = 2 / 3;

export interface PlaceRequest {
  /** Names the task. */
  readonly key: string;
  /** Position in the task's order that is preferred. A retry prefers another replica. */
  readonly rank: number;
  /**
   * Time by the clock after which the request no longer waits while no replica is usable.
   */
  readonly deadline: number;
  readonly signal: AbortSignal;
}

/** A place at a replica, from the moment at which it was taken. */
export interface Place {
  readonly replica: Replica;
  readonly begun: Begun;
}

interface Waiting extends PlaceRequest {
  isOver: boolean;
  readonly start: (place: Place) => void;
  readonly fail: (error: unknown) => void;
}

export class Replicas implements Replicated {
  readonly model: string;
  readonly #parts: ReplicaParts;
  readonly #roster: Roster;
  /** Requests that came when no replica was usable prefer null. */
  readonly #line = new WaitingLine<Replica | null, Waiting>();
  #waiting = 0;
  #isLookDue = false;

  constructor(
    name: string,
    config: OpenaiModelConfig,
    parts: ReplicaParts,
    addresses = createAddresses(config.base_url),
  ) {
    this.model = name;
    this.#parts = parts;
    this.#roster = new Roster(name, config, parts, addresses);
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
  async take(request: PlaceRequest): Promise<Place> {
    request.signal.throwIfAborted();
    const finding = this.#roster.find();
    if (this.#replicas.length === 0 && finding !== null) await finding;
    this.#probe();
    const now = this.#now();
    const ordered = orderFor(request, this.#usable(now));
    const candidates = ordered.map((one) => one.asCandidate(now));
    const chosen = choose(candidates, this.#waiting);
    if (chosen === null) return this.#wait(request, ordered[0] ?? null);
    const { replica } = chosen;
    return { replica, begun: replica.begin(now) };
  }

  give({ replica, begun }: Place): void {
    replica.end(begun, this.#now());
    this.#serve(replica);
  }

  /** Notes that the request with this place, which was sent at that time, was answered. */
  answered({ replica, begun }: Place, sentAt: number): void {
    replica.answered(begun, sentAt, this.#now());
  }

  failed({ replica, begun }: Place, error: MatrixError, sentAt: number): void {
    const ejected = this.#replicas.filter((one) => one.isEjected && one !== replica).length + 1;
    const mayEject =
      this.anotherDoesWell(replica) && ejected <= this.#replicas.length * EJECTED_SHARE_MAX;
    replica.failed(error, begun, { sentAt, now: this.#now(), mayEject });
  }

  anotherDoesWell(replica: Replica): boolean {
    return this.#replicas.some((other) => other !== replica && other.doesWell);
  }

  /**
   * Tells whether a request that failed at one replica need not wait before it is tried again:
   * another replica can take it, or none can and it waits here.
   */
  canRetryNow(replica: Replica): boolean {
    const now = this.#now();
    if (!replica.isUsable(now)) return true;
    const candidates = this.#usable(now).map((one) => one.asCandidate(now));
    const limit = limitMs(candidates, this.#waiting);
    return candidates.some((one) => one.replica !== replica && one.hasRoom && isWorth(one, limit));
  }

  #usable(now: number): readonly Replica[] {
    return this.#replicas.filter((one) => one.isUsable(now));
  }

  get #replicas(): readonly Replica[] {
    return this.#roster.replicas;
  }

  #now(): number {
    return this.#parts.clock.now();
  }

  #wait(request: PlaceRequest, preferred: Replica | null): Promise<Place> {
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
        start: (place) => leave(() => resolve(place)),
        fail: (error) => leave(() => reject(error)),
      };
      signal.addEventListener("abort", abort, { once: true });
      this.#line.add(preferred, waiting);
      this.#waiting++;
      this.#lookLater();
    });
  }

  /** Gives a replica waiting requests while it has room and is worth it. */
  #serve(replica: Replica): void {
    if (this.#waiting === 0) return;
    const now = this.#now();
    const isWorthIt = this.#worth(now);
    while (this.#waiting > 0 && replica.hasRoom(now) && isWorthIt(replica)) {
      const begun = replica.begin(now);
      this.#line
        .takeFor(replica, (own) => own?.isUsable(now) === true && isWorthIt(own))
        ?.start({ replica, begun });
    }
  }

  /** A test for replicas that requests need not avoid, as things are at this time. */
  #worth(now: number): (replica: Replica) => boolean {
    const usable = this.#usable(now);
    if (usable.length < 2) return () => true;
    const limit = limitMs(
      usable.map((one) => one.asCandidate(now)),
      this.#waiting,
    );
    return (replica) => isWorth(replica.asCandidate(now), limit);
  }

  /**
   * Handles changes that come with time alone while requests wait: addresses, probes, pauses,
   * growth and deadlines.
   */
  #look(): void {
    const now = this.#now();
    void this.#roster.find();
    this.#probe();
    for (const replica of this.#replicas) this.#serve(replica);
    if (!this.#replicas.some((replica) => replica.isUsable(now)))
      for (const waiting of this.#line) if (now >= waiting.deadline) waiting.fail(this.#noneIsUp());
    this.#lookLater();
  }

  #lookLater(): void {
    if (this.#waiting === 0 || this.#isLookDue) return;
    const now = this.#now();
    const changes = this.#replicas
      .map((replica) => replica.changesAt(now))
      .filter((at) => at !== null);
    const waitMs = Math.max(LOOK_MIN_MS, Math.min(LOOK_MAX_MS, ...changes.map((at) => at - now)));
    this.#isLookDue = true;
    this.#parts.clock.later(waitMs, () => {
      this.#isLookDue = false;
      this.#look();
    });
  }

  /** Probes replicas that are down. When none is up, those that were ejected are asked again. */
  #probe(): void {
    if (!this.#replicas.some(({ isUp }) => isUp))
      for (const replica of this.#replicas) replica.readmit();
    for (const replica of this.#replicas)
      if (!replica.isUp) void replica.probe().then(() => this.#serve(replica));
  }

  #noneIsUp(): MatrixError {
    const isPaused = this.#replicas.some(({ isUp }) => isUp);
    const troubles = this.#replicas
      .map(({ trouble }) => trouble)
      .filter((trouble) => trouble !== "");
    const why = [...troubles, this.#roster.problem].filter((what) => what !== null).join("; ");
    return new MatrixError(
      isPaused ? "model_overloaded" : "model_unavailable",
      why === "" ? `models.${this.model} has no replicas` : why,
    );
  }
}

/** The replicas in the order in which the task prefers them. */
function orderFor({ key, rank }: PlaceRequest, replicas: readonly Replica[]): readonly Replica[] {
  if (replicas.length < 2) return replicas;
  const ordered = replicas
    .map((replica) => ({ replica, weight: hash64(`${key}\u0000${replica.label}`)[0] }))
    .sort((a, b) => b.weight - a.weight)
    .map(({ replica }) => replica);
  const first = rank % ordered.length;
  return [...ordered.slice(first), ...ordered.slice(0, first)];
}
