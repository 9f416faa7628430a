// What a process has in its custody: the messages that it holds, and its copies of those that it
// sent. The broker alone makes and changes them; an outbox only notes that it posted a copy.

import type { Message } from "../task/task.ts";
import type { HostId } from "./member.ts";
import type { TaskKey } from "./parcel.ts";
import type { Suspect } from "./quarantine.ts";

/** A message that came for this process and is not done yet. */
export interface Held {
  readonly key: TaskKey;
  readonly message: Message;
  readonly position: number;
  /** Null when no other process keeps a copy. */
  upstream: Upstream | null;
  /** Set while the message may be what killed a host. */
  readonly suspect: Suspect | null;
}

/** The copy of a message that went to another process, kept until that process handed it on. */
export interface Sent {
  readonly seq: number;
  readonly key: TaskKey;
  readonly message: Message;
  readonly position: number;
  /** Null while no process can take it: it is parked. */
  to: HostId | null;
  /** The time since which it is parked; null when it is not. */
  parkedAt: number | null;
  /**
   * Waiting in an outbox or parked; posted in a request that has no receipt yet; or acknowledged:
   * its receiver holds it.
   */
  state: "waiting" | "posted" | "acknowledged";
  /** Told once the receiver has the message; null from then on. */
  upstream: Upstream | null;
  /** Hosts that died with it. */
  crashes: number;
  /** Hosts in a row that died at one step of it, after they had declared that they start it. */
  strikes: number;
  /** The position of the step that its receiver declared; null before. */
  startedAt: number | null;
  /** The position of the step at which the last host died; null while none did. */
  struckAt: number | null;
}

/**
 * The process that sent a message here, and its number for it. It keeps a copy until it is told.
 */
export interface Upstream {
  readonly from: HostId;
  readonly seq: number;
}
