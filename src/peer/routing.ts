// The routing of a process: it knows the members of the run and chooses the member that a message
// goes to. The task's hash picks two candidates from the hosts that can take it, and the less
// loaded of the two gets it. The hash ranks hosts the same way for every role, so a task tends to
// stay where its content and its model's prefix are, and a host that joins or leaves moves only its
// own share (rendezvous hashing; the power of two choices).

import { hash64 } from "../task/seed.ts";
import type { Destination } from "./destination.ts";
import type { HostId, Load, Member } from "./member.ts";

interface Known {
  readonly id: HostId;
  readonly member: Member;
  /** The hash of its id. */
  readonly rank: number;
  load: Load;
  /** No message goes there before this time; 0 for at once. */
  passedOverUntil: number;
}

const NOBODY: readonly Known[] = [];

export class Routing {
  #known = new Map<HostId, Known>();
  /**
   * The members that take messages: those that serve each role, those that serve any, the driver.
   */
  readonly #byRole = new Map<string, Known[]>();
  #hosts: Known[] = [];
  #sinks: Known[] = [];

  get members(): readonly Member[] {
    return [...this.#known.values()].map(({ member }) => member);
  }

  has(id: HostId): boolean {
    return this.#known.has(id);
  }

  /** True for a host that serves roles and stays. */
  takesForks(id: HostId): boolean {
    return this.#hosts.some((host) => host.id === id);
  }

  addressOf(id: HostId): string | null {
    return this.#known.get(id)?.member.address ?? null;
  }

  /** Takes the current members, and keeps what it knows of those that stay. */
  update(members: readonly Member[]): void {
    const before = this.#known;
    this.#known = new Map();
    this.#byRole.clear();
    this.#hosts = [];
    this.#sinks = [];
    for (const member of members) {
      const { id, roles, isSink, leaving } = member;
      const { load = {}, passedOverUntil = 0, rank = hash64(id)[0] } = before.get(id) ?? {};
      const known = { id, member, rank, load, passedOverUntil };
      this.#known.set(id, known);
      if (leaving) continue;
      if (isSink) this.#sinks.push(known);
      if (roles.length > 0) this.#hosts.push(known);
      for (const role of roles) {
        const hosts = this.#byRole.get(role);
        if (hosts === undefined) this.#byRole.set(role, [known]);
        else hosts.push(known);
      }
    }
  }

  noteLoad(id: HostId, load: Load): void {
    const known = this.#known.get(id);
    if (known !== undefined) known.load = load;
  }

  /** Sends nothing to this member before `until`, a time of the caller's clock. */
  passOver(id: HostId, until: number): void {
    const known = this.#known.get(id);
    if (known !== undefined) known.passedOverUntil = until;
  }

  /** The member has answered: messages may go there at once. */
  reached(id: HostId): void {
    this.passOver(id, 0);
  }

  isPassedOver(id: HostId, now: number): boolean {
    return (this.#known.get(id)?.passedOverUntil ?? 0) > now;
  }

  /** The member that a message of this task goes to now; null when none takes it. */
  choose(
    destination: Destination,
    key: string,
    now: number,
    isExcluded: (id: HostId) => boolean,
  ): HostId | null {
    const takers = this.#takersOf(destination);
    const isOut = ({ id, passedOverUntil }: Known): boolean =>
      passedOverUntil > now || isExcluded(id);
    const only = takers[0];
    if (takers.length === 1 && only !== undefined) return isOut(only) ? null : only.id;
    const task = hash64(key)[0];
    let [first, second]: [Known | null, Known | null] = [null, null];
    let [firstScore, secondScore] = [-1, -1];
    for (const taker of takers) {
      if (isOut(taker)) continue;
      const score = mix(task ^ taker.rank);
      if (score > firstScore)
        [second, secondScore, first, firstScore] = [first, firstScore, taker, score];
      else if (score > secondScore) [second, secondScore] = [taker, score];
    }
    if (first === null || second === null || destination.kind !== "role") return first?.id ?? null;
    const [a, b] = [pressureOf(first, destination.role), pressureOf(second, destination.role)];
    // While the first choice has a free slot there is no reason to move.
    return a < 1 || a <= b ? first.id : second.id;
  }

  #takersOf(destination: Destination): readonly Known[] {
    switch (destination.kind) {
      case "role":
        return this.#byRole.get(destination.role) ?? NOBODY;
      case "any host":
        return this.#hosts;
      case "sink":
        return this.#sinks;
      case "process": {
        const known = this.#known.get(destination.id);
        return known === undefined ? NOBODY : [known];
      }
    }
  }
}

/** Steps that run and wait, in slots; 0 while nothing is known of the load. */
function pressureOf({ load }: Known, role: string): number {
  const { busy = 0, queued = 0, slots = 1 } = load[role] ?? {};
  return (busy + queued) / Math.max(1, slots);
}

/** Spreads a difference in any bit over all bits (the finaliser of MurmurHash3). */
function mix(bits: number): number {
  let h = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
