// The end of an export. Spans and metrics that are left are sent while the collector takes them; a
// collector that takes none for a moment ends the export, so that no run waits for a dead one.

let givenUp = false;

/**
 * True when an export was given up. Its retries keep the process open for as long as their time-out
 * says, and the SDK has no way to end them.
 */
export function wasExportGivenUp(): boolean {
  return givenUp;
}

/** Time without a successful export after which the rest is given up. */
const SILENCE_MAX_MS = 600;
const LOOK_MS = 20;

interface ExportResult {
  /** 0 for success, as in the SDK. */
  readonly code: number;
  readonly error?: Error;
}

interface Exporter<Data> {
  export(data: Data, done: (result: ExportResult) => void): void;
}

export class WatchedExport {
  readonly #what: string;
  #heardAt = 0;
  #failure: string | null = null;
  #closing: Promise<void> | null = null;

  /** `what` is said of an export that failed, such as "traces". */
  constructor(what: string) {
    this.#what = what;
  }

  /** The same exporter, whose results are noted. */
  watch<Data, E extends Exporter<Data>>(exporter: E): E {
    const send = exporter.export.bind(exporter);
    exporter.export = (data, done) =>
      send(data, (result) => {
        this.#failure = result.code === 0 ? null : (result.error?.message ?? "no reason was given");
        if (result.code === 0) this.#heardAt = performance.now();
        done(result);
      });
    return exporter;
  }

  /** Resolves when `shutdown` has, or when the collector is silent. Never fails. */
  close(shutdown: () => Promise<void>): Promise<void> {
    this.#closing ??= this.#close(shutdown);
    return this.#closing;
  }

  async #close(shutdown: () => Promise<void>): Promise<void> {
    this.#heardAt = performance.now();
    let isOver = false;
    const over = shutdown()
      .catch((error: unknown) => {
        this.#failure ??= String(error);
      })
      .finally(() => {
        isOver = true;
      });
    while (!isOver && performance.now() - this.#heardAt < SILENCE_MAX_MS)
      await Promise.race([over, new Promise((resolve) => setTimeout(resolve, LOOK_MS))]);
    givenUp ||= !isOver;
    const why = isOver ? this.#failure : (this.#failure ?? "the collector does not answer");
    if (why !== null) console.warn(`${this.#what} could not be exported to the end: ${why}`);
  }
}
