// The quarantine of suspects: messages that were with a host when it died. Most of them were
// bystanders; one may be the cause. A suspect declares its start before it starts, so its sender
// knows which suspects ran when a host dies again. Each such death is a strike. With more strikes a
// suspect runs beside fewer others, and in the end alone.
//
// Only the death of a host on which a message ran alone proves anything. When hosts are killed from
// outside again and again, a bystander gets a strike now and then, but hardly every time.

/** The number of suspects that run at once on a host, by their strikes. */
const WIDTHS = [Number.POSITIVE_INFINITY, 16, 4, 1] as const;

/** A suspect with this many strikes or more runs alone. */
export const STRIKES_ALONE = WIDTHS.length - 1;

export interface Suspect {
  readonly strikes: number;
  start(): void;
}

export class Quarantine {
  readonly #lanes = WIDTHS.map((width) => ({
    width,
    running: new Set<Suspect>(),
    waiting: new Set<Suspect>(),
  }));

  add(suspect: Suspect): void {
    this.#lanes[Math.min(suspect.strikes, WIDTHS.length - 1)]?.waiting.add(suspect);
    this.#fill();
  }

  /** The suspect is over, one way or another, or was never here. */
  remove(suspect: Suspect): void {
    for (const { running, waiting } of this.#lanes) {
      running.delete(suspect);
      waiting.delete(suspect);
    }
    this.#fill();
  }

  #fill(): void {
    for (const { width, running, waiting } of this.#lanes) {
      for (const suspect of waiting) {
        if (running.size >= width) break;
        waiting.delete(suspect);
        running.add(suspect);
        suspect.start();
      }
    }
  }
}
