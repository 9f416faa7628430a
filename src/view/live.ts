// A run as it goes on, for the live page: from the files of its directory, and, on the page of the
// driver itself, from the driver.

import { countsOf, openCard } from "./answers/run-answer.ts";
import type { Live, LiveDriver, RunCard } from "./api.ts";
import type { RunLibrary } from "./library/run-library.ts";
import type { ShownRun } from "./library/shown-run.ts";

/** The rate is that of this much time. */
const WINDOW_MS = 60_000;

interface Reading {
  readonly at: number;
  readonly records: number;
}

/** Gives a value when something has changed since the last one. One for each page that watches. */
export class LiveFeed {
  readonly #library: RunLibrary;
  readonly #shown: ShownRun;
  readonly #driver: (() => LiveDriver) | null;
  readonly #now: () => number;
  readonly #readings: Reading[] = [];
  #last = "";

  constructor(
    library: RunLibrary,
    shown: ShownRun,
    driver: (() => LiveDriver) | null,
    now: () => number = Date.now,
  ) {
    this.#library = library;
    this.#shown = shown;
    this.#driver = driver;
    this.#now = now;
  }

  /** The state of the run now; null when nothing has changed since the last call. */
  async next(): Promise<Live | null> {
    const { table } = await this.#shown.moment();
    const card = await openCard(this.#library, this.#shown, table);
    const at = this.#now();
    const perSecond = this.#rate(at, table.size);
    const driver = this.#driver?.() ?? null;
    const live = {
      ...{ card, at, perSecond, driver },
      leftMs: leftMs(card, perSecond),
      errors: countsOf(await table.texts("error"), table.size),
    };
    const { at: _at, ...compared } = live;
    const text = JSON.stringify(compared);
    if (text === this.#last) return null;
    this.#last = text;
    return live;
  }

  #rate(at: number, records: number): number | null {
    this.#readings.push({ at, records });
    while ((this.#readings[0]?.at ?? at) < at - WINDOW_MS) this.#readings.shift();
    const [first] = this.#readings;
    if (first === undefined || first.at === at) return null;
    return ((records - first.records) / (at - first.at)) * 1000;
  }
}

function leftMs({ expected, counts, state }: RunCard, perSecond: number | null): number | null {
  if (state !== "running" || expected === null || perSecond === null || perSecond <= 0) return null;
  const left = expected - counts.ok - counts.failed - counts.lost;
  return Math.max(0, Math.round((left / perSecond) * 1000));
}
