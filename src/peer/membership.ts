// Who takes part in a run. The driver keeps the list; every host tells it now and then that it is there (a beat) and is told
// who else is. A host that is silent for too long is given up; if it comes back, it is one again.

import type { Broker } from "./broker.ts";
import type { HostId, Load, Member, Routing } from "./routing.ts";

/** What a host tells the driver. */
export interface Beat {
  readonly member: Member;
  readonly load: Load;
  /** The list that it knows; null for none. */
  readonly known: ListVersion | null;
}

/** Names one list of one driver. */
export interface ListVersion {
  readonly driver: HostId;
  readonly version: number;
}

export interface BeatAnswer {
  /** `forming`: the driver has just begun, and waits for those who were there before it. `over`: the run has ended. */
  readonly state: "forming" | "running" | "over";
  /** Which joining of this host it is. When it changes, the host was given up, and says to everyone again what they have from it. */
  readonly joining: string;
  /** Null when the host knows the list, and while it is forming. */
  readonly list: MemberList | null;
}

export interface MemberList {
  readonly version: ListVersion;
  readonly members: readonly Member[];
}

/** The driver's list. Times in milliseconds of any steady clock. */
export class Members {
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

/** Makes a list what this process goes by. */
export function followList(list: MemberList, routing: Routing, broker: Broker): void {
  const now = new Set(list.members.map(({ id }) => id));
  const lost = routing.members
    .filter(({ id, leaving }) => !now.has(id) && !leaving)
    .map(({ id }) => id);
  routing.update(list.members);
  broker.hostsChanged(new Set(lost));
}
