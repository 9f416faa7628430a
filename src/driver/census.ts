// The census finds out which tasks in flight no process holds any more. It is taken only after a
// death. The driver asks every process twice: first to begin its notes of the tasks in its custody,
// and, when all have begun, for these notes. Custody overlaps from process to process, so between
// the two questions at least one process notes each task that lives, even while it moves. A task
// that no process noted is gone. When the members change in between, the census starts again.

import type { HostId } from "../peer/member.ts";
import type { TaskKey } from "../peer/parcel.ts";

export type CensusPhase = "begin" | "collect";
/** Tasks by key, with their latest attempt; null when the process cannot say. */
export type CensusAnswer = ReadonlyMap<TaskKey, number> | null;

export interface CensusOptions {
  /** Asks a process, the driver's own included. Its answer goes to `answer`, if it comes. */
  readonly ask: (host: HostId, number: number, phase: CensusPhase) => void;
  readonly hosts: () => readonly HostId[];
  /** Keys of the tasks in flight. */
  readonly inFlight: () => Iterable<TaskKey>;
  /**
   * Takes the result. `missing` are tasks that were in flight when the census began and that no
   * process holds; `found` are all tasks that a process holds.
   */
  readonly onResult: (missing: readonly TaskKey[], found: ReadonlyMap<TaskKey, number>) => void;
  /**
   * The number of the first census. It must be far from the numbers of every other driver of the
   * run: a process takes a number that it knows for a question that it has answered.
   */
  readonly firstNumber: number;
  /** A process that does not answer for this long is asked again. */
  readonly patienceMs: number;
}

interface Round {
  phase: CensusPhase;
  readonly keys: readonly TaskKey[];
  /** Processes that have not answered in this phase. */
  waiting: Set<HostId>;
  readonly found: Map<TaskKey, number>;
  askedAt: number;
}

export class Census {
  readonly #options: CensusOptions;
  #number: number;
  #round: Round | null = null;
  /** True when another census was requested while this one runs. */
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

  /** Starts the census again, because a process came or went. */
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
    // An answer may come at once and begin another round.
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
