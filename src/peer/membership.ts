// Membership: a host's beat to the driver, the answer to it, and how a process follows the list of
// members. The driver keeps that list (src/driver/roster.ts).

import type { Broker } from "./broker.ts";
import type { HostId, Load, Member } from "./member.ts";
import type { Routing } from "./routing.ts";

/** A host's sign of life. */
export interface Beat {
  readonly member: Member;
  readonly load: Load;
  /** The list that the host follows; null before it has one. */
  readonly known: ListVersion | null;
}

/**
 * `forming`: the driver has just begun, and waits for the hosts of the driver before it. `stopped`:
 * the driver ends and the run is not complete; the host keeps its tasks for the next driver.
 * `rejoin`: this life of the host has no part in the run any more, and its process begins another.
 * `over`: the host is not needed any more.
 */
export type RunState = "forming" | "running" | "stopped" | "rejoin" | "over";

/** Names one list of one driver. */
export interface ListVersion {
  readonly driver: HostId;
  readonly version: number;
}

export interface BeatAnswer {
  /** The state of the run, as the driver tells it. */
  readonly state: RunState;
  /**
   * Identifies this joining of the host. When it changes, the host had been given up, and it
   * repeats its acknowledgements to its peers (`Broker.repeat`).
   */
  readonly joining: string;
  /** Null when the host already knows the list, and while the driver is still forming it. */
  readonly list: MemberList | null;
}

export interface MemberList {
  readonly version: ListVersion;
  readonly members: readonly Member[];
}

/**
 * Makes a process follow a list. A member that is gone and did not announce that it leaves is lost,
 * with the messages that it held.
 */
export function followList(list: MemberList, routing: Routing, broker: Broker): void {
  const now = new Set(list.members.map(({ id }) => id));
  const lost = routing.members
    .filter(({ id, leaving }) => !now.has(id) && !leaving)
    .map(({ id }) => id);
  routing.update(list.members);
  broker.hostsChanged(new Set(lost));
}
