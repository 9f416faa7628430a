// The custody of a process: the messages that it holds, and its copies of messages that it sent.
// The broker alone makes and changes them; an outbox only notes that it posted a copy.

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
  /** True when another process may have done the step, or may do it now. */
  mayRepeat: boolean;
}

/** The copy of a message that went to another process, kept until that process handed it on. */
export interface Sent {
  readonly seq: number;
  readonly key: TaskKey;
  message: Message;
  readonly position: number;
  /** The receiver; null while no process can take the message, so that it is parked. */
  to: HostId | null;
  /** The time at which it was parked; null when it is not parked. */
  parkedAt: number | null;
  /**
   * Waiting in an outbox or parked; posted in a request that has no receipt yet; or acknowledged:
   * its receiver holds it.
   */
  state: "waiting" | "posted" | "acknowledged";
  /** The process to notify once the receiver has the message; null from then on. */
  upstream: Upstream | null;
  /** Number of hosts that died while they had it. */
  crashes: number;
  /** Number of hosts in a row that died at one step, after they had declared its start. */
  strikes: number;
  /** The time at which its receiver acknowledged it. */
  takenAt: number;
  /** The position of the step that its receiver declared; null before. */
  startedAt: number | null;
  /** The position of the step at which the last host died; null while none did. */
  struckAt: number | null;
}

/**
 * The process that sent a message here, and its number for it. It keeps a copy until it is
 * released.
 */
export interface Upstream {
  readonly from: HostId;
  readonly seq: number;
}
