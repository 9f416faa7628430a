// The scores of rows over their trials, in little memory: a row with one trial is counted at once,
// and rows with several trials are summed up in a table.

import { type RowSums, RowTable } from "./row-table.ts";

/**
 * A reward counts as success within this margin of 1, because rewards are products of fractions.
 */
const SUCCESS_MARGIN = 1e-6;

export interface ScoreReport {
  readonly rows: number;
  /** Number of scores. */
  readonly scored: number;
  /** Mean of all scores; null without one. */
  readonly mean: number | null;
  /** Standard error of the mean over rows; null for fewer than two rows with a score. */
  readonly error: number | null;
  /**
   * pass^1, pass^2, … up to the smallest number of scored trials of a row: the chance that k trials
   * of a row all succeed, averaged over rows (Yao et al., "τ-bench", 2024).
   */
  readonly pass: readonly number[];
}

export class RowScores {
  /** Trials of each row. */
  readonly #trials: number;
  readonly #single = new Totals();
  readonly #table = new RowTable();

  constructor(trials: number) {
    this.#trials = trials;
  }

  /** Adds a trial of a row. `score` is null for a trial without one. */
  add(id: string, score: number | null): void {
    if (this.#trials === 1) this.#single.add(sumsOf(score));
    else this.#table.add(id, sumsOf(score));
  }

  get report(): ScoreReport {
    if (this.#trials === 1) return this.#single.report;
    const totals = new Totals();
    for (const row of this.#table.rows()) totals.add(row);
    return totals.report;
  }
}

function sumsOf(score: number | null): RowSums {
  if (score === null) return { scored: 0, successes: 0, sum: 0 };
  return { scored: 1, successes: Math.abs(score - 1) <= SUCCESS_MARGIN ? 1 : 0, sum: score };
}

/** Sums over rows. Mean and spread of the rows' means are kept by Welford's method. */
class Totals {
  #rows = 0;
  #scored = 0;
  #sum = 0;
  #rowsWithScore = 0;
  #mean = 0;
  #squares = 0;
  /** The number of rows by number of scored trials, and then by successes. */
  readonly #kinds = new Map<number, Map<number, number>>();

  add({ scored, successes, sum }: RowSums): void {
    this.#rows++;
    if (scored === 0) return;
    this.#scored += scored;
    this.#sum += sum;
    this.#rowsWithScore++;
    const off = sum / scored - this.#mean;
    this.#mean += off / this.#rowsWithScore;
    this.#squares += off * (sum / scored - this.#mean);
    this.#count(scored, successes);
  }

  get report(): ScoreReport {
    const rows = this.#rowsWithScore;
    return {
      rows: this.#rows,
      scored: this.#scored,
      mean: this.#scored === 0 ? null : this.#sum / this.#scored,
      error: rows < 2 ? null : Math.sqrt(this.#squares / (rows - 1) / rows),
      pass: this.#passes(),
    };
  }

  #count(scored: number, successes: number): void {
    const bySuccesses = this.#kinds.get(scored) ?? new Map<number, number>();
    this.#kinds.set(scored, bySuccesses);
    bySuccesses.set(successes, (bySuccesses.get(successes) ?? 0) + 1);
  }

  #passes(): number[] {
    let most = Number.POSITIVE_INFINITY;
    for (const scored of this.#kinds.keys()) most = Math.min(most, scored);
    const sums = new Array<number>(most === Number.POSITIVE_INFINITY ? 0 : most).fill(0);
    for (const [scored, bySuccesses] of this.#kinds) {
      for (const [successes, rows] of bySuccesses) {
        // C(successes, k) / C(scored, k), one factor for each k: whole coefficients overflow.
        let chance = 1;
        for (let k = 0; k < sums.length && chance > 0; k++) {
          chance *= (successes - k) / (scored - k);
          sums[k] = (sums[k] ?? 0) + chance * rows;
        }
      }
    }
    return sums.map((sum) => sum / this.#rowsWithScore);
  }
}
