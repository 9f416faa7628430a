// The driver's roster: the hosts of the run. Each host tells the driver at short intervals that it
// lives (a beat). A host that is silent for too long is given up, and joins again when it comes
// back. Times are milliseconds of any steady clock.

import type { HostId, Load, Member } from "../peer/member.ts";
import type { Beat, ListVersion, MemberList } from "../peer/membership.ts";

export class Roster {
  readonly #self: Member;
  readonly #silenceMs: number;
  readonly #hosts = new Map<
    HostId,
    { member: Member; load: Load; seenAt: number; readonly joining: string }
  >();
  #version = 1;

  constructor(self: Member, silenceMs: number) {
    this.#self = self;
    this.#silenceMs = silenceMs;
  }

  get list(): MemberList {
    const members = [this.#self, ...[...this.#hosts.values()].map(({ member }) => member)];
    return { version: { driver: this.#self.id, version: this.#version }, members };
  }

  get hosts(): readonly {
    readonly member: Member;
    readonly load: Load;
    readonly seenAt: number;
  }[] {
    return [...this.#hosts.values()];
  }

  has(id: HostId): boolean {
    return this.#hosts.has(id);
  }

  beat({ member, load }: Beat, now: number): { readonly isNew: boolean; readonly joining: string } {
    const host = this.#hosts.get(member.id);
    if (host === undefined || host.member.leaving !== member.leaving) this.#version++;
    const joining = host?.joining ?? `${this.#self.id}/${this.#version}`;
    this.#hosts.set(member.id, { member, load, seenAt: now, joining });
    return { isNew: host === undefined, joining };
  }

  /** False when it was not on the list. */
  remove(id: HostId): boolean {
    const was = this.#hosts.delete(id);
    if (was) this.#version++;
    return was;
  }

  /** Hosts that were silent for too long. */
  silent(now: number): readonly HostId[] {
    return [...this.#hosts.values()]
      .filter(({ seenAt }) => now - seenAt > this.#silenceMs)
      .map(({ member }) => member.id);
  }

  knows(version: ListVersion | null): boolean {
    return version?.driver === this.#self.id && version.version === this.#version;
  }
}
