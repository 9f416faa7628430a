// The driver's part in delivery: which hosts there are, and what became of tasks whose hosts died.
// Messages between roles never pass here. A pure state machine like the broker; the simulation in
// tests/peer/simulation.test.ts proves the two together.
//
// It is *forming* while it waits for the hosts that an earlier driver knew. Then it is *adopting*:
// it takes a census and takes over what hosts hold. From then on it is *running*: after each death
// it takes a census, and a task that no process holds is an orphan. It is *over* when the run has
// ended.

import type { Broker } from "../peer/broker.ts";
import type { HostId, Member } from "../peer/member.ts";
import { type Beat, type BeatAnswer, followList } from "../peer/membership.ts";
import type { TaskKey } from "../peer/parcel.ts";
import type { Routing } from "../peer/routing.ts";
import { Census, type CensusAnswer, type CensusPhase } from "./census.ts";
import { Roster } from "./roster.ts";
import type { DriverTasks } from "./run.ts";

/** Notified when hosts come and go. */
export interface CoordinatorWatcher {
  joined(host: Member): void;
  left(host: Member, why: "left" | "died"): void;
  /** Called when the tasks of the earlier driver are taken over; `adopted` is their number. */
  formed(adopted: number): void;
  /** Called with the number of tasks that no process holds any more. */
  orphaned(keys: readonly TaskKey[]): void;
}

export interface CoordinatorOptions {
  readonly self: Member;
  readonly broker: Broker;
  readonly routing: Routing;
  readonly tasks: DriverTasks;
  /** Hosts that an earlier driver knew. */
  readonly expected: ReadonlySet<HostId>;
  /** Milliseconds for which the coordinator waits for them. */
  readonly formingMs: number;
  /** A host that is silent for this long is given up. */
  readonly silenceMs: number;
  /** A host that does not answer the census for this long is asked again. */
  readonly censusPatienceMs: number;
  /** The number of the first census, random for each driver: see CensusOptions. */
  readonly firstCensus: number;
  /** Asks a host; its answer goes to `counted`. */
  readonly ask: (host: HostId, number: number, phase: CensusPhase) => void;
  readonly watcher: CoordinatorWatcher;
  readonly now: () => number;
}

export class Coordinator {
  readonly #options: CoordinatorOptions;
  readonly #roster: Roster;
  readonly #census: Census;
  /** Hosts that were shut out. */
  readonly #fenced = new Set<HostId>();
  readonly #formingUntil: number;
  /** Hosts that keep their tasks and have heard that this driver ends. */
  readonly #told = new Set<HostId>();
  #keeps: (id: HostId) => boolean = () => false;
  #state: "forming" | "adopting" | "running" | "over" = "forming";
  /** Version of the list that broker and routing follow. */
  #followed = 0;

  constructor(options: CoordinatorOptions) {
    this.#options = options;
    this.#roster = new Roster(options.self, options.silenceMs);
    this.#formingUntil = options.now() + options.formingMs;
    this.#census = new Census({
      ask: (host, number, phase) => this.#ask(host, number, phase),
      hosts: () => this.#roster.list.members.map(({ id }) => id),
      inFlight: () => options.tasks.keys(),
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
    const { now, watcher, routing } = this.#options;
    const { id } = beat.member;
    if (this.#fenced.has(id)) return { state: "rejoin", joining: "", list: null };
    const { isNew, joining } = this.#roster.beat(beat, now());
    if (isNew) watcher.joined(beat.member);
    this.#followRoster();
    routing.noteLoad(id, beat.load);
    const isForming = this.#state === "forming";
    return {
      state: this.#state === "over" ? this.#farewell(id) : isForming ? "forming" : "running",
      joining,
      list: isForming || this.#roster.knows(beat.known) ? null : this.#roster.list,
    };
  }

  /** Removes a host that said goodbye or is known to be dead. */
  remove(id: HostId, why: "left" | "died"): void {
    const host = this.#roster.hosts.find(({ member }) => member.id === id);
    if (host === undefined || !this.#roster.remove(id)) return;
    this.#options.watcher.left(host.member, why);
    this.#followRoster();
    this.recount();
  }

  /**
   * Shuts out a host that lives and does not end its tasks: its beats count no more, and other
   * hosts take over what it holds. The host begins another life.
   */
  fence(id: HostId): void {
    this.#fenced.add(id);
    this.remove(id, "died");
  }

  isFenced(id: HostId): boolean {
    return this.#fenced.has(id);
  }

  /** Takes a host's answer to the census. */
  counted(host: HostId, number: number, phase: CensusPhase, answer: CensusAnswer): void {
    this.#census.answer(host, number, phase, answer, this.#options.now());
  }

  /** Gives up silent hosts and asks again; called several times a second. */
  tick(): void {
    const now = this.#options.now();
    for (const id of this.#roster.silent(now)) this.remove(id, "died");
    this.#census.tick(now);
    if (this.#state !== "forming" || !this.#isAllThere(now)) return;
    this.#state = "adopting";
    this.#followRoster();
    this.#census.request(now);
  }

  /** Takes a census without a death, because no task has ended for long. */
  recount(): void {
    if (this.#state === "running") this.#census.request(this.#options.now());
  }

  /**
   * Ends the work of this driver. Hosts learn of it at their next beat. Those that `keeps` names
   * keep their tasks for the next driver.
   */
  end(keeps: (id: HostId) => boolean): void {
    this.#state = "over";
    this.#keeps = keeps;
  }

  /** Hosts that are present and have not heard yet that this driver ends. */
  get untold(): number {
    return this.#roster.hosts.filter(({ member }) => !this.#told.has(member.id)).length;
  }

  #farewell(id: HostId): "stopped" | "over" {
    if (!this.#keeps(id)) return "over";
    this.#told.add(id);
    return "stopped";
  }

  #isAllThere(now: number): boolean {
    const { expected } = this.#options;
    return now >= this.#formingUntil || [...expected].every((id) => this.#roster.has(id));
  }

  /** Tells broker, routing and census of the roster where it has changed. */
  #followRoster(): void {
    const { list } = this.#roster;
    if (this.#state === "forming" || list.version.version === this.#followed) return;
    this.#followed = list.version.version;
    followList(list, this.#options.routing, this.#options.broker);
    this.#census.hostsChanged(this.#options.now());
  }

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
    const { tasks, watcher } = this.#options;
    if (this.#state === "adopting") {
      const adopted = [...found].filter(([key, attempt]) => tasks.adopt(key, attempt));
      this.#state = "running";
      watcher.formed(adopted.length);
      return;
    }
    const orphans = missing.filter((key) => tasks.orphan(key));
    if (orphans.length > 0) watcher.orphaned(orphans);
  }
}
