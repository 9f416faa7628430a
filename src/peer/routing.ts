// Where a message goes: of the hosts that serve its role, two candidates by the task's hash, and of these the less loaded.
// The hash ranks hosts the same way for every role, so a task tends to stay where its content and its model's prefix are, and
// a host that joins or leaves moves only its own share (rendezvous hashing; the power of two choices).

import { FORK_ROLE } from "../orchestrator/advance.ts";
import { hash64 } from "../task/seed.ts";

export type HostId = string;

/** The role under which the driver takes ends. */
export const SINK_ROLE = "";

/** Per role: what runs and waits, against how many can run at once. */
export type Load = Readonly<
  Record<string, { readonly busy: number; readonly queued: number; readonly slots: number }>
>;

const INBOX = "@";

/** The role under which one process takes the ends of branches that it waits for. */
export function inboxOf(id: HostId): string {
  return INBOX + id;
}

/** The process whose inbox a role is; null for other roles. */
export function ownerOf(role: string): HostId | null {
  return role.startsWith(INBOX) ? role.slice(INBOX.length) : null;
}

export interface Member {
  /** Of one life of a process: who comes back is another. */
  readonly id: HostId;
  /** As it stands in records and logs. */
  readonly name: string;
  readonly roles: readonly string[];
  /** Where its peers reach it: http://…, https://… */
  readonly address: string;
  /** It hands over what it has and takes nothing new. */
  readonly leaving: boolean;
}

/** What one host knows of the others. */
export class Routing {
  readonly #hosts = new Map<HostId, { member: Member; load: Load; readonly rank: number }>();
  /** Hosts of each role that take messages. */
  #byRole = new Map<string, HostId[]>();

  get members(): readonly Member[] {
    return [...this.#hosts.values()].map(({ member }) => member);
  }

  has(id: HostId): boolean {
    return this.#hosts.has(id);
  }

  /** Whether it has roles of the recipe, and stays. */
  hosts(id: HostId): boolean {
    return this.#byRole.get(FORK_ROLE)?.includes(id) === true;
  }

  addressOf(id: HostId): string | null {
    return this.#hosts.get(id)?.member.address ?? null;
  }

  /** Takes the members as they are now; what is known of their load stays. */
  update(members: readonly Member[]): void {
    const before = new Map(this.#hosts);
    this.#hosts.clear();
    this.#byRole = new Map();
    for (const member of members) {
      const known = before.get(member.id);
      this.#hosts.set(member.id, {
        member,
        load: known?.load ?? {},
        rank: known?.rank ?? hash64(member.id)[0],
      });
      if (member.leaving) continue;
      const roles = member.roles.some((role) => role !== SINK_ROLE)
        ? [...member.roles, FORK_ROLE]
        : member.roles;
      for (const role of roles)
        this.#byRole.set(role, [...(this.#byRole.get(role) ?? []), member.id]);
    }
  }

  noteLoad(id: HostId, load: Load): void {
    const host = this.#hosts.get(id);
    if (host !== undefined) host.load = load;
  }

  /** The host for a task's next step; null when no living one serves the role. */
  choose(role: string, key: string, excluded: (id: HostId) => boolean): HostId | null {
    const owner = ownerOf(role);
    if (owner !== null) return this.#hosts.has(owner) && !excluded(owner) ? owner : null;
    const hosts = this.#byRole.get(role);
    if (hosts === undefined) return null;
    if (hosts.length === 1) return excluded(hosts[0] as HostId) ? null : (hosts[0] as HostId);
    const task = hash64(key)[0];
    let [first, second]: [HostId | null, HostId | null] = [null, null];
    let [firstScore, secondScore] = [-1, -1];
    for (const id of hosts) {
      if (excluded(id)) continue;
      const score = mix(task ^ (this.#hosts.get(id)?.rank ?? 0));
      if (score > firstScore)
        [second, secondScore, first, firstScore] = [first, firstScore, id, score];
      else if (score > secondScore) [second, secondScore] = [id, score];
    }
    if (first === null || second === null) return first;
    const [a, b] = [this.#pressure(first, role), this.#pressure(second, role)];
    // With a free slot at home there is no reason to move.
    return a < 1 || a <= b ? first : second;
  }

  #pressure(id: HostId, role: string): number {
    const load = this.#hosts.get(id)?.load[role];
    return load === undefined ? 0 : (load.busy + load.queued) / Math.max(1, load.slots);
  }
}

/** Spreads a difference in any bit over all of them (the finaliser of MurmurHash3). */
function mix(bits: number): number {
  let h = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
