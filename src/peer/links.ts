// The links of a process: one session to each peer, and what the broker has for that peer on its way. Everything of one turn
// of the event loop goes into one request; while two are under way, what comes meanwhile makes the next one larger.

import { MatrixError } from "../error.ts";
import { canRepeat, PeerSession } from "../http/session.ts";
import type { Clock } from "../task/clock.ts";
import type { Broker } from "./broker.ts";
import type { HostId } from "./member.ts";
import type { Batch } from "./parcel.ts";
import type { Routing } from "./routing.ts";
import { type Answer, decodeAnswer, type Encoding, encodeBatch } from "./wire.ts";

const REQUESTS_MAX = 2;
const PARCELS_MAX = 512;
/** Of one request, unless one task alone is larger. */
const BATCH_BYTES = 8 * 2 ** 20;
/** A peer that does not answer for so long may be dead; the driver knows. */
const TIMEOUT_MS = 10_000;

export interface LinksOptions {
  readonly self: HostId;
  readonly token: string;
  readonly routing: Routing;
  readonly broker: Broker;
  readonly store: Encoding["store"];
  readonly above: number;
  readonly clock: Clock;
}

interface Link {
  readonly session: PeerSession;
  readonly address: string;
  requests: number;
  scheduled: boolean;
}

export class Links {
  readonly #options: LinksOptions;
  readonly #links = new Map<HostId, Link>();
  #bytes = 0;

  constructor(options: LinksOptions) {
    this.#options = options;
  }

  /** Of all bodies that were sent. */
  get bytesSent(): number {
    return this.#bytes;
  }

  /** There is something to take for this peer: at the end of this turn. */
  wake(to: HostId): void {
    const link = this.#linkTo(to);
    if (link === null || link.scheduled) return;
    link.scheduled = true;
    setImmediate(() => {
      link.scheduled = false;
      this.#flush(to, link);
    });
  }

  /** Fails with `peer_failed`. */
  async request(
    to: HostId,
    route: string,
    body: Uint8Array,
    timeoutMs: number,
  ): Promise<Uint8Array> {
    const link = this.#linkTo(to);
    if (link === null) throw new MatrixError("peer_failed", `${to} is no member of the run`);
    this.#bytes += body.length;
    return link.session.request(route, body, { timeoutMs });
  }

  /** Closes the sessions to those who are gone. */
  prune(): void {
    for (const [id, { session }] of this.#links) {
      if (this.#options.routing.has(id)) continue;
      this.#links.delete(id);
      session.close();
    }
  }

  close(): void {
    for (const { session } of this.#links.values()) session.close();
    this.#links.clear();
  }

  #linkTo(to: HostId): Link | null {
    const { self, token, routing } = this.#options;
    const known = this.#links.get(to);
    if (known !== undefined) return known;
    const address = routing.addressOf(to);
    if (address === null) return null;
    const link: Link = {
      session: new PeerSession({ url: address, token, self, peer: to }),
      address,
      requests: 0,
      scheduled: false,
    };
    this.#links.set(to, link);
    return link;
  }

  #flush(to: HostId, link: Link): void {
    while (link.requests < REQUESTS_MAX) {
      const batch = this.#options.broker.take(to, PARCELS_MAX, BATCH_BYTES);
      if (batch === null) return;
      link.requests++;
      void this.#send(to, link, batch).then((goesOn) => {
        link.requests--;
        // After a failure the broker's next tick comes back to it.
        if (goesOn) this.wake(to);
      });
    }
  }

  /** Carries a batch and tells the broker what became of it. Answers whether the peer is there. */
  async #send(to: HostId, link: Link, batch: Batch): Promise<boolean> {
    const answer = await this.#exchange(to, link, batch, false);
    if (answer === undefined) return false;
    if (answer === null || answer.incomplete.length === 0) return this.#settle(to, batch, answer);
    // The peer no longer has its part of some tasks.
    const isIncomplete = new Set(answer.incomplete);
    const parcels = batch.parcels.filter(({ seq }) => isIncomplete.has(seq));
    this.#settle(
      to,
      { ...batch, parcels: batch.parcels.filter(({ seq }) => !isIncomplete.has(seq)) },
      answer,
    );
    const rest = { parcels, released: [], starting: [] };
    const second = await this.#exchange(to, link, rest, true);
    return second !== undefined && this.#settle(to, rest, second);
  }

  #settle(to: HostId, batch: Batch, answer: Answer): boolean {
    const { broker, routing } = this.#options;
    if (answer !== null) routing.noteLoad(to, answer.load);
    broker.delivered(to, batch, answer);
    return answer !== null;
  }

  /** Undefined when there was no answer; the broker knows then. */
  async #exchange(
    to: HostId,
    { session }: Link,
    batch: Batch,
    whole: boolean,
  ): Promise<Answer | undefined> {
    const { broker, self, store, above, clock } = this.#options;
    const body = encodeBatch(batch, { self, to, store, above, now: clock() }, whole);
    this.#bytes += body.length;
    try {
      return decodeAnswer(await session.request("batch", body, { timeoutMs: TIMEOUT_MS }));
    } catch (thrown) {
      broker.undelivered(to, batch, !canRepeat(thrown));
      return undefined;
    }
  }
}
