// One replica of a model: its endpoint, and what was learned of it from use: how much it takes
// (window.ts), how busy it is (load.ts) and whether it is well (health.ts).

import type { ErrorCode, MatrixError } from "../../error.ts";
import type { OpenaiModelConfig } from "../../recipe/schema/model-schema.ts";
import type { Clock } from "../clock.ts";
import type { Endpoint } from "../endpoint/endpoint.ts";
import { retryAfterMs } from "../retry.ts";
import type { Address } from "./addresses.ts";
import type { Candidate } from "./choice.ts";
import { type Failing, type Failure, Health } from "./health.ts";
import { type Begun, Load } from "./load.ts";
import { Window } from "./window.ts";

/** A replica that failed this many probes since it last answered is reported. */
const PROBES_UNREPORTED_MAX = 3;

const OVERLOADED: ReadonlySet<ErrorCode> = new Set(["model_overloaded", "model_timeout"]);
const FAILURES: Readonly<Partial<Record<ErrorCode, Failure>>> = {
  model_unavailable: "unreachable",
  model_lost: "broken",
  model_failed: "broken",
  model_timeout: "broken",
  model_bad_answer: "unusable",
  model_denied: "unusable",
  model_refused_request: "unusable",
};

export interface ReplicaParts {
  readonly random: () => number;
  readonly clock: Clock;
  /** The window that an earlier start of the run found; null when it found none. */
  readonly findWindow: (replica: string) => number | null;
  readonly noteWindow: (replica: string, size: number | null) => void;
  /** Reports a change to the user. */
  readonly say: (level: "info" | "warning", what: string) => void;
  readonly connect: (address: Address) => Pick<Endpoint, "ask" | "isThere">;
}

export class Replica {
  readonly label: string;
  readonly endpoint: Pick<Endpoint, "ask" | "isThere">;
  readonly #parts: ReplicaParts;
  readonly #window: Window;
  readonly #load = new Load();
  readonly #health: Health;
  #noted: number | null;
  /** Probes that failed since it last answered. */
  #probes = 0;
  #isProbing = false;
  #isReported = false;
  /** The last thing that went wrong. */
  #trouble = "";

  constructor(config: OpenaiModelConfig, address: Address, parts: ReplicaParts) {
    this.label = address.label;
    this.endpoint = parts.connect(address);
    this.#parts = parts;
    this.#noted = parts.findWindow(this.label);
    this.#window = new Window(config.concurrency, parts.random, this.#noted);
    this.#health = new Health(parts.random);
  }

  get isUp(): boolean {
    return this.#health.is === "up";
  }

  get isEjected(): boolean {
    return this.#health.is === "ejected";
  }

  get doesWell(): boolean {
    return this.#health.doesWell;
  }

  get inFlight(): number {
    return this.#load.inFlight;
  }

  get window(): number {
    return this.#window.size;
  }

  get trouble(): string {
    return this.#trouble;
  }

  /** True when it may be sent requests now, if it has room. */
  isUsable(now: number): boolean {
    return this.#health.admits(now) && !this.#window.isPaused(now);
  }

  hasRoom(now: number): boolean {
    return this.#health.admits(now) && this.#window.hasRoom(this.#load.inFlight, now);
  }

  asCandidate(now: number): Candidate & { readonly replica: Replica } {
    return {
      replica: this,
      hasRoom: this.hasRoom(now),
      isKnown: this.#load.isKnown,
      isStale: this.#load.isStale(now),
      expectedMs: (ahead) => this.#load.expectedMs(ahead, now),
    };
  }

  /** The time at which it may take more without any answer; null when there is none. */
  changesAt(now: number): number | null {
    // A probe that is under way tells by itself how it ended.
    if (this.#isProbing) return null;
    return this.#health.changesAt ?? this.#window.changesAt(now);
  }

  /** Ends an ejection: a replica that fails is better than none. */
  readmit(): void {
    this.#health.readmit();
  }

  begin(now: number): Begun {
    this.#health.admitted(now);
    return this.#load.begin(now);
  }

  end(begun: Begun, now: number): void {
    this.#load.end(begun, now);
  }

  answered(begun: Begun, sentAt: number, now: number): void {
    this.#window.answered(this.inFlight);
    this.#load.answered(begun, now - sentAt);
    this.#health.answered(sentAt);
    this.#noteWindow();
    if (!this.isUp) return;
    this.#probes = 0;
    if (this.#isReported) this.#parts.say("info", `${this.label} answers again`);
    this.#isReported = false;
  }

  /** Notes a try that brought no answer. */
  failed(error: MatrixError, begun: Begun, how: Omit<Failing, "inFlight">): void {
    const { code } = error;
    const { inFlight } = this;
    const { sentAt, now } = how;
    this.#trouble = error.message;
    if (code === "model_timeout") this.#load.answered(begun, now - sentAt);
    if (OVERLOADED.has(code)) {
      const wait = retryAfterMs(error, this.#parts.random) ?? 0;
      this.#window.refused({ inFlight, afterMs: now - sentAt, retryAfterMs: wait, now });
      this.#noteWindow();
    }
    const failure = FAILURES[code];
    if (failure === undefined) return;
    this.#health.failed(failure, { ...how, inFlight });
    if (this.isEjected) this.#report(`fails, and gets few requests until it is well`);
  }

  /** Asks a replica that is down whether it is there, when it is time for that. */
  async probe(): Promise<void> {
    const { clock } = this.#parts;
    if (this.#isProbing || !this.#health.isProbeDue(clock.now())) return;
    this.#isProbing = true;
    const isThere = await this.endpoint.isThere();
    this.#isProbing = false;
    this.#health.probed(isThere, clock.now());
    // The requests that wait do not all come in one moment.
    if (isThere) this.#window.restart(this.inFlight);
    else if (this.#probes++ === PROBES_UNREPORTED_MAX)
      this.#report("is down, and is asked again from time to time");
  }

  #report(what: string): void {
    if (this.#isReported) return;
    this.#isReported = true;
    this.#parts.say("warning", `${this.label} ${what}: ${this.#trouble}`);
  }

  #noteWindow(): void {
    const { found } = this.#window;
    if (found === this.#noted) return;
    this.#noted = found;
    this.#parts.noteWindow(this.label, found);
  }
}
