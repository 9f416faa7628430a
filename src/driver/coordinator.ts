// The driver's part in delivery: who is there, and what became of tasks whose hosts died. Messages between roles never pass
// here. A pure state machine like the broker; the two are proved together by tests/peer/simulation.test.ts.
//
// It is *forming* while it waits for the hosts that a driver before it knew, then takes a census and adopts what they hold,
// and is *running* from then on. A death is followed by a census; what nobody has is started again, or recorded as lost.

import type { Broker } from "../peer/broker.ts";
import type { HostId, Member } from "../peer/member.ts";
import { type Beat, type BeatAnswer, followList } from "../peer/membership.ts";
import type { TaskKey } from "../peer/parcel.ts";
import type { Routing } from "../peer/routing.ts";
import { Census, type CensusAnswer, type CensusPhase } from "./census.ts";
import type { InFlight, InFlightTask } from "./in-flight.ts";
import { Roster } from "./roster.ts";

export interface CoordinatorOptions {
  readonly self: Member;
  readonly broker: Broker;
  readonly routing: Routing;
  readonly inFlight: InFlight;
  /** Hosts of the driver that died before this one. */
  readonly expected: ReadonlySet<HostId>;
  /** How long to wait for them. */
  readonly formingMs: number;
  /** How long a host may be silent before it is given up. */
  readonly silenceMs: number;
  readonly censusPatienceMs: number;
  /** Random for each driver: see CensusOptions. */
  readonly firstCensus: number;
  /** Asks a host; its answer goes to `counted`. */
  readonly ask: (host: HostId, number: number, phase: CensusPhase) => void;
  /** Whether the run directory has the record already. */
  readonly isRecorded: (key: TaskKey) => boolean;
  /** A task that hosts hold for the driver before this one was found, and is in flight again. */
  readonly onAdopted: () => void;
  /** Nobody has this task: start it again, or record it as lost. Its row was read. */
  readonly onMissing: (key: TaskKey, task: InFlightTask) => void;
  readonly onJoin: (member: Member) => void;
  readonly onLeave: (member: Member, why: "left" | "died") => void;
  /** Everything that could be adopted was. */
  readonly onFormed: () => void;
  readonly now: () => number;
}

export class Coordinator {
  readonly #options: CoordinatorOptions;
  readonly #roster: Roster;
  readonly #census: Census;
  readonly #formingUntil: number;
  #state: "waiting" | "adopting" | "running" | "over" = "waiting";

  constructor(options: CoordinatorOptions) {
    this.#options = options;
    this.#roster = new Roster(options.self, options.silenceMs);
    this.#formingUntil = options.now() + (options.expected.size === 0 ? 0 : options.formingMs);
    this.#census = new Census({
      ask: (host, number, phase) => this.#ask(host, number, phase),
      hosts: () => this.#roster.list.members.map(({ id }) => id),
      inFlight: () => options.inFlight.keys(),
      onResult: (missing, found) => this.#counted(missing, found),
      patienceMs: options.censusPatienceMs,
      firstNumber: options.firstCensus,
    });
    options.routing.update(this.#roster.list.members);
  }

  get hosts(): Roster["hosts"] {
    return this.#roster.hosts;
  }

  get censusRunning(): boolean {
    return this.#census.running;
  }

  beat(beat: Beat): BeatAnswer {
    const { now, onJoin } = this.#options;
    const { isNew, joining } = this.#roster.beat(beat, now());
    if (isNew) onJoin(beat.member);
    this.#changed();
    this.#options.routing.noteLoad(beat.member.id, beat.load);
    const isForming = this.#state === "waiting";
    return {
      state: this.#state === "over" ? "over" : isForming ? "forming" : "running",
      joining,
      list: isForming || this.#roster.knows(beat.known) ? null : this.#roster.list,
    };
  }

  /** A host said goodbye, or is known to be dead. */
  remove(id: HostId, why: "left" | "died"): void {
    const host = this.#roster.hosts.find(({ member }) => member.id === id);
    if (host === undefined || !this.#roster.remove(id)) return;
    this.#options.onLeave(host.member, why);
    this.#changed();
    if (this.#state === "running") this.#census.request(this.#options.now());
  }

  counted(host: HostId, number: number, phase: CensusPhase, answer: CensusAnswer): void {
    this.#census.answer(host, number, phase, answer, this.#options.now());
  }

  /** To be called several times a second. */
  tick(): void {
    const now = this.#options.now();
    for (const id of this.#roster.silent(now)) this.remove(id, "died");
    this.#census.tick(now);
    if (
      this.#state === "waiting" &&
      (now >= this.#formingUntil || [...this.#options.expected].every((id) => this.#roster.has(id)))
    ) {
      this.#state = "adopting";
      this.#changed();
      this.#census.request(now);
    }
  }

  /** Asks who has what, without a reason: nothing has ended for long. */
  recount(): void {
    if (this.#state === "running") this.#census.request(this.#options.now());
  }

  /** The run has ended: hosts are told so when they ask. */
  end(): void {
    this.#state = "over";
  }

  /** Goes by the list as it is, where it changed. */
  #changed(): void {
    const { list } = this.#roster;
    if (this.#state === "waiting" || list.version.version === this.#followed) return;
    this.#followed = list.version.version;
    followList(list, this.#options.routing, this.#options.broker);
    this.#census.hostsChanged(this.#options.now());
  }
  #followed = 0;

  #ask(host: HostId, number: number, phase: CensusPhase): void {
    const { self, broker, ask } = this.#options;
    if (host !== self.id) {
      ask(host, number, phase);
      return;
    }
    if (phase === "begin") broker.beginCensus(number);
    this.counted(host, number, phase, phase === "begin" ? null : broker.collectCensus(number));
  }

  #counted(missing: readonly TaskKey[], found: ReadonlyMap<TaskKey, number>): void {
    const { inFlight, isRecorded, onAdopted, onMissing, onFormed } = this.#options;
    if (this.#state === "adopting") {
      for (const [key, attempt] of found) {
        if (inFlight.get(key) !== undefined || isRecorded(key)) continue;
        inFlight.adopt(key, attempt);
        onAdopted();
      }
      this.#state = "running";
      onFormed();
      return;
    }
    for (const key of missing) {
      const task = inFlight.get(key);
      if (task === undefined) continue;
      if (task.admitted === null) task.isMissing = true;
      else onMissing(key, task);
    }
  }
}
