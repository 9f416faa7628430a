// One replica of a model: how many requests it takes, and whether it is there. Both are learned from use. It is
//   up      it gets what its window has room for; failures in a row are counted;
//   down    it could not be reached, or failed too often in a row: it gets nothing until its backoff is over;
//   probed  is it there again? Asked with a request that costs nothing, since an answer of a model may take minutes.
// One that said when to come back (Retry-After) is up and gets nothing until then.

import { type ErrorCode, type MatrixError, messageOf } from "../../error.ts";
import type { OpenaiModelConfig } from "../../recipe/model-schema.ts";
import { backoffMs } from "../retry.ts";
import type { Address } from "./addresses.ts";
import { Endpoint } from "./endpoint.ts";
import { Window } from "./window.ts";

/** In a row, of one that can be reached. */
const FAILURES_MAX = 3;
/** Times that it went down without an answer between, until it is worth a word. */
const TIMES_UNSAID = 3;

/** Longer than this no server is believed that it must be left alone. */
const RETRY_AFTER_MAX_MS = 120_000;
/** Added to it at most, as a share. */
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
  /** Tells the user, once each time it changes. */
  readonly say: (level: "info" | "warning", what: string) => void;
}

export class Replica {
  readonly label: string;
  readonly endpoint: Endpoint;
  inFlight = 0;
  readonly #parts: ReplicaParts;
  readonly #window: Window;
  #health: Health = { is: "up", failures: 0 };
  #pausedUntil = 0;
  /** How often it went down since it last answered. */
  #times = 0;
  /** What went wrong last. */
  #trouble = "";

  constructor(config: OpenaiModelConfig, address: Address, parts: ReplicaParts) {
    this.label = address.label;
    this.endpoint = new Endpoint(config, address);
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

  /** Whether it may be given requests at all. */
  isUsable(now: number): boolean {
    return this.isUp && now >= this.#pausedUntil;
  }

  hasRoom(now: number): boolean {
    return this.isUsable(now) && this.inFlight < this.#window.size;
  }

  /** When time alone changes what it may be given; null where it does not. */
  changesAt(now: number): number | null {
    if (this.#health.is === "down") return this.#health.until;
    return now < this.#pausedUntil ? this.#pausedUntil : null;
  }

  answered(): void {
    this.#window.answered(this.inFlight);
    if (this.#times > TIMES_UNSAID) this.#parts.say("info", `${this.label} answers again`);
    this.#health = { is: "up", failures: 0 };
    this.#times = 0;
  }

  /** A try brought no answer. */
  failed({ code, message, retryAfterMs }: MatrixError, sentAt: number, now: number): void {
    this.#trouble = message;
    if (OVERLOADED.has(code)) this.#window.overloaded(sentAt, this.inFlight, now);
    // Jitter, so that those who were sent away together do not come back together.
    if (retryAfterMs !== undefined) {
      const pauseMs =
        Math.min(retryAfterMs, RETRY_AFTER_MAX_MS) *
        (1 + RETRY_AFTER_JITTER * this.#parts.random());
      this.#pausedUntil = Math.max(this.#pausedUntil, now + pauseMs);
    }
    if (this.#health.is !== "up") return;
    // Whoever refuses a request is there.
    const failures = BROKEN.has(code) ? this.#health.failures + 1 : 0;
    this.#health = { is: "up", failures };
    if (code === "model_unavailable" || failures >= FAILURES_MAX) this.#goDown(now);
  }

  /** Finds out whether one whose backoff is over is there again. */
  async probe(clock: () => number): Promise<void> {
    if (this.#health.is !== "down" || this.#health.until > clock()) return;
    this.#health = { is: "probed" };
    const isThere = await this.endpoint.isThere().catch((thrown: unknown) => {
      this.#trouble = messageOf(thrown);
      return false;
    });
    // An answer that was still under way says more.
    if (!this.#isProbed()) return;
    if (isThere) this.#health = { is: "up", failures: 0 };
    else this.#goDown(clock());
  }

  #isProbed(): boolean {
    return this.#health.is === "probed";
  }

  #goDown(now: number): void {
    this.#health = { is: "down", until: now + backoffMs(this.#times, this.#parts.random) };
    if (this.#times++ === TIMES_UNSAID)
      this.#parts.say(
        "warning",
        `${this.label} is down, and asked again from time to time: ${this.#trouble}`,
      );
  }
}
