// The quarantine of suspects: messages that were with a host when it died. Most of them were
// bystanders; one may be the cause. A suspect waits here for its turn, and then declares its start
// before it starts. So its sender knows which suspects ran when a host dies again. Each such death
// is a strike for them, and for none that waited. With more strikes a suspect runs beside fewer
// others, and in the end alone.
//
// Only the death of a host on which a message ran alone proves anything. When hosts are killed from
// outside again and again, a bystander gets a strike now and then, but hardly every time.

/** The number of suspects that run at once on a host, by the strikes of any of them. */
const WIDTHS = [Number.POSITIVE_INFINITY, 16, 4, 1] as const;

/** A suspect with this many strikes or more runs alone. */
export const STRIKES_ALONE = WIDTHS.length - 1;

export interface Suspect {
  readonly strikes: number;
  start(): void;
}

export class Quarantine {
  readonly #running = new Set<Suspect>();
  /** In the order of their arrival, in which they start: no narrow one waits for ever. */
  readonly #waiting = new Set<Suspect>();

  add(suspect: Suspect): void {
    this.#waiting.add(suspect);
    this.#fill();
  }

  /** A suspect that runs goes on as another one, which starts at once in its place. */
  replace(running: Suspect, next: Suspect): void {
    this.#running.delete(running);
    this.#running.add(next);
    next.start();
  }

  /** The suspect is over, one way or another, or was never here. */
  remove(suspect: Suspect): void {
    this.#running.delete(suspect);
    this.#waiting.delete(suspect);
    this.#fill();
  }

  #fill(): void {
    for (const suspect of this.#waiting) {
      const width = Math.min(widthOf(suspect), ...[...this.#running].map(widthOf));
      if (this.#running.size >= width) break;
      this.#waiting.delete(suspect);
      this.#running.add(suspect);
      suspect.start();
    }
  }
}

function widthOf({ strikes }: Suspect): number {
  return WIDTHS[Math.min(strikes, STRIKES_ALONE)] ?? 1;
}
