// All runs that are shown. A few of them are open at a time, because their tables take memory.

import type { RunsAnswer } from "../api.ts";
import { Cards } from "./cards.ts";
import { type Found, type FoundRun, findRuns } from "./find-runs.ts";
import { ShownRun } from "./shown-run.ts";

/** Runs whose tables are kept in memory. */
const OPEN_MAX = 4;
/** The folders are searched again after this long. */
const FRESH_MS = 2000;

export class RunLibrary {
  readonly places: readonly string[];
  readonly cards = new Cards();
  readonly #cwd: string;
  /** Ordered by use, the latest last. */
  readonly #open = new Map<string, ShownRun>();
  #found: Found | null = null;
  #foundAt = Number.NEGATIVE_INFINITY;

  constructor(places: readonly string[], cwd: string) {
    this.places = places;
    this.#cwd = cwd;
  }

  async find(): Promise<Found> {
    if (this.#found === null || performance.now() - this.#foundAt > FRESH_MS) {
      this.#found = await findRuns(this.places, this.#cwd);
      this.#foundAt = performance.now();
    }
    return this.#found;
  }

  async list(): Promise<RunsAnswer> {
    const { runs, left } = await this.find();
    const cards = await Promise.all(runs.map((run) => this.cards.card(run)));
    return { runs: cards.sort((a, b) => compareTimes(b.updatedAt, a.updatedAt)), left };
  }

  /** The run of a key; null when there is none. */
  async run(key: string): Promise<ShownRun | null> {
    const isKey = (run: FoundRun) => run.key === key;
    let found = (await this.find()).runs.find(isKey);
    if (found === undefined) {
      // A run may have begun since the last look.
      this.#foundAt = Number.NEGATIVE_INFINITY;
      found = (await this.find()).runs.find(isKey);
    }
    if (found === undefined) return null;
    const run = this.#open.get(key) ?? new ShownRun(found);
    this.#open.delete(key);
    this.#open.set(key, run);
    const [[oldest, closed] = []] = this.#open;
    if (this.#open.size > OPEN_MAX && oldest !== undefined) {
      this.#open.delete(oldest);
      await closed?.close();
    }
    return run;
  }

  async close(): Promise<void> {
    this.cards.close();
    for (const run of this.#open.values()) await run.close();
    this.#open.clear();
  }
}

function compareTimes(a: string | null, b: string | null): number {
  return (a ?? "").localeCompare(b ?? "");
}
