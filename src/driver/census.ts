// The census: which tasks in flight does nobody have any more? Asked only after a death. Every process is asked twice: first
// to begin to note what is in its custody, and when all have begun, what it has noted. Custody overlaps from process to
// process, so a task that lives was noted by somebody between the two questions, wherever it moved. A task that nobody noted
// is gone. When the members change in between, it begins anew.

import type { HostId } from "../peer/member.ts";
import type { TaskKey } from "../peer/parcel.ts";

export type CensusPhase = "begin" | "collect";
/** Tasks with their latest attempt; null when the process cannot say. */
export type CensusAnswer = ReadonlyMap<TaskKey, number> | null;

export interface CensusOptions {
  /** Asks a process, the driver's own among them; the answer comes by `answer`, if it comes. */
  readonly ask: (host: HostId, number: number, phase: CensusPhase) => void;
  readonly hosts: () => readonly HostId[];
  /** Tasks in flight. */
  readonly inFlight: () => Iterable<TaskKey>;
  /** `missing` were in flight when the census began, and nobody has them. `found` is all that anybody has. */
  readonly onResult: (missing: readonly TaskKey[], found: ReadonlyMap<TaskKey, number>) => void;
  /**
   * Of the first question. No other driver of the run may have begun near it: a process that knows the number takes the
   * question for one that it has answered.
   */
  readonly firstNumber: number;
  /** How long to wait for an answer before the process is asked again. */
  readonly patienceMs: number;
}

interface Round {
  phase: CensusPhase;
  readonly keys: readonly TaskKey[];
  /** Those who have not answered this phase. */
  waiting: Set<HostId>;
  readonly found: Map<TaskKey, number>;
  askedAt: number;
}

export class Census {
  readonly #options: CensusOptions;
  #number: number;
  #round: Round | null = null;
  /** Another one was asked for meanwhile. */
  #again = false;

  constructor(options: CensusOptions) {
    this.#options = options;
    this.#number = options.firstNumber;
  }

  get running(): boolean {
    return this.#round !== null;
  }

  request(now: number): void {
    if (this.#round === null) this.#start(now);
    else this.#again = true;
  }

  /** A process came or went: what was asked is void. */
  hostsChanged(now: number): void {
    if (this.#round !== null) this.#start(now);
  }

  tick(now: number): void {
    const round = this.#round;
    if (round === null || now - round.askedAt < this.#options.patienceMs) return;
    round.askedAt = now;
    this.#askEach([...round.waiting], round.phase);
  }

  answer(
    host: HostId,
    number: number,
    phase: CensusPhase,
    answer: CensusAnswer,
    now: number,
  ): void {
    const round = this.#round;
    if (round === null || number !== this.#number || phase !== round.phase) return;
    if (phase === "collect") {
      if (answer === null) {
        this.#start(now);
        return;
      }
      for (const [key, attempt] of answer)
        round.found.set(key, Math.max(round.found.get(key) ?? 0, attempt));
    }
    round.waiting.delete(host);
    if (round.waiting.size > 0) return;
    if (phase === "begin") this.#ask("collect", now);
    else this.#finish(now);
  }

  #start(now: number): void {
    this.#number++;
    this.#again = false;
    this.#round = {
      phase: "begin",
      keys: [...this.#options.inFlight()],
      waiting: new Set(),
      found: new Map(),
      askedAt: now,
    };
    this.#ask("begin", now);
  }

  #ask(phase: CensusPhase, now: number): void {
    if (this.#round === null) return;
    const hosts = this.#options.hosts();
    this.#round.phase = phase;
    this.#round.askedAt = now;
    this.#round.waiting = new Set(hosts);
    this.#askEach(hosts, phase);
  }

  #askEach(hosts: readonly HostId[], phase: CensusPhase): void {
    const [round, number] = [this.#round, this.#number];
    // An answer may come at once, and change everything.
    for (const host of hosts)
      if (this.#round === round && this.#number === number) this.#options.ask(host, number, phase);
  }

  #finish(now: number): void {
    const round = this.#round;
    if (round === null) return;
    this.#round = null;
    const missing = round.keys.filter((key) => !round.found.has(key));
    this.#options.onResult(missing, round.found);
    if (this.#again) this.#start(now);
  }
}
