// One replica of a model: its state, and the number of requests that it takes. Both are learned
// from use. The states are
//   up      it gets as many requests as its window allows; failures in a row are counted;
//   down    it could not be reached, or failed too often in a row: it gets nothing until its
//           backoff is over;
//   probed  its backoff is over: a request that costs nothing asks whether it is back (the
//           answer to a real request may take minutes).
// A replica that sent Retry-After is up, but gets nothing until that time.

import type { ErrorCode, MatrixError } from "../../error.ts";
import type { OpenaiModelConfig } from "../../recipe/schema/model-schema.ts";
import { backoffMs } from "../retry.ts";
import type { Address } from "./addresses.ts";
import { Endpoint } from "./endpoint.ts";
import { Window } from "./window.ts";

/** A replica that can be reached goes down after this many failures in a row. */
const FAILURES_MAX = 3;
/** A replica that goes down more often than this, without an answer in between, is reported. */
const DOWNS_UNREPORTED_MAX = 3;

/** No Retry-After is respected for longer than this. */
const RETRY_AFTER_MAX_MS = 120_000;
/** The largest share of a Retry-After that is added to it at random. */
const RETRY_AFTER_JITTER = 0.25;

const OVERLOADED: ReadonlySet<ErrorCode> = new Set(["model_overloaded", "model_timeout"]);
const BROKEN: ReadonlySet<ErrorCode> = new Set([
  "model_unavailable",
  "model_lost",
  "model_failed",
  "model_timeout",
]);

type Health =
  | { readonly is: "up"; readonly failures: number }
  | { readonly is: "down"; readonly until: number }
  | { readonly is: "probed" };

export interface ReplicaParts {
  readonly random: () => number;
  /** Reports a change to the user. */
  readonly say: (level: "info" | "warning", what: string) => void;
  /** Tells the user of something odd about answers, once for the model. */
  readonly notice: (what: string) => void;
}

/** Times are milliseconds of performance.now(). */
export class Replica {
  readonly label: string;
  readonly endpoint: Endpoint;
  inFlight = 0;
  readonly #parts: ReplicaParts;
  readonly #window: Window;
  #health: Health = { is: "up", failures: 0 };
  #pausedUntil = 0;
  /** Counts how often it went down since it last answered. */
  #downs = 0;
  /** The last thing that went wrong. */
  #trouble = "";

  constructor(config: OpenaiModelConfig, address: Address, parts: ReplicaParts) {
    this.label = address.label;
    this.endpoint = new Endpoint(config, address, parts.notice);
    this.#window = new Window(config.concurrency);
    this.#parts = parts;
  }

  get isUp(): boolean {
    return this.#health.is === "up";
  }

  get window(): number {
    return this.#window.size;
  }

  get trouble(): string {
    return this.#trouble;
  }

  /** True when it is up and not paused by a Retry-After. */
  isUsable(now: number): boolean {
    return this.isUp && now >= this.#pausedUntil;
  }

  hasRoom(now: number): boolean {
    return this.isUsable(now) && this.inFlight < this.#window.size;
  }

  /** The time at which its state changes without any answer; null when it does not. */
  changesAt(now: number): number | null {
    if (this.#health.is === "down") return this.#health.until;
    return now < this.#pausedUntil ? this.#pausedUntil : null;
  }

  answered(): void {
    this.#window.answered(this.inFlight);
    if (this.#downs > DOWNS_UNREPORTED_MAX) this.#parts.say("info", `${this.label} answers again`);
    this.#health = { is: "up", failures: 0 };
    this.#downs = 0;
  }

  /** Notes a try that brought no answer. */
  failed({ code, message, retryAfterMs }: MatrixError, sentAt: number, now: number): void {
    this.#trouble = message;
    if (OVERLOADED.has(code)) this.#window.overloaded(sentAt, this.inFlight, now);
    // The jitter keeps hosts that were sent away together from coming back together.
    if (retryAfterMs !== undefined) {
      const pauseMs =
        Math.min(retryAfterMs, RETRY_AFTER_MAX_MS) *
        (1 + RETRY_AFTER_JITTER * this.#parts.random());
      this.#pausedUntil = Math.max(this.#pausedUntil, now + pauseMs);
    }
    if (this.#health.is !== "up") return;
    // A server that refuses a request can be reached.
    const failures = BROKEN.has(code) ? this.#health.failures + 1 : 0;
    this.#health = { is: "up", failures };
    if (code === "model_unavailable" || failures >= FAILURES_MAX) this.#goDown(now);
  }

  /** Probes a replica whose backoff is over. */
  async probe(clock: () => number): Promise<void> {
    if (this.#health.is !== "down" || this.#health.until > clock()) return;
    this.#health = { is: "probed" };
    const isThere = await this.endpoint.isThere();
    // An answer that was still under way has arrived, and it says more than the probe.
    if (!this.#isProbed()) return;
    if (isThere) this.#health = { is: "up", failures: 0 };
    else this.#goDown(clock());
  }

  #isProbed(): boolean {
    return this.#health.is === "probed";
  }

  #goDown(now: number): void {
    this.#health = { is: "down", until: now + backoffMs(this.#downs, this.#parts.random) };
    if (this.#downs++ === DOWNS_UNREPORTED_MAX)
      this.#parts.say(
        "warning",
        `${this.label} is down, and is asked again from time to time: ${this.#trouble}`,
      );
  }
}
