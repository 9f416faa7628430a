// The broker of a process: the messages in its custody, and how it hands them on. It is a pure
// state machine: time, randomness and transport come from outside. tests/peer/simulation.test.ts
// runs thousands of brokers against each other.
//
// A message that arrives is *held* until its step is done. The message that the step made is
// *sent*: the broker keeps a copy until the receiver reports that it has handed the task on to a
// third process. So two processes know of a task at any moment, and when one dies the other sends
// its copy again. While a task stays in one process for several hops, its upstream keeps the
// message that brought it there.
//
// A branch is a message like any other, except that its end goes back to the process that sent it
// out. That process keeps it until then (branches.ts).
//
// A message may arrive more than once. (task, attempt, hop) identifies it, and a copy of what was
// seen before is dropped. When both processes that know of a task die, the driver's census finds
// that out, and the row starts again as its next attempt.

import { hopCount, repeatTask } from "../task/encoded.ts";
import { failTask } from "../task/failure.ts";
import type { EndMessage, Message, Task } from "../task/task.ts";
import { Branches } from "./branches.ts";
import { CensusNotes } from "./census-notes.ts";
import type { Held, Sent, Upstream } from "./custody.ts";
import { destinationOf } from "./destination.ts";
import type { HostId } from "./member.ts";
import { Outboxes } from "./outboxes.ts";
import {
  type Batch,
  keyOf,
  type Parcel,
  positionOf,
  positionOfStep,
  type Receipt,
  type TaskKey,
} from "./parcel.ts";
import { Quarantine, STRIKES_ALONE, type Suspect } from "./quarantine.ts";
import { Recent } from "./recent.ts";
import type { Routing } from "./routing.ts";

/** A host that did not answer is passed over for this long. */
const UNREACHABLE_MS = 1000;
/** A host that is full, or does not know this process yet, is passed over for this long. */
const BUSY_MS = 50;
/** Copies of old messages may turn up for this long. */
const RECENT_MS = 30_000;
/**
 * The end of a branch waits this long for a process that is not there. A process that was given up
 * by mistake is back sooner, and so is the news of it.
 */
const ABSENCE_MS = 10_000;
/**
 * A process that did nothing for this long may have stood still, so that others gave it up and do
 * its steps. It finds that out with its next beat.
 */
const STANDSTILL_MS = 300;
/**
 * A host ends a task that is late within this time, and its peers hear of it. Releases that were
 * lost with a host's absence are said again after ABSENCE_MS.
 */
const OVERDUE_MS = 25_000;
/** Interval at which overdue tasks are looked for. */
const OVERDUE_LOOK_MS = 1000;
/** No message goes for this long to a host that does not end its tasks. */
const STUCK_MS = 600_000;

export interface BrokerOptions {
  readonly self: HostId;
  readonly delivery: "retry" | "at-most-once";
  /** A message fails when this many hosts in a row died while it ran alone on them. */
  readonly maxAttempts: number;
  /** The number of messages held at once. Further ones are refused. */
  readonly capacity: number;
  readonly routing: Routing;
  /** Returns the only process that can do a step, the one with its state; null for any host. */
  readonly pinnedTo?: (message: Message) => HostId | null;
  /** Hands the message to an agent or to the sink of this process. */
  readonly deliver: (message: Message) => void;
  /** Called when there is something to take for this peer. */
  readonly wake: (to: HostId) => void;
  /** Milliseconds of a steady clock, the one that tells when tasks were admitted. */
  readonly now: () => number;
  /** The time of a task from its admission (`run.timeout`); no limit by default. */
  readonly taskTimeoutMs?: number;
  /** Called with a host that has held a task beyond its time, and has not ended it. */
  readonly onOverdue?: (host: HostId) => void;
}

export interface BrokerCounts {
  held: number;
  sent: number;
  parked: number;
  redelivered: number;
  duplicates: number;
  refused: number;
  poisoned: number;
}

