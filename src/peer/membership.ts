// Who takes part in a run. The driver keeps the list; every host tells it now and then that it is there (a beat) and is told
// who else is. A host that is silent for too long is given up; if it comes back, it is one again.

import type { Broker } from "./broker.ts";
import type { HostId, Load, Member } from "./member.ts";
import type { Routing } from "./routing.ts";

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

/** Makes a list what this process goes by. */
export function followList(list: MemberList, routing: Routing, broker: Broker): void {
  const now = new Set(list.members.map(({ id }) => id));
  const lost = routing.members
    .filter(({ id, leaving }) => !now.has(id) && !leaving)
    .map(({ id }) => id);
  routing.update(list.members);
  broker.hostsChanged(new Set(lost));
}
