// The health of a replica, learned from how its requests end. The states are
//   up       it is asked;
//   down     it could not be reached, or failed too often while no other replica does well: it gets
//            nothing until it answers a request that costs nothing, sent twice a second or more;
//   ejected  it fails much more often than another replica (broken connections, errors, answers
//            without use): it gets nothing for a time that doubles with each ejection. After it,
//            single requests try it, and an answer to one of them brings it back.
// Requests that were sent before a replica went down or was ejected say nothing about it any more:
// a server that shuts down may still answer them. After outlier detection in Envoy. Pure: times are
// arguments, in milliseconds.

/** Weight of one request in the share of failures. */
const WEIGHT = 0.15;
/** A replica with this share of failures is ejected or goes down: a new one after 8 in a row. */
const SHARE_MAX = 0.7;
/** A replica does well when its failures have less than this share. */
const SHARE_WELL = 0.1;
/** The share with which a replica comes back from an ejection: four in a row eject it again. */
const SHARE_BACK = 0.5;
/** Below this share, the next ejection is a short one again. */
const SHARE_FORGIVEN = 0.25;

const EJECTED_MIN_MS = 1000;
const EJECTED_MAX_MS = 60_000;
/** Bounds of the time between two probes of a replica that is down. */
const PROBE_MIN_MS = 250;
const PROBE_MAX_MS = 500;

/**
 * How a request failed: no connection came about, the answer did not come or was an error, or it
 * came and cannot be used.
 */
export type Failure = "unreachable" | "broken" | "unusable";

export interface Failing {
  readonly sentAt: number;
  readonly now: number;
  /** Requests in flight, this one included. */
  readonly inFlight: number;
  /** Another replica does well, and not too many are ejected already. */
  readonly mayEject: boolean;
}

type State =
  | { readonly is: "up" }
  | { readonly is: "down"; readonly probeAt: number }
  | { readonly is: "ejected"; readonly since: number; readonly trialAt: number };

export class Health {
  readonly #random: () => number;
  #state: State = { is: "up" };
  /** Recent share of failures; null before the first request. */
  #share: number | null = null;
  /** Failures since the last answer. */
  #failures = 0;
  /** Ejections since it last did well. */
  #ejections = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  get is(): State["is"] {
    return this.#state.is;
  }

  get doesWell(): boolean {
    return this.#state.is === "up" && this.#share !== null && this.#share < SHARE_WELL;
  }

  /** Tells whether it may be sent a request. */
  admits(now: number): boolean {
    const state = this.#state;
    return state.is === "up" || (state.is === "ejected" && now >= state.trialAt);
  }

  /** A request is sent. While it tries an ejected replica, no other one does. */
  admitted(now: number): void {
    if (this.#state.is === "ejected" && now >= this.#state.trialAt)
      this.#state = { ...this.#state, trialAt: now + this.#ejectedMs() };
  }

  /** The time at which its state changes without any answer; null when it does not. */
  get changesAt(): number | null {
    if (this.#state.is === "up") return null;
    return this.#state.is === "down" ? this.#state.probeAt : this.#state.trialAt;
  }

  answered(sentAt: number): void {
    if (this.#state.is === "down") return;
    if (this.#state.is === "ejected") {
      if (sentAt < this.#state.since) return;
      this.#share = SHARE_BACK;
    } else this.#share = (this.#share ?? 0) * (1 - WEIGHT);
    this.#state = { is: "up" };
    this.#failures = 0;
    if (this.#share < SHARE_FORGIVEN) this.#ejections = 0;
  }

  failed(failure: Failure, { sentAt, now, inFlight, mayEject }: Failing): void {
    if (this.#state.is === "down") return;
    if (this.#state.is === "ejected" && sentAt < this.#state.since) return;
    this.#share = WEIGHT + (this.#share ?? 0) * (1 - WEIGHT);
    this.#failures++;
    if (failure === "unreachable") this.#goDown(now);
    else if (this.#state.is === "ejected") this.#eject(now);
    // Failures come sooner than answers, so what is still in flight may be well.
    else if (this.#share < SHARE_MAX || this.#failures < inFlight) return;
    else if (mayEject) this.#eject(now);
    else if (failure === "broken") this.#goDown(now);
  }

  /** Ends an ejection before its time. */
  readmit(): void {
    if (this.#state.is !== "ejected") return;
    this.#state = { is: "up" };
    this.#share = SHARE_BACK;
  }

  isProbeDue(now: number): boolean {
    return this.#state.is === "down" && now >= this.#state.probeAt;
  }

  /** Tells how a probe of a replica that is down ended. */
  probed(isThere: boolean, now: number): void {
    if (isThere) this.#state = { is: "up" };
    else this.#goDown(now);
  }

  #goDown(now: number): void {
    const waitMs = PROBE_MIN_MS + (PROBE_MAX_MS - PROBE_MIN_MS) * this.#random();
    this.#share = null;
    this.#state = { is: "down", probeAt: now + waitMs };
  }

  #eject(now: number): void {
    this.#ejections++;
    this.#state = { is: "ejected", since: now, trialAt: now + this.#ejectedMs() };
  }

  /** A quarter of it is random, so that hosts do not try a replica together. */
  #ejectedMs(): number {
    const ms = Math.min(EJECTED_MAX_MS, EJECTED_MIN_MS * 2 ** (this.#ejections - 1));
    return ms * (1 + this.#random() / 4);
  }
}
