// A host's calls to the driver. After each call that failed the host looks for the driver again: it
// may have moved.

import type { Identity } from "../http/identity.ts";
import { PeerSession } from "../http/session.ts";
import { type Control, type ControlKind, decodeControl, encodeControl } from "../peer/control.ts";
import type { HostId } from "../peer/member.ts";

/** The address of the driver, and the token that proves membership of the run. */
export interface DriverAddress {
  readonly url: string;
  readonly token: string;
}

export class DriverCalls {
  readonly #self: HostId;
  readonly #find: () => Promise<DriverAddress | null>;
  readonly #identity: Identity | null;
  #session: PeerSession | null = null;
  #driverId: HostId | null = null;

  /** `find` answers with null while there is no driver. */
  constructor(
    self: HostId,
    find: () => Promise<DriverAddress | null>,
    identity: Identity | null = null,
  ) {
    this.#self = self;
    this.#find = find;
    this.#identity = identity;
  }

  /** The id of the driver that answered last; null before the first answer. */
  get driverId(): HostId | null {
    return this.#driverId;
  }

  /** The address of this machine that the driver sees; null before the first call. */
  get localAddress(): string | null {
    return this.#session?.localAddress ?? null;
  }

  /** Fails with `peer_failed` or `wire_invalid`; null when there is no driver to be found. */
  async call<Q extends ControlKind, A extends ControlKind>(
    route: string,
    question: Q,
    value: Control<Q>,
    answer: A,
    timeoutMs: number,
  ): Promise<Control<A> | null> {
    if (this.#session === null) {
      const found = await this.#find();
      if (found === null) return null;
      // Another call may have found the driver meanwhile.
      this.#session ??= new PeerSession({
        ...found,
        self: this.#self,
        identity: this.#identity,
        peer: "",
      });
    }
    const session = this.#session;
    try {
      const body = await session.request(route, encodeControl(question, value), { timeoutMs });
      this.#driverId = session.peerId ?? this.#driverId;
      return decodeControl(answer, body);
    } catch (thrown) {
      this.close();
      throw thrown;
    }
  }

  close(): void {
    this.#session?.close();
    this.#session = null;
  }
}
