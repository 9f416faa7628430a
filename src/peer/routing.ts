// Where a message goes: of the hosts that can take it, two candidates by the task's hash, and the
// less loaded of these two. The hash ranks hosts the same way for every role, so a task tends to
// stay where its content and its model's prefix are, and a host that joins or leaves moves only its
// own share (rendezvous hashing; the power of two choices).

import { hash64 } from "../task/seed.ts";
import type { Destination } from "./destination.ts";
import type { HostId, Load, Member } from "./member.ts";

const NOBODY: readonly HostId[] = [];

/** What one process knows of the members of its run. */
export class Routing {
  readonly #members = new Map<HostId, { member: Member; load: Load; readonly rank: number }>();
  /**
   * Members that take messages: those that serve each role, those that serve any, and the driver.
   */
  #byRole = new Map<string, HostId[]>();
  #hosts: HostId[] = [];
  #sinks: HostId[] = [];

  get members(): readonly Member[] {
    return [...this.#members.values()].map(({ member }) => member);
  }

  has(id: HostId): boolean {
    return this.#members.has(id);
  }

  /** True for a host that serves roles and stays. */
  takesForks(id: HostId): boolean {
    return this.#hosts.includes(id);
  }

  addressOf(id: HostId): string | null {
    return this.#members.get(id)?.member.address ?? null;
  }

  /** Takes the members as they are now; what is known of their load stays. */
  update(members: readonly Member[]): void {
    const before = new Map(this.#members);
    this.#members.clear();
    this.#byRole = new Map();
    this.#hosts = [];
    this.#sinks = [];
    for (const member of members) {
      const { id, roles } = member;
      const known = before.get(id);
      const rank = known?.rank ?? hash64(id)[0];
      this.#members.set(id, { member, load: known?.load ?? {}, rank });
      if (member.leaving) continue;
      if (member.isSink) this.#sinks.push(id);
      if (roles.length > 0) this.#hosts.push(id);
      for (const role of roles) this.#byRole.set(role, [...(this.#byRole.get(role) ?? []), id]);
    }
  }

  noteLoad(id: HostId, load: Load): void {
    const known = this.#members.get(id);
    if (known !== undefined) known.load = load;
  }

  /** The process for a message of this task; null when no living one takes it. */
  choose(destination: Destination, key: string, excluded: (id: HostId) => boolean): HostId | null {
    if (destination.kind === "process")
      return this.has(destination.id) && !excluded(destination.id) ? destination.id : null;
    const hosts = this.#takersOf(destination);
    const only = hosts[0];
    if (hosts.length === 1 && only !== undefined) return excluded(only) ? null : only;
    const task = hash64(key)[0];
    let [first, second]: [HostId | null, HostId | null] = [null, null];
    let [firstScore, secondScore] = [-1, -1];
    for (const id of hosts) {
      if (excluded(id)) continue;
      const score = mix(task ^ (this.#members.get(id)?.rank ?? 0));
      if (score > firstScore)
        [second, secondScore, first, firstScore] = [first, firstScore, id, score];
      else if (score > secondScore) [second, secondScore] = [id, score];
    }
    if (first === null || second === null || destination.kind !== "role") return first;
    const [a, b] = [
      this.#pressure(first, destination.role),
      this.#pressure(second, destination.role),
    ];
    // With a free slot at home there is no reason to move.
    return a < 1 || a <= b ? first : second;
  }

  #takersOf(destination: Exclude<Destination, { kind: "process" }>): readonly HostId[] {
    if (destination.kind === "role") return this.#byRole.get(destination.role) ?? NOBODY;
    return destination.kind === "sink" ? this.#sinks : this.#hosts;
  }

  #pressure(id: HostId, role: string): number {
    const load = this.#members.get(id)?.load[role];
    return load === undefined ? 0 : (load.busy + load.queued) / Math.max(1, load.slots);
  }
}

/** Spreads a difference in any bit over all of them (the finaliser of MurmurHash3). */
function mix(bits: number): number {
  let h = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
