// Sums over rows of the index, one for each combination of status, stop reason and error.

import { roundMoney } from "../../task/spent.ts";
import type { AlikeSums } from "../../task/tally.ts";
import { type IndexRow, rowFrom } from "./index-row.ts";
import { DOUBLE, ROW_DOUBLES, ROW_WORDS, SUMMED_WORDS, WORD } from "./layout.ts";
import type { Rows } from "./stored-index.ts";
import { StringTable } from "./string-table.ts";

const FIRST_DETAIL = SUMMED_WORDS.indexOf("cached_tokens");

interface Group extends AlikeSums {
  /** One of the rows. */
  readonly example: IndexRow;
}

interface Sums {
  readonly example: IndexRow;
  readonly counts: number[];
  count: number;
  cost: number | null;
  statedCost: number;
  scores: number;
  score: number;
}

export class RowSums {
  readonly #strings: StringTable;
  readonly #groups = new Map<number, Sums>();

  constructor(strings: readonly string[]) {
    this.#strings = new StringTable(strings);
  }

  add(rows: Rows, n: number): void {
    const { words, doubles } = rows;
    const at = n * ROW_WORDS;
    const word = (place: number) => words[at + place] ?? 0;
    const many = this.#strings.all.length + 1;
    const error = word(WORD.error) * many + word(WORD.role);
    const key = (error * many + word(WORD.stop_reason)) * 2 ** 16 + word(WORD.kinds);
    let sums = this.#groups.get(key);
    if (sums === undefined) {
      sums = emptySums(rowFrom(rows, n, this.#strings, ""));
      this.#groups.set(key, sums);
    }
    sums.count++;
    for (let i = 0; i < SUMMED_WORDS.length; i++)
      sums.counts[i] = (sums.counts[i] ?? 0) + word(WORD[SUMMED_WORDS[i] ?? "hops"]);
    const cost = doubles[n * ROW_DOUBLES + DOUBLE.cost] ?? Number.NaN;
    if (!Number.isNaN(cost)) sums.cost = roundMoney((sums.cost ?? 0) + cost);
    const stated = doubles[n * ROW_DOUBLES + DOUBLE.stated_cost] ?? 0;
    if (stated !== 0) sums.statedCost = roundMoney(sums.statedCost + stated);
    const score = doubles[n * ROW_DOUBLES + DOUBLE.score] ?? Number.NaN;
    if (!Number.isNaN(score)) {
      sums.scores++;
      sums.score += score;
    }
  }

  *groups(): Generator<Group> {
    for (const {
      example,
      counts,
      count,
      cost,
      statedCost,
      scores,
      score,
    } of this.#groups.values()) {
      const [hops = 0, requests = 0, prompt_tokens = 0, completion_tokens = 0] = counts;
      const details = SUMMED_WORDS.flatMap((name, i) =>
        i < FIRST_DETAIL || counts[i] === 0 ? [] : [[name, counts[i]]],
      );
      const stated = statedCost === 0 ? {} : { stated_cost: statedCost };
      const usage = { requests, prompt_tokens, completion_tokens };
      yield {
        example,
        count,
        hops,
        usage: { ...usage, ...Object.fromEntries(details), ...stated },
        cost,
        score: { count: scores, sum: score },
      };
    }
  }
}

function emptySums(example: IndexRow): Sums {
  const counts = SUMMED_WORDS.map(() => 0);
  return { example, counts, count: 0, cost: null, statedCost: 0, scores: 0, score: 0 };
}
