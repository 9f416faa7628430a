// The outboxes of a process: for each peer, the content of the next request to it. Parcels and
// releases leave an outbox when they are taken; the broker puts back what did not arrive. A
// declared start stays until the peer has confirmed it.

import { sizeOf } from "../task/encoded.ts";
import type { Held, Sent, Upstream } from "./custody.ts";
import type { HostId } from "./member.ts";
import type { Batch, Parcel, Starting } from "./parcel.ts";

interface Outbox {
  readonly parcels: Set<Sent>;
  readonly released: Set<number>;
  readonly starting: Map<number, Held>;
}

export class Outboxes {
  readonly #outboxes = new Map<HostId, Outbox>();
  readonly #wake: (to: HostId) => void;

  /** `wake` is called when there is something to take for a peer. */
  constructor(wake: (to: HostId) => void) {
    this.#wake = wake;
  }

  /** The peers that have an outbox. */
  get peers(): readonly HostId[] {
    return [...this.#outboxes.keys()];
  }

  post(to: HostId, sent: Sent): void {
    this.#of(to).parcels.add(sent);
    this.#wake(to);
  }

  withdraw(to: HostId, sent: Sent): void {
    this.#outboxes.get(to)?.parcels.delete(sent);
  }

  release({ from, seq }: Upstream): void {
    this.#of(from).released.add(seq);
    this.#wake(from);
  }

  /** Tells the sender of a suspect that its step is about to start. */
  declare({ from, seq }: Upstream, held: Held): void {
    this.#of(from).starting.set(seq, held);
    this.#wake(from);
  }

  /** Takes out the declared starts that the peer has now heard of, and returns them. */
  confirm(to: HostId, declared: readonly Starting[]): readonly Held[] {
    const starting = this.#outboxes.get(to)?.starting;
    const confirmed: Held[] = [];
    for (const [seq, position] of declared) {
      const held = starting?.get(seq);
      // The parcel may stand for another step by now.
      if (held?.position !== position) continue;
      starting?.delete(seq);
      confirmed.push(held);
    }
    return confirmed;
  }

  /**
   * The next batch for a peer: at most `parcelsMax` parcels, of about `bytesMax` bytes together,
   * but at least one. Null when there is nothing to say.
   */
  take(to: HostId, parcelsMax: number, bytesMax: number): Batch | null {
    const outbox = this.#outboxes.get(to);
    if (outbox === undefined) return null;
    const parcels: Parcel[] = [];
    let bytes = 0;
    for (const sent of outbox.parcels) {
      bytes += sizeOf(sent.message.task);
      if (parcels.length >= parcelsMax || (parcels.length > 0 && bytes > bytesMax)) break;
      outbox.parcels.delete(sent);
      sent.state = "posted";
      const { seq, message, crashes, strikes } = sent;
      parcels.push({ seq, message, crashes, strikes });
    }
    const released = [...outbox.released];
    outbox.released.clear();
    const starting = [...outbox.starting].map(([seq, { position }]) => [seq, position] as const);
    return parcels.length + released.length + starting.length === 0
      ? null
      : { parcels, released, starting };
  }

  /** Puts back releases that did not arrive. */
  putBack(to: HostId, released: readonly number[]): void {
    const outbox = this.#of(to);
    for (const seq of released) outbox.released.add(seq);
  }

  /** Forgets a peer that is gone, and returns the suspects that waited for it to confirm. */
  drop(to: HostId): readonly Held[] {
    const starting = this.#outboxes.get(to)?.starting;
    this.#outboxes.delete(to);
    return starting === undefined ? [] : [...starting.values()];
  }

  /** Wakes for every peer that has something to take. */
  wakeAll(): void {
    for (const [to, { parcels, released, starting }] of this.#outboxes)
      if (parcels.size + released.size + starting.size > 0) this.#wake(to);
  }

  #of(to: HostId): Outbox {
    let outbox = this.#outboxes.get(to);
    if (outbox === undefined) {
      outbox = { parcels: new Set(), released: new Set(), starting: new Map() };
      this.#outboxes.set(to, outbox);
    }
    return outbox;
  }
}
