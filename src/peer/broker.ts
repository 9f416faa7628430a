// The broker of a process: what is in its custody, and how that is handed on. A pure state machine: time, randomness and
// transport come from outside (tests/peer/simulation.test.ts runs thousands of these against each other).
//
// A message that arrives is *held* until its step is done. What the step made is *sent*: kept until the receiver says that it
// handed the task on to a third process. So at any moment two processes know of a task, and when one dies the other sends its
// copy again. Where a task stays in one process for several hops, its upstream keeps the message that brought it there.
//
// A branch is a message like any other, but its end goes back to the process that sent it out, which keeps it until then. Two
// processes know of a branch at any moment, so it takes two that are gone to lose it: after that it is sent out again, with the
// next attempt. A branch whose process is gone leads nowhere.
//
// A copy may arrive of what was seen before: (task, attempt, hop) tells, and it is dropped. When both holders die, nobody has
// the task; the driver's census finds that out and starts the row again with the next attempt.

import { hopCount, restartTask, sizeOf } from "../task/encoded.ts";
import { failTask } from "../task/failure.ts";
import type { Message, Task } from "../task/task.ts";
import { destinationOf } from "./destination.ts";
import type { HostId } from "./member.ts";
import {
  attemptOf,
  type Batch,
  keyOf,
  type Parcel,
  positionOf,
  positionOfStep,
  type Receipt,
  type Starting,
  type TaskKey,
  type Upstream,
} from "./parcel.ts";
import { Quarantine, STRIKES_ALONE, type Suspect } from "./quarantine.ts";
import { Recent } from "./recent.ts";
import type { Routing } from "./routing.ts";

/** How long a host that did not answer is passed over, and one that is full or does not know us yet. */
const UNREACHABLE_MS = 1000;
const BUSY_MS = 50;
/** How long copies of old messages are expected to turn up. */
const RECENT_MS = 30_000;
/** How long the end of a branch waits for a process that is not there. All hear of one that is back sooner than that. */
const ABSENCE_MS = 10_000;

export interface BrokerOptions {
  readonly self: HostId;
  readonly delivery: "retry" | "at-most-once";
  /** Hosts that must die of a message, alone with it, before it is taken to be what kills them. */
  readonly maxAttempts: number;
  /** Messages held at once; more are refused as overloaded. */
  readonly capacity: number;
  readonly routing: Routing;
  /** The only process that can do this step, where one holds state for it; null where any host of the role will do. */
  readonly pinnedTo?: (message: Message) => HostId | null;
  /** Has the message done here: by an agent, or by the sink. */
  readonly deliver: (message: Message) => void;
  /** There is something to take for this host. */
  readonly wake: (to: HostId) => void;
  /** A process died, and steps that it did may be done here again. Comes before any of them. */
  readonly onLoss?: (() => void) | undefined;
  readonly now: () => number;
}

interface Held {
  readonly key: TaskKey;
  readonly message: Message;
  readonly position: number;
  upstream: Upstream | null;
  /** Set while it may be what killed a host. Kept while the task stays in this process. */
  readonly suspect: Suspect | null;
}

interface Sent {
  readonly seq: number;
  readonly key: TaskKey;
  readonly message: Message;
  readonly position: number;
  /** Null while no host can take it. */
  to: HostId | null;
  /** Since when no host can take it. */
  parkedAt: number | null;
  state: "waiting" | "posted" | "acknowledged";
  /** Told once the receiver has it. */
  upstream: Upstream | null;
  crashes: number;
  strikes: number;
  /** Where in the task's life the receiver of a suspect said that it starts; null before. */
  startedAt: number | null;
  /** Where the last host died. */
  struckAt: number | null;
}