export class Broker {
  readonly #options: BrokerOptions;
  readonly #held = new Map<TaskKey, Held>();
  readonly #sent = new Map<number, Sent>();
  /** The sent ones that no process can take now. */
  readonly #parked = new Set<Sent>();
  readonly #outboxes: Outboxes;
  readonly #branches = new Branches();
  readonly #seen: Recent<TaskKey>;
  readonly #quarantine = new Quarantine();
  readonly #census = new CensusNotes();
  #nextSeq = 1;
  #isLeaving = false;
  /** The time at which acknowledgements and releases are sent once more; null for never. */
  #repeatAt: number | null = null;
  /** The time of the last call that shows that this process runs. */
  #awakeAt: number;
  /** The time at which the tasks that are overdue are looked for next. */
  #overdueAt: number;
  /** Until this time, others may do the steps of what this process has. */
  #doubtedUntil = Number.NEGATIVE_INFINITY;
  #redelivered = 0;
  #duplicates = 0;
  #refused = 0;
  #poisoned = 0;

  constructor(options: BrokerOptions) {
    this.#options = options;
    this.#outboxes = new Outboxes(options.wake);
    this.#seen = new Recent(RECENT_MS, options.now());
    this.#awakeAt = options.now();
    this.#overdueAt = this.#awakeAt + OVERDUE_MS;
  }

  get counts(): BrokerCounts {
    return {
      held: this.#held.size,
      sent: this.#sent.size,
      parked: this.#parked.size,
      redelivered: this.#redelivered,
      duplicates: this.#duplicates,
      refused: this.#refused,
      poisoned: this.#poisoned,
    };
  }

  /** True when nothing is in custody. */
  get idle(): boolean {
    return this.#held.size === 0 && this.#sent.size === 0;
  }

  // — What this process does —

  /** Sends a message that begins here: the first one of a row or of a branch. */
  submit(message: Message): void {
    if (message.task.branch !== undefined) this.#branches.add(message);
    this.#send(message, null, null);
  }

  /** Called when the end of a branch was taken, or when its task no longer waits for it. */
  settle(branch: Task): void {
    const key = keyOf(branch);
    this.#branches.delete(key);
    const held = this.#held.get(key);
    if (held?.message.kind === "end") this.#letGo(held);
  }

  /**
   * The step of a delivered message begins. Returns its task, with a note where another process may
   * have done the step; null when a newer copy has overtaken the message.
   */
  begin(task: Task): Task | null {
    this.#wakeUp();
    const held = this.#held.get(keyOf(task));
    if (held === undefined || held.position !== positionOfStep(task)) return null;
    return held.mayRepeat ? repeatTask(task) : task;
  }

  /**
   * Sends the message that a step made of a delivered one. When a newer copy has overtaken the
   * delivered message, the new message is dropped.
   */
  handOn(done: Task, next: Message): void {
    const held = this.#held.get(keyOf(done));
    if (held === undefined || held.position !== positionOfStep(done)) return;
    this.#held.delete(held.key);
    this.#send(held.mayRepeat ? repeated(next) : next, held.upstream, held.suspect);
  }

  /** The sink has written an end. */
  complete(message: Message): void {
    const held = this.#held.get(keyOf(message.task));
    if (held !== undefined && held.position === positionOf(message)) this.#letGo(held);
  }

