// Suspects: messages that were with a host when it died. Most were bystanders; one may be the cause. A suspect declares that
// it starts before it does, so its sender can tell who ran when a host dies again, and whoever ran then starts with fewer
// others and at last alone. Only hosts that died of a message that ran alone prove anything: where hosts are killed from
// outside, again and again, a bystander is struck now and then, and would need the same bad luck every time.

/** How many suspects run at once on a host, by strikes. */
const WIDTHS = [Number.POSITIVE_INFINITY, 16, 4, 1] as const;

/** Strikes from which on a suspect runs alone. */
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

  /** It is over, one way or another, or was never here. */
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