interface Outbox {
  readonly parcels: Set<Sent>;
  readonly released: Set<number>;
  readonly starting: Map<number, Held>;
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
  readonly #parked = new Set<Sent>();
  /** Branches that this process waits for, and how many processes went since they were sent out. */
  readonly #branches = new Map<TaskKey, { message: Message; gone: number }>();
  /** Those whose ends others may have let go of, while this host was given up; and from when on they are sent out again. */
  #doubtful: { readonly keys: readonly TaskKey[]; readonly from: number } | null = null;
  #members: ReadonlySet<HostId> = new Set();
  readonly #outboxes = new Map<HostId, Outbox>();
  readonly #unreachable = new Map<HostId, number>();
  readonly #seen: Recent<TaskKey>;
  readonly #quarantine = new Quarantine();
  /** The last census; open while it notes. */
  #census: {
    readonly number: number;
    readonly attempts: Map<TaskKey, number>;
    open: boolean;
  } | null = null;
  #nextSeq = 1;
  #leaving = false;
  #redelivered = 0;
  #duplicates = 0;
  #refused = 0;
  #poisoned = 0;

  constructor(options: BrokerOptions) {
    this.#options = options;
    this.#seen = new Recent(RECENT_MS, options.now());
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

  /** Nothing is in custody. */
  get idle(): boolean {
    return this.#held.size === 0 && this.#sent.size === 0;
  }

  /** Sends a message that begins here: a row that was admitted, or started again. */
  submit(message: Message): void {
    if (message.task.branch !== undefined)
      this.#branches.set(keyOf(message.task), { message, gone: 0 });
    this.#send(message, null, null);
  }

  /** The end of a branch was taken, or nobody here waits for it any more. */
  settle(branch: Task): void {
    const key = keyOf(branch);
    this.#branches.delete(key);
    const held = this.#held.get(key);
    if (held?.message.kind !== "end") return;
    this.#drop(held);
    this.#release(held.upstream);
  }

  /** What came of a message that was delivered. A copy that was overtaken meanwhile leads nowhere. */
  handOn(done: Task, next: Message): void {
    const held = this.#held.get(keyOf(done));
    if (held === undefined || held.position !== positionOfStep(done)) return;
    this.#held.delete(held.key);
    this.#send(next, held.upstream, held.suspect);
  }

  /** The sink has written an end. */
  complete(message: Message): void {
    const held = this.#held.get(keyOf(message.task));
    if (held === undefined || held.position !== positionOf(message)) return;
    this.#drop(held);
    this.#release(held.upstream);
  }

  /** Gives up what waits for its turn here, so that another host does it. Answers what no other host can do. */
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

  /** The driver had given this host up, or is a new one: says to everyone again what they have from here. */
  repeat(): void {
    for (const sent of this.#sent.values())
      if (sent.state === "acknowledged" && sent.to !== null) this.#post(sent, sent.to);
    // Whoever took this host for dead may have let go of ends for it, and will until it has heard that this host is back.
    this.#doubtful = { keys: [...this.#branches.keys()], from: this.#options.now() + ABSENCE_MS };
  }

  /** Takes nothing new from now on. */
  leave(): void {
    this.#leaving = true;
  }

  // — What peers send —

  receive(from: HostId, { parcels, released, starting }: Batch): Receipt {
    // Whoever is not on the list could not be told what became of its parcels.
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
   * The next request for a host, of about so many bytes at most; null when there is nothing to say. Answer with `delivered`
   * or `undelivered`.
   */
  take(to: HostId, parcelsMax: number, bytesMax: number): Batch | null {
    const outbox = this.#outboxes.get(to);
    if (outbox === undefined) return null;
    const parcels: Parcel[] = [];
    let bytes = 0;
    for (const sent of outbox.parcels) {
      bytes += sizeOf(sent.message.task);
      if (parcels.length >= parcelsMax || (parcels.length > 0 && bytes > bytesMax)) break;
      outbox.parcels.delete(sent);
      sent.state = "posted";
      const { seq, message, crashes, strikes } = sent;
      parcels.push({ seq, message, crashes, strikes });
    }
    const starting = [...outbox.starting].map(([seq, { position }]) => [seq, position] as const);
    const batch = { parcels, released: [...outbox.released], starting };
    outbox.released.clear();
    return parcels.length + batch.released.length + batch.starting.length === 0 ? null : batch;
  }

  delivered(to: HostId, batch: Batch, receipt: Receipt): void {
    if (receipt === null) {
      this.undelivered(to, batch, false);
      this.#passOver(to, BUSY_MS);
      return;
    }
    this.#unreachable.delete(to);
    if (receipt.refused.length > 0) this.#passOver(to, BUSY_MS);
    const no = new Set(receipt.refused);
    for (const { seq } of batch.parcels) {
      const sent = this.#sent.get(seq);
      if (sent === undefined || sent.to !== to) continue;
      if (no.has(seq)) this.#forward(sent, to);
      else this.#acknowledge(sent);
    }
    this.#declared(to, batch.starting);
  }

  /** The request failed. `maybe`: the host may have taken it all the same. */
  undelivered(to: HostId, batch: Batch, maybe: boolean): void {
    this.#passOver(to, UNREACHABLE_MS);
    for (const { seq } of batch.parcels) {
      const sent = this.#sent.get(seq);
      if (sent === undefined || sent.to !== to) continue;
      // At most once: what may have arrived is not sent again. Census finds out.
      if (maybe && this.#options.delivery === "at-most-once") {
        this.#forget(sent);
        continue;
      }
      // It may be why there was no answer.
      if (maybe) sent.crashes++;
      this.#forward(sent, to);
    }
    if (!this.#options.routing.has(to)) return;
    const outbox = this.#outboxOf(to);
    for (const seq of batch.released) outbox.released.add(seq);
  }

  // — What the driver says —

  /** Call after the routing was updated. `lost` hosts died with what they had; others left in peace. */
  hostsChanged(lost: ReadonlySet<HostId>): void {
    const { routing, onLoss } = this.#options;
    if (lost.size > 0) onLoss?.();
    for (const to of [...this.#outboxes.keys()]) {
      if (routing.has(to)) continue;
      const { starting } = this.#outboxes.get(to) as Outbox;
      this.#outboxes.delete(to);
      this.#unreachable.delete(to);
      for (const held of starting.values()) this.#start(held);
    }
    this.#noteGone();
    for (const held of this.#held.values())
      if (held.upstream !== null && !routing.has(held.upstream.from)) held.upstream = null;
    for (const sent of [...this.#sent.values()]) {
      if (sent.upstream !== null && !routing.has(sent.upstream.from)) sent.upstream = null;
      if (this.#isStranded(sent.message)) this.#strand(sent);
      else if (sent.to !== null && !routing.has(sent.to))
        this.#again(sent, sent.to, lost.has(sent.to));
    }
    this.#unpark();
  }

  /** Counts who is gone: a branch may be gone with them. */
  #noteGone(): void {
    const now = new Set(this.#options.routing.members.map(({ id }) => id));
    const left = [...this.#members].filter((id) => !now.has(id));
    this.#members = now;
    for (const [key, branch] of [...this.#branches]) {
      branch.gone += left.length;
      if (branch.gone > 1) this.#sendOutAgain(key);
    }
  }

  #sendOutAgain(key: TaskKey): void {
    const branch = this.#branches.get(key);
    // What is being done here is not lost. A copy that was sent may be: whoever has seen it drops it, wherever it went from there.
    if (branch === undefined || this.#held.has(key)) return;
    for (const sent of [...this.#sent.values()]) if (sent.key === key) this.#abandon(sent);
    branch.gone = 0;
    branch.message = nextAttemptOf(branch.message);
    this.#redelivered++;
    this.#send(branch.message, null, null);
  }

  /** From now on, notes every task that is or comes into custody. May be asked again, as `collectCensus` may. */
  beginCensus(number: number): void {
    if (this.#census?.number !== number)
      this.#census = { number, attempts: this.#holdings(), open: true };
  }

  /** Every task that was in custody since the census began, with its latest attempt; null when it never began here. */
  collectCensus(number: number): ReadonlyMap<TaskKey, number> | null {
    if (this.#census?.number !== number) return null;
    this.#census.open = false;
    return this.#census.attempts;
  }

  /** Tasks in custody with their latest attempt. */
  #holdings(): Map<TaskKey, number> {
    const attempts = new Map<TaskKey, number>();
    for (const { message, key, position } of this.#held.values())
      note(attempts, message, key, position);
    for (const { message, key, position } of this.#sent.values())
      note(attempts, message, key, position);
    return attempts;
  }

  /** To be called now and then: looks again at what could not be sent. */
  tick(): void {
    this.#seen.turn(this.#options.now());
    this.#unpark();
    if (this.#doubtful !== null && this.#options.now() >= this.#doubtful.from) {
      for (const key of this.#doubtful.keys) this.#sendOutAgain(key);
      this.#doubtful = null;
    }
    for (const [to, outbox] of this.#outboxes) {
      if (outbox.parcels.size + outbox.released.size + outbox.starting.size > 0)
        this.#options.wake(to);
    }
  }

  // — Receiving —

  /** False when the parcel is refused. */
  #accept(from: HostId, { seq, message, crashes, strikes }: Parcel): boolean {
    const key = keyOf(message.task);
    const position = positionOf(message);
    const upstream = this.#options.delivery === "retry" ? { from, seq } : null;
    const held = this.#held.get(key);
    if (held !== undefined && held.position === position) {
      // Another copy of what is held: its sender is the one who still keeps it.
      if (held.upstream?.from !== upstream?.from || held.upstream?.seq !== upstream?.seq) {
        this.#release(held.upstream);
        held.upstream = upstream;
      }
      this.#duplicates++;
      return true;
    }
    if ((held?.position ?? 0) > position || (this.#seen.get(key) ?? 0) >= position) {
      this.#duplicates++;
      this.#release(upstream);
      return true;
    }
    const isBranch = message.task.branch !== undefined;
    const isAwaited = isBranch && message.kind === "end";
    if (isAwaited && !this.#branches.has(key)) {
      this.#duplicates++;
      this.#release(upstream);
      return true;
    }
    // Whoever leaves still does what nobody else can, and takes what it waits for. Who waits for a branch lets go of nothing
    // before it comes back, so hosts that are full take branches too.
    if (this.#leaving && !isAwaited && this.#pinOf(message) === null) return false;
    if (!isBranch && this.#held.size >= this.#options.capacity) return false;
    if (held !== undefined) {
      // A copy of the task was faster than the one here.
      this.#drop(held);
      this.#release(held.upstream);
    }
    // Its sender may have heard of the death before the driver's list came here.
    if (crashes > 0) this.#options.onLoss?.();
    this.#hold(
      key,
      message,
      position,
      upstream,
      crashes > 0 && canKill(message) ? this.#suspect(message, strikes) : null,
    );
    return true;
  }

  #suspect(message: Message, strikes: number): Suspect {
    return { strikes, start: () => this.#options.deliver(message) };
  }

  #hold(
    key: TaskKey,
    message: Message,
    position: number,
    upstream: Upstream | null,
    suspect: Suspect | null,
  ): void {
    const held: Held = { key, message, position, upstream, suspect };
    this.#held.set(key, held);
    this.#seen.set(key, position);
    this.#note(message, key, position);
    if (suspect === null) this.#options.deliver(message);
    else if (upstream === null || !this.#options.routing.has(upstream.from)) this.#start(held);
    else {
      this.#outboxOf(upstream.from).starting.set(upstream.seq, held);
      this.#options.wake(upstream.from);
    }
  }

  /** A suspect whose start was declared, or whose sender is gone. */
  #start(held: Held): void {
    if (held.suspect !== null && this.#held.get(held.key) === held)
      this.#quarantine.add(held.suspect);
  }

  #declared(to: HostId, declared: readonly Starting[]): void {
    const starting = this.#outboxes.get(to)?.starting;
    for (const [seq, position] of declared) {
      const held = starting?.get(seq);
      if (held?.position !== position) continue;
      starting?.delete(seq);
      this.#start(held);
    }
  }

  #drop(held: Held): void {
    this.#held.delete(held.key);
    if (held.suspect !== null) this.#quarantine.remove(held.suspect);
  }

  /** Tells whoever keeps the copy that it is no longer needed. */
  #release(upstream: Upstream | null): void {
    if (upstream === null || !this.#options.routing.has(upstream.from)) return;
    this.#outboxOf(upstream.from).released.add(upstream.seq);
    this.#options.wake(upstream.from);
  }

  // — Sending —

  /** `suspect`: under which the step was made that this message came of. */
  #send(next: Message, upstream: Upstream | null, suspect: Suspect | null): void {
    const message = this.#isStranded(next) ? stranded(next) : next;
    const key = keyOf(message.task);
    const position = positionOf(message);
    const to = this.#choose(message, key, null);
    if (suspect !== null) this.#quarantine.remove(suspect);
    if (to === this.#options.self) {
      // Each step of a suspect is declared: upstream, which still has the message that brought it here, must know which it was.
      this.#hold(
        key,
        message,
        position,
        upstream,
        suspect === null || !canKill(message) ? null : this.#suspect(message, suspect.strikes),
      );
      return;
    }
    this.#post(this.#createSent({ key, message, position, upstream }, null), to);
  }

  #createSent(
    { key, message, position, upstream }: Omit<Held, "suspect">,
    suspect: Suspect | null,
  ): Sent {
    const [crashes, strikes] = suspect === null ? [0, 0] : [1, suspect.strikes];
    const sent: Sent = {
      seq: this.#nextSeq++,
      key,
      message,
      position,
      to: null,
      parkedAt: null,
      state: "waiting",
      upstream,
      crashes,
      strikes,
      startedAt: null,
      struckAt: null,
    };
    this.#sent.set(sent.seq, sent);
    this.#note(message, key, position);
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
    this.#outboxOf(to).parcels.add(sent);
    this.#options.wake(to);
  }

  #park(sent: Sent): void {
    const { routing, now } = this.#options;
    const destination = destinationOf(sent.message);
    const owner = destination.kind === "process" ? destination.id : null;
    if (sent.parkedAt === null) sent.parkedAt = now();
    // Whoever waits for the end of this branch is gone for good, it seems; who was given up by mistake is back sooner.
    if (owner !== null && !routing.has(owner) && now() - sent.parkedAt > ABSENCE_MS)
      this.#abandon(sent);
    else this.#parked.add(sent);
  }

  #abandon(sent: Sent): void {
    this.#release(sent.upstream);
    this.#forget(sent);
  }

  /** Another host than the one that could not take it, if there is one; else the same again, after a while. */
  #forward(sent: Sent, not: HostId): void {
    this.#toHost(sent, this.#choose(sent.message, sent.key, not));
  }

  /** A message may come back to the process that sent it: then it is held, and no longer a copy of what others hold. */
  #toHost(sent: Sent, to: HostId | null): void {
    sent.startedAt = null;
    if (to !== this.#options.self) {
      this.#post(sent, to);
      return;
    }
    const { key, message, position, upstream, crashes, strikes } = sent;
    this.#forget(sent);
    const held = this.#held.get(key);
    if ((held?.position ?? 0) >= position || (this.#seen.get(key) ?? 0) > position) {
      this.#duplicates++;
      this.#release(upstream);
      return;
    }
    if (held !== undefined) {
      this.#drop(held);
      this.#release(held.upstream);
    }
    this.#hold(
      key,
      message,
      position,
      upstream,
      crashes > 0 ? this.#suspect(message, strikes) : null,
    );
  }

  /** The host of a sent message is gone. */
  #again(sent: Sent, gone: HostId, died: boolean): void {
    if (this.#options.delivery === "at-most-once" && sent.state !== "waiting") {
      this.#forget(sent);
      return;
    }
    this.#redelivered++;
    if (died && sent.state !== "waiting" && canKill(sent.message)) {
      sent.crashes++;
      this.#strike(sent);
      if (sent.strikes >= STRIKES_ALONE + this.#options.maxAttempts) {
        this.#poison(sent);
        return;
      }
    }
    this.#toHost(sent, this.#choose(sent.message, sent.key, gone));
  }

  /** What got further than last time is not what killed the host then. */
  #strike(sent: Sent): void {
    if (sent.startedAt === null) return;
    sent.strikes = sent.startedAt === sent.struckAt ? sent.strikes + 1 : 1;
    sent.struckAt = sent.startedAt;
  }

  #poison(sent: Sent): void {
    const { task } = sent.message;
    this.#poisoned++;
    this.#forget(sent);
    const message = `${sent.crashes} hosts died while ${task.role} worked on this task, ${sent.strikes - STRIKES_ALONE} of them alone with it (run.max_attempts)`;
    this.#send(
      failTask(task, { code: "host_lost", message, role: task.role, hop: hopCount(task) }),
      sent.upstream,
      null,
    );
  }

  /** The process that holds state for this step is gone. */
  #isStranded(message: Message): boolean {
    const pin = this.#pinOf(message);
    return pin !== null && !this.#options.routing.has(pin);
  }

  #strand(sent: Sent): void {
    this.#forget(sent);
    this.#send(stranded(sent.message), sent.upstream, null);
  }

  #pinOf(message: Message): HostId | null {
    return this.#options.pinnedTo?.(message) ?? null;
  }

  #passOver(to: HostId, ms: number): void {
    this.#unreachable.set(to, this.#options.now() + ms);
  }

  #choose(message: Message, key: TaskKey, not: HostId | null): HostId | null {
    const now = this.#options.now();
    const isOut = (id: HostId): boolean => {
      const until = this.#unreachable.get(id);
      return until !== undefined && until > now;
    };
    const pin = this.#pinOf(message);
    if (pin !== null) return isOut(pin) ? null : pin;
    const { self, routing } = this.#options;
    const destination = destinationOf(message);
    if (destination.kind === "process" && destination.id === self) return self;
    // A task that goes several ways at once waits best where it is.
    const isFork = destination.kind === "any host";
    if (isFork && not !== self && !this.#leaving && routing.takesForks(self)) return self;
    return routing.choose(
      destination,
      key,
      (id) => id === not || (this.#leaving && id === self) || isOut(id),
    );
  }

  #acknowledge(sent: Sent): void {
    this.#release(sent.upstream);
    sent.upstream = null;
    sent.state = "acknowledged";
    if (this.#options.delivery === "at-most-once") this.#forget(sent);
  }

  #releasedBy(from: HostId, seq: number): void {
    const sent = this.#sent.get(seq);
    if (sent === undefined || sent.to !== from) return;
    // Whoever could hand it on had it: the receipt was lost on its way.
    this.#release(sent.upstream);
    this.#forget(sent);
  }

  #forget(sent: Sent): void {
    this.#sent.delete(sent.seq);
    this.#parked.delete(sent);
    if (sent.to !== null) this.#outboxes.get(sent.to)?.parcels.delete(sent);
  }

  #unpark(): void {
    for (const sent of [...this.#parked]) {
      const to = this.#choose(sent.message, sent.key, null);
      if (to !== null) this.#toHost(sent, to);
      else this.#park(sent);
    }
  }

  #outboxOf(to: HostId): Outbox {
    let outbox = this.#outboxes.get(to);
    if (outbox === undefined) {
      outbox = { parcels: new Set(), released: new Set(), starting: new Map() };
      this.#outboxes.set(to, outbox);
    }
    return outbox;
  }

  #note(message: Message, key: TaskKey, position: number): void {
    if (this.#census?.open === true) note(this.#census.attempts, message, key, position);
  }
}

/** An end kills nobody, for it is only taken or written, and neither does a task that waits for its branches. */
function canKill({ kind }: Message): boolean {
  return kind === "step";
}

function nextAttemptOf({ kind, task }: Message): Message {
  if (kind !== "step") throw new Error(`bug: a branch was sent out as ${kind}`);
  return { kind, task: restartTask(task) };
}

/** What becomes of a task whose sandbox went with its host. */
function stranded({ task }: Message): Message {
  const message = `the host that held the sandbox of ${task.role} is gone`;
  return failTask(task, { code: "sandbox_lost", message, role: task.role, hop: hopCount(task) });
}

/** The driver knows nothing of branches: the task that waits for them is noted, not they. */
function note(
  attempts: Map<TaskKey, number>,
  { task }: Message,
  key: TaskKey,
  position: number,
): void {
  if (task.branch !== undefined) return;
  attempts.set(key, Math.max(attempts.get(key) ?? 0, attemptOf(position)));
}