  /**
   * Hands over messages whose steps have not begun here, so that other hosts do them. Returns those
   * that no other host can do.
   */
  relocate(messages: readonly Message[]): readonly Message[] {
    return messages.filter((message) => {
      const held = this.#held.get(keyOf(message.task));
      if (held === undefined || held.position !== positionOf(message)) return false;
      if (this.#pinOf(message) !== null) return true;
      const to = this.#choose(message, held.key, this.#options.self);
      if (to === null) return true;
      this.#drop(held);
      this.#post(this.#createSent(held, held.suspect), to);
      return false;
    });
  }

  /** Takes nothing new from now on. */
  leave(): void {
    this.#isLeaving = true;
  }

  // — What peers say —

  receive(from: HostId, { parcels, released, starting }: Batch): Receipt {
    this.#wakeUp();
    // The receiver could not tell a sender that is not on the list what became of its parcels.
    if (!this.#options.routing.has(from)) return null;
    for (const seq of released) this.#releasedBy(from, seq);
    for (const [seq, position] of starting) {
      const sent = this.#sent.get(seq);
      if (sent?.to === from) sent.startedAt = position;
    }
    const refused: number[] = [];
    for (const parcel of parcels) if (!this.#accept(from, parcel)) refused.push(parcel.seq);
    this.#refused += refused.length;
    return { refused };
  }

  /**
   * The next batch for a peer: at most `parcelsMax` parcels, of about `bytesMax` bytes together.
   * Null when there is nothing to say. The caller reports back with `delivered` or `undelivered`.
   */
  take(to: HostId, parcelsMax: number, bytesMax: number): Batch | null {
    return this.#outboxes.take(to, parcelsMax, bytesMax);
  }

  delivered(to: HostId, batch: Batch, receipt: Receipt): void {
    const { routing } = this.#options;
    if (receipt === null) {
      this.undelivered(to, batch, false);
      this.#passOver(to, BUSY_MS);
      return;
    }
    routing.reached(to);
    if (receipt.refused.length > 0) this.#passOver(to, BUSY_MS);
    const isRefused = new Set(receipt.refused);
    for (const { seq } of batch.parcels) {
      const sent = this.#sent.get(seq);
      if (sent === undefined || sent.to !== to) continue;
      if (isRefused.has(seq)) this.#forward(sent, to);
      else this.#acknowledge(sent);
    }
    for (const held of this.#outboxes.confirm(to, batch.starting)) this.#deliver(held);
  }

  /** The request failed. `maybeTaken`: the peer may still have taken the batch. */
  undelivered(to: HostId, batch: Batch, maybeTaken: boolean): void {
    this.#passOver(to, UNREACHABLE_MS);
    for (const { seq } of batch.parcels) {
      const sent = this.#sent.get(seq);
      if (sent === undefined || sent.to !== to) continue;
      // With at-most-once delivery, a message that may have arrived is not sent again. The census
      // finds out whether it is lost.
      if (maybeTaken && this.#options.delivery === "at-most-once") {
        this.#forget(sent);
        continue;
      }
      if (maybeTaken) {
        // The message may be the reason why there was no answer.
        sent.crashes++;
        sent.message = repeated(sent.message);
      }
      this.#forward(sent, to);
    }
    if (this.#options.routing.has(to)) this.#outboxes.putBack(to, batch.released);
  }

  // — What the driver says —

  /**
   * Follows the routing after it was updated. `lost` hosts died; others that are gone left in
   * peace.
   */
  hostsChanged(lost: ReadonlySet<HostId>): void {
    const { routing } = this.#options;
    for (const to of this.#outboxes.peers)
      if (!routing.has(to)) for (const held of this.#outboxes.drop(to)) this.#deliver(held);
    const members = new Set(routing.members.map(({ id }) => id));
    for (const key of this.#branches.follow(members)) this.#sendOutAgain(key);
    for (const held of this.#held.values())
      if (held.upstream !== null && !members.has(held.upstream.from)) {
        held.upstream = null;
        // The process before the sender may send its own copy to a third one.
        held.mayRepeat = true;
      }
    this.#doubtBranches();
    for (const sent of [...this.#sent.values()]) {
      if (sent.upstream !== null && !members.has(sent.upstream.from)) sent.upstream = null;
      if (this.#isStranded(sent.message)) this.#strand(sent);
      else if (sent.to !== null && !members.has(sent.to))
        this.#sendAgain(sent, sent.to, lost.has(sent.to));
    }
    this.#unpark();
  }

  /**
   * Called when the driver had given this host up, or is a new one. Peers may have taken this host
   * for dead, so each gets its acknowledgements again.
   */
  repeat(): void {
    this.#doubt();
    this.#repeatAcknowledged();
    // A peer may learn only now that this host was given up, and forget its acknowledgements again.
    // After ABSENCE_MS every peer knows that the host is back, so they are sent once more.
    this.#repeatAt = this.#options.now() + ABSENCE_MS;
    this.#branches.doubt(this.#repeatAt);
  }

  #repeatAcknowledged(): void {
    for (const sent of this.#sent.values())
      if (sent.state === "acknowledged" && sent.to !== null) this.#post(sent, sent.to);
  }

  #wakeUp(): void {
    const now = this.#options.now();
    if (now - this.#awakeAt > STANDSTILL_MS) {
      this.#doubt();
      // Words of peers that came meanwhile are heard first.
      this.#overdueAt = now + OVERDUE_MS;
    }
    this.#awakeAt = now;
  }

  /** Other processes may do, or have done, the steps of all that this one has. */
  #doubt(): void {
    this.#doubtedUntil = this.#options.now() + ABSENCE_MS;
    for (const held of this.#held.values()) held.mayRepeat = true;
    for (const sent of this.#sent.values()) sent.message = repeated(sent.message);
  }

  beginCensus(number: number): void {
    this.#census.begin(number, this.#custody());
  }

  collectCensus(number: number): ReadonlyMap<TaskKey, number> | null {
    return this.#census.collect(number);
  }

  *#custody(): Iterable<Held | Sent> {
    yield* this.#held.values();
    yield* this.#sent.values();
  }

  /** Tries again to send parked messages. The caller calls it several times a second. */
  tick(): void {
    this.#wakeUp();
    const now = this.#awakeAt;
    this.#seen.turn(now);
    this.#unpark();
    if (this.#repeatAt !== null && now >= this.#repeatAt) {
      this.#repeatAt = null;
      this.#repeatAcknowledged();
    }
    for (const key of this.#branches.takeDoubtful(now)) this.#sendOutAgain(key);
    if (now >= this.#overdueAt) this.#endOverdue(now);
    this.#outboxes.wakeAll();
  }

  // — Holding —

  /** Returns false when the parcel is refused. */
  #accept(from: HostId, { seq, message, crashes, strikes }: Parcel): boolean {
    const key = keyOf(message.task);
    const position = positionOf(message);
    const upstream = this.#options.delivery === "retry" ? { from, seq } : null;
    const held = this.#held.get(key);
    if (held !== undefined && held.position === position) {
      held.mayRepeat ||= message.task.mayRepeat === true;
      this.#follow(held, upstream);
      this.#duplicates++;
      return true;
    }
    const isEndOfBranch = message.kind === "end" && message.task.branch !== undefined;
    if (
      (held?.position ?? 0) > position ||
      (this.#seen.get(key) ?? 0) >= position ||
      (isEndOfBranch && !this.#branches.has(key))
    ) {
      // A leaving host gave the message to this sender, which leaves now as well.
      if (this.#isGivenBack(from, key, position)) return false;
      this.#duplicates++;
      this.#release(upstream);
      return true;
    }
    if (!this.#hasRoomFor(message, isEndOfBranch)) return false;
    // A copy of the task was faster than the one here.
    if (held !== undefined) this.#letGo(held);
    const isSuspect = crashes > 0 && canKill(message);
    this.#hold({ key, message, position, upstream }, isSuspect ? strikes : null);
    return true;
  }

  /**
   * When a process is gone, the one that waits for a branch may send it out again, and so may the
   * one that takes the place of a dead one.
   */
  #doubtBranches(): void {
    for (const held of this.#held.values())
      if (held.message.task.branch !== undefined) held.mayRepeat = true;
    for (const sent of this.#sent.values())
      if (sent.message.task.branch !== undefined) sent.message = repeated(sent.message);
  }

  /** True for a message that this process has sent to that one, and that is there no more. */
  #isGivenBack(from: HostId, key: TaskKey, position: number): boolean {
    if (!this.#isLeaving) return false;
    return [...this.#sent.values()].some(
      (sent) => sent.to === from && sent.key === key && sent.position === position,
    );
  }

  /** Another copy of a held message came: from now on its sender is the one that keeps a copy. */
  #follow(held: Held, upstream: Upstream | null): void {
    if (held.upstream?.from === upstream?.from && held.upstream?.seq === upstream?.seq) return;
    this.#release(held.upstream);
    held.upstream = upstream;
  }

  /**
   * A process that leaves still does what only it can do, and takes the ends that it waits for. A
   * task that waits for its branches stays in custody until they are back, so hosts that are full
   * of such tasks still take branches.
   */
  #hasRoomFor(message: Message, isEndOfBranch: boolean): boolean {
    if (this.#isLeaving && !isEndOfBranch && this.#pinOf(message) === null) return false;
    return message.task.branch !== undefined || this.#held.size < this.#options.capacity;
  }

  /**
   * `strikes` are those of a suspect, a message that was with a host when it died; null for any
   * other message. `before` is the suspect whose step made the message here.
   */
  #hold(
    arrived: Omit<Held, "suspect" | "mayRepeat">,
    strikes: number | null,
    before: Suspect | null = null,
  ): void {
    const isDoubted = this.#awakeAt < this.#doubtedUntil;
    const held: Held = {
      ...arrived,
      suspect: strikes === null ? null : { strikes, start: () => this.#start(held) },
      mayRepeat: isDoubted || arrived.message.task.mayRepeat === true,
    };
    this.#held.set(held.key, held);
    this.#seen.set(held.key, held.position);
    this.#census.note(held);
    if (held.suspect === null) this.#options.deliver(held.message);
    else if (before === null) this.#quarantine.add(held.suspect);
    else this.#quarantine.replace(before, held.suspect);
  }

  /**
   * It is the turn of a suspect. It starts when its sender knows that, so that the death of this
   * host counts against it, and not against those that wait.
   */
  #start(held: Held): void {
    const { upstream } = held;
    if (upstream === null || !this.#options.routing.has(upstream.from)) this.#deliver(held);
    else this.#outboxes.declare(upstream, held);
  }

  #deliver(held: Held): void {
    if (this.#held.get(held.key) === held) this.#options.deliver(held.message);
  }

  #drop(held: Held): void {
    this.#held.delete(held.key);
    if (held.suspect !== null) this.#quarantine.remove(held.suspect);
  }

  #letGo(held: Held): void {
    this.#drop(held);
    this.#release(held.upstream);
  }

  /** Tells the process that keeps the copy that it is no longer needed. */
  #release(upstream: Upstream | null): void {
    if (upstream === null || !this.#options.routing.has(upstream.from)) return;
    this.#outboxes.release(upstream);
  }

  // — Sending —

  /** `suspect` is the suspect whose step made this message; null for any other message. */
  #send(next: Message, upstream: Upstream | null, suspect: Suspect | null): void {
    const message = this.#isStranded(next) ? stranded(next) : next;
    const key = keyOf(message.task);
    const position = positionOf(message);
    const to = this.#choose(message, key, null);
    if (to !== this.#options.self) {
      if (suspect !== null) this.#quarantine.remove(suspect);
      this.#post(this.#createSent({ key, message, position, upstream }, null), to);
      return;
    }
    // Each step of a suspect is declared. The upstream still has the message that brought the task
    // here, and must know at which step this host died.
    if (suspect !== null && canKill(message)) {
      this.#hold({ key, message, position, upstream }, suspect.strikes, suspect);
      return;
    }
    if (suspect !== null) this.#quarantine.remove(suspect);
    this.#hold({ key, message, position, upstream }, null);
  }

  #createSent(
    { key, message, position, upstream }: Omit<Held, "suspect" | "mayRepeat">,
    suspect: Suspect | null,
  ): Sent {
    const sent: Sent = {
      seq: this.#nextSeq++,
      key,
      message,
      position,
      to: null,
      parkedAt: null,
      state: "waiting",
      upstream,
      crashes: suspect === null ? 0 : 1,
      strikes: suspect === null ? 0 : suspect.strikes,
      takenAt: 0,
      startedAt: null,
      struckAt: null,
    };
    this.#sent.set(sent.seq, sent);
    this.#census.note(sent);
    return sent;
  }

  #post(sent: Sent, to: HostId | null): void {
    sent.to = to;
    sent.state = "waiting";
    if (to === null) {
      this.#park(sent);
      return;
    }
    this.#parked.delete(sent);
    sent.parkedAt = null;
    this.#outboxes.post(to, sent);
  }

  #park(sent: Sent): void {
    const { routing, now } = this.#options;
    if (sent.parkedAt === null) sent.parkedAt = now();
    const destination = destinationOf(sent.message);
    // The process that waits for this branch is gone and will not return.
    if (
      destination.kind === "process" &&
      !routing.has(destination.id) &&
      now() - sent.parkedAt > ABSENCE_MS
    )
      this.#abandon(sent);
    else this.#parked.add(sent);
  }

  #unpark(): void {
    for (const sent of [...this.#parked]) {
      this.#sendTo(sent, this.#choose(sent.message, sent.key, null));
    }
  }

  /** Sends to another process than the one that did not take it; parks it where there is none. */
  #forward(sent: Sent, not: HostId): void {
    this.#sendTo(sent, this.#choose(sent.message, sent.key, not));
  }

  #sendTo(sent: Sent, to: HostId | null): void {
    sent.startedAt = null;
    if (to === this.#options.self) this.#takeBack(sent);
    else this.#post(sent, to);
  }

  /** Holds a message that comes back to its sender: it is no longer a copy of what others hold. */
  #takeBack(sent: Sent): void {
    const { key, message, position, upstream, crashes, strikes } = sent;
    this.#forget(sent);
    const held = this.#held.get(key);
    if ((held?.position ?? 0) >= position || (this.#seen.get(key) ?? 0) > position) {
      this.#duplicates++;
      this.#release(upstream);
      return;
    }
    if (held !== undefined) this.#letGo(held);
    const isSuspect = crashes > 0 && canKill(message);
    this.#hold({ key, message, position, upstream }, isSuspect ? strikes : null);
  }

  /** The host of a sent message is gone. */
  #sendAgain(sent: Sent, gone: HostId, hasDied: boolean): void {
    if (this.#options.delivery === "at-most-once" && sent.state !== "waiting") {
      this.#forget(sent);
      return;
    }
    this.#redelivered++;
    if (sent.state !== "waiting") sent.message = repeated(sent.message);
    if (hasDied && sent.state !== "waiting" && canKill(sent.message)) {
      sent.crashes++;
      strike(sent);
      if (sent.strikes >= STRIKES_ALONE + this.#options.maxAttempts) {
        this.#poison(sent);
        return;
      }
    }
    this.#forward(sent, gone);
  }

  /** Sends out a branch that may be lost, as its next attempt. */
  #sendOutAgain(key: TaskKey): void {
    // A branch that is held here is not lost. A branch that was sent may be. If it is not, a
    // process that has seen it drops the copy.
    if (this.#held.has(key)) return;
    const message = this.#branches.restart(key);
    if (message === null) return;
    for (const sent of [...this.#sent.values()]) if (sent.key === key) this.#abandon(sent);
    this.#redelivered++;
    this.#send(message, null, null);
  }

  #poison(sent: Sent): void {
    this.#poisoned++;
    this.#forget(sent);
    this.#send(poisoned(sent), sent.upstream, null);
  }

  #strand(sent: Sent): void {
    this.#forget(sent);
    this.#send(stranded(sent.message), sent.upstream, null);
  }

  /**
   * Ends the tasks whose time is over: those that no host takes, and those of a host that should
   * have ended them itself. Such a host lives and does nothing.
   */
  #endOverdue(now: number): void {
    this.#overdueAt = now + OVERDUE_LOOK_MS;
    const { taskTimeoutMs = Number.POSITIVE_INFINITY, onOverdue } = this.#options;
    for (const sent of [...this.#sent.values()]) {
      const { message, state, to, crashes, takenAt } = sent;
      // A host ends a task that is late when it comes, and may be late itself only from then on.
      const lateAt = message.task.admittedAt + taskTimeoutMs;
      const dueAt = state === "waiting" ? lateAt : Math.max(lateAt, takenAt) + OVERDUE_MS;
      const holder = state === "acknowledged" ? to : null;
      if (message.kind === "end" || now < dueAt) continue;
      this.#forget(sent);
      this.#send(overdue(message, holder, taskTimeoutMs), sent.upstream, null);
      // Suspects wait for each other on a host, so one of them may be late without its fault.
      if (holder === null || crashes > 0) continue;
      this.#passOver(holder, STUCK_MS);
      onOverdue?.(holder);
    }
  }

  /** True when the process that holds state for this step is gone. */
  #isStranded(message: Message): boolean {
    const pin = this.#pinOf(message);
    return pin !== null && !this.#options.routing.has(pin);
  }

  #acknowledge(sent: Sent): void {
    this.#release(sent.upstream);
    sent.upstream = null;
    sent.state = "acknowledged";
    sent.takenAt = this.#awakeAt;
    if (this.#options.delivery === "at-most-once") this.#forget(sent);
  }

  #releasedBy(from: HostId, seq: number): void {
    const sent = this.#sent.get(seq);
    // A receiver that handed the message on had it, even if its receipt was lost on the way.
    if (sent?.to === from) this.#abandon(sent);
  }

  #abandon(sent: Sent): void {
    this.#release(sent.upstream);
    this.#forget(sent);
  }

  #forget(sent: Sent): void {
    this.#sent.delete(sent.seq);
    this.#parked.delete(sent);
    if (sent.to !== null) this.#outboxes.withdraw(sent.to, sent);
  }

  // — Choosing —

  #choose(message: Message, key: TaskKey, not: HostId | null): HostId | null {
    const { self, routing } = this.#options;
    const now = this.#options.now();
    const pin = this.#pinOf(message);
    if (pin !== null) return routing.isPassedOver(pin, now) ? null : pin;
    const destination = destinationOf(message);
    if (destination.kind === "process" && destination.id === self) return self;
    // A task that goes several ways at once waits best where it is.
    const isFork = destination.kind === "any host";
    if (isFork && not !== self && !this.#isLeaving && routing.takesForks(self)) return self;
    return routing.choose(
      destination,
      key,
      now,
      (id) => id === not || (this.#isLeaving && id === self),
    );
  }

  #pinOf(message: Message): HostId | null {
    return this.#options.pinnedTo?.(message) ?? null;
  }

  #passOver(to: HostId, ms: number): void {
    this.#options.routing.passOver(to, this.#options.now() + ms);
  }
}

/** The message for a receiver that may not be its first. */
function repeated(message: Message): Message {
  return { ...message, task: repeatTask(message.task) };
}

/** An end kills no host, since it is only taken or written, and neither does a task that waits. */
function canKill({ kind }: Message): boolean {
  return kind === "step";
}

/** Counts a death. A message that got further than last time is not what killed the host then. */
function strike(sent: Sent): void {
  if (sent.startedAt === null) return;
  sent.strikes = sent.startedAt === sent.struckAt ? sent.strikes + 1 : 1;
  sent.struckAt = sent.startedAt;
}

/** The end of a task that kills its hosts. */
function poisoned({ message: { task }, crashes, strikes }: Sent): EndMessage {
  const message = `${crashes} hosts died while ${task.role} worked on this task, ${strikes - STRIKES_ALONE} of them alone with it (run.max_attempts)`;
  return failTask(task, { code: "host_lost", message, role: task.role, hop: hopCount(task) });
}

/** The end of a task that was in custody for longer than it may take. */
function overdue({ task }: Message, holder: HostId | null, timeoutMs: number): EndMessage {
  const why =
    holder === null ? "no host took its next step" : `${holder} held it and did not end it`;
  const message = `the task took longer than ${timeoutMs} ms (run.timeout): ${why}`;
  return failTask(task, { code: "task_timeout", message, role: task.role, hop: hopCount(task) });
}

/** The end of a task whose sandbox went with its host. */
function stranded({ task }: Message): EndMessage {
  const message = `the host that held the sandbox of ${task.role} is gone`;
  return failTask(task, { code: "sandbox_lost", message, role: task.role, hop: hopCount(task) });
}
