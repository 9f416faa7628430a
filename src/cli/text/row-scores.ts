// The scores of rows over their trials, in little memory: a row is held only until all its trials
// are there, and then counted with the rows that have as many trials and successes.

/**
 * A reward counts as success within this margin of 1, because rewards are products of fractions.
 */
const SUCCESS_MARGIN = 1e-6;

/** The scores of one row. Trials that failed or were not scored are in `seen` alone. */
interface Row {
  readonly seen: number;
  readonly scored: number;
  readonly successes: number;
  readonly sum: number;
}

const NO_TRIAL: Row = { seen: 0, scored: 0, successes: 0, sum: 0 };

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
  /** Rows that may have further trials, by id. */
  readonly #open = new Map<string, Row>();
  readonly #whole = new Totals();

  constructor(trials: number) {
    this.#trials = trials;
  }

  /** Adds a trial of a row. `score` is null for a trial without one. */
  add(id: string, score: number | null): void {
    const row = withTrial(this.#open.get(id) ?? NO_TRIAL, score);
    if (row.seen < this.#trials) this.#open.set(id, row);
    else {
      this.#open.delete(id);
      this.#whole.add(row);
    }
  }

  get report(): ScoreReport {
    const totals = this.#whole.copy();
    for (const row of this.#open.values()) totals.add(row);
    return totals.report;
  }
}

function withTrial({ seen, scored, successes, sum }: Row, score: number | null): Row {
  if (score === null) return { seen: seen + 1, scored, successes, sum };
  const success = Math.abs(score - 1) <= SUCCESS_MARGIN ? 1 : 0;
  return { seen: seen + 1, scored: scored + 1, successes: successes + success, sum: sum + score };
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

  add({ scored, successes, sum }: Row): void {
    this.#rows++;
    if (scored === 0) return;
    this.#scored += scored;
    this.#sum += sum;
    this.#rowsWithScore++;
    const off = sum / scored - this.#mean;
    this.#mean += off / this.#rowsWithScore;
    this.#squares += off * (sum / scored - this.#mean);
    this.#count(scored, successes, 1);
  }

  copy(): Totals {
    const copy = new Totals();
    copy.#rows = this.#rows;
    copy.#scored = this.#scored;
    copy.#sum = this.#sum;
    copy.#rowsWithScore = this.#rowsWithScore;
    copy.#mean = this.#mean;
    copy.#squares = this.#squares;
    for (const [scored, bySuccesses] of this.#kinds)
      for (const [successes, rows] of bySuccesses) copy.#count(scored, successes, rows);
    return copy;
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

  #count(scored: number, successes: number, rows: number): void {
    const bySuccesses = this.#kinds.get(scored) ?? new Map<number, number>();
    this.#kinds.set(scored, bySuccesses);
    bySuccesses.set(successes, (bySuccesses.get(successes) ?? 0) + rows);
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
