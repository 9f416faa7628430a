// The links of a process: one session to each peer, and what the broker has for that peer. All
// messages of one turn of the event loop go into one request. While two requests are under way,
// further messages wait and make the next request larger.

import { MatrixError } from "../error.ts";
import type { Identity } from "../http/identity.ts";
import { canRepeat, PeerSession } from "../http/session.ts";
import type { Clock } from "../task/clock.ts";
import { EncodedTask } from "../task/encoded.ts";
import type { Broker } from "./broker.ts";
import { decodeAnswer } from "./decode.ts";
import { encodeBatch } from "./encode.ts";
import type { HostId } from "./member.ts";
import type { Answer, Batch } from "./parcel.ts";
import type { Routing } from "./routing.ts";
import { keepSent, type Store } from "./store.ts";

/** Requests to one peer that are under way at once. */
const REQUESTS_MAX = 2;
const PARCELS_MAX = 512;
/** The size of one request, unless one task alone is larger. */
const BATCH_BYTES = 8 * 2 ** 20;
/** A peer that does not answer for this long may be dead; the driver finds that out. */
const TIMEOUT_MS = 10_000;
/** A value of `Encoding.above` that leaves out nothing of a task. */
const WHOLE = Number.POSITIVE_INFINITY;

export interface LinksOptions {
  readonly self: HostId;
  readonly token: string;
  /** Proves `self` to peers; null for an id without a fingerprint. */
  readonly identity: Identity | null;
  readonly routing: Routing;
  readonly broker: Pick<Broker, "take" | "delivered" | "undelivered">;
  /** Keeps what peers then need not send back; null where whole tasks travel. */
  readonly store: Store | null;
  /** The part that a receiver has seen is left out when that saves more bytes than this. */
  readonly above: number;
  readonly clock: Clock;
}

interface Link {
  readonly session: PeerSession;
  /** Requests that are under way. */
  requests: number;
  isScheduled: boolean;
}

export class Links {
  readonly #options: LinksOptions;
  readonly #links = new Map<HostId, Link>();
  #bytes = 0;

  constructor(options: LinksOptions) {
    this.#options = options;
  }

  /** Bytes of all request bodies that were sent. */
  get bytesSent(): number {
    return this.#bytes;
  }

  /** Sends what the broker has for this peer, at the end of this turn of the event loop. */
  wake(to: HostId): void {
    const link = this.#linkTo(to);
    if (link === null || link.isScheduled) return;
    link.isScheduled = true;
    setImmediate(() => {
      link.isScheduled = false;
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
    if (link === null) throw new MatrixError("peer_failed", `${to} is not a member of the run`);
    this.#bytes += body.length;
    return link.session.request(route, body, { timeoutMs });
  }

  /** Closes the sessions to peers that are gone. */
  prune(): void {
    for (const [id, { session }] of this.#links) {
      if (this.#options.routing.has(id)) continue;
      this.#links.delete(id);
      session.close();
    }
  }

  /** Closes all sessions. */
  close(): void {
    for (const { session } of this.#links.values()) session.close();
  }

  #linkTo(to: HostId): Link | null {
    const known = this.#links.get(to);
    if (known !== undefined) return known;
    const { self, token, identity, routing } = this.#options;
    const url = routing.addressOf(to);
    if (url === null) return null;
    const session = new PeerSession({ url, token, self, identity, peer: to });
    const link: Link = { session, requests: 0, isScheduled: false };
    this.#links.set(to, link);
    return link;
  }

  #flush(to: HostId, link: Link): void {
    while (link.requests < REQUESTS_MAX) {
      const batch = this.#options.broker.take(to, PARCELS_MAX, BATCH_BYTES);
      if (batch === null) return;
      link.requests++;
      void this.#send(to, link, batch).then((isThere) => {
        link.requests--;
        // After a failure, the broker's next tick comes back to this peer.
        if (isThere) this.wake(to);
      });
    }
  }

  /**
   * Carries a batch and tells the broker what became of it. Resolves to false when the peer did not
   * take part: it gave no answer, or does not know this process.
   */
  async #send(to: HostId, link: Link, batch: Batch): Promise<boolean> {
    const { store, above } = this.#options;
    const answer = await this.#exchange(to, link, batch, store === null ? WHOLE : above);
    if (answer === undefined) return false;
    if (answer === null || answer.incomplete.length === 0) return this.#settle(to, batch, answer);
    const isIncomplete = new Set(answer.incomplete);
    const complete = batch.parcels.filter(({ seq }) => !isIncomplete.has(seq));
    const parcels = batch.parcels.filter(({ seq }) => isIncomplete.has(seq));
    this.#settle(to, { ...batch, parcels: complete }, answer);
    const rest = { parcels, released: [], starting: [] };
    const second = await this.#exchange(to, link, rest, WHOLE);
    return second !== undefined && this.#settle(to, rest, second);
  }

  #settle(to: HostId, batch: Batch, answer: Answer): boolean {
    const { broker, routing } = this.#options;
    if (answer !== null) routing.noteLoad(to, answer.load);
    broker.delivered(to, batch, answer);
    return answer !== null;
  }

  /** Undefined when there was no answer; the broker was told then. */
  async #exchange(
    to: HostId,
    { session }: Link,
    batch: Batch,
    above: number,
  ): Promise<Answer | undefined> {
    const { broker, self, clock } = this.#options;
    const body = encodeBatch(batch, { self, to, above, now: clock() });
    this.#letGo(batch);
    this.#bytes += body.length;
    try {
      return decodeAnswer(await session.request("batch", body, { timeoutMs: TIMEOUT_MS }));
    } catch (thrown) {
      broker.undelivered(to, batch, !canRepeat(thrown));
      return undefined;
    }
  }

  /** The broker keeps a copy of each task that it sends. The task's bytes are enough for that. */
  #letGo({ parcels }: Batch): void {
    const { self, store } = this.#options;
    for (const parcel of parcels) {
      const { task } = parcel.message;
      if (store !== null) keepSent(store, self, parcel);
      if (task instanceof EncodedTask) task.forgetParsed();
    }
  }
}
