// The choice of a pair among the scored answers of a row: the best against the worst that says
// something else.

import type { Omitted } from "./contract.ts";

export interface Answer {
  /** The place of the answer in the export. */
  readonly place: string;
  readonly score: number;
  /** A digest of what the model says in it. */
  readonly text: string;
}

export interface Pair {
  readonly best: Answer;
  readonly worst: Answer;
}

/**
 * The best answer that differs from a worse one in its text, and the worst such answer, the first
 * of equals; the reason when no two answers differ in score and text.
 */
export function pairIn(answers: readonly Answer[]): Pair | Extract<Omitted, `rows_with_${string}`> {
  if (answers.length < 2) return "rows_with_one_answer";
  const rising = answers.toSorted((a, b) => a.score - b.score);
  for (const best of answers.toSorted((a, b) => b.score - a.score)) {
    const worst = rising.find(({ score, text }) => score < best.score && text !== best.text);
    if (worst !== undefined) return { best, worst };
  }
  return new Set(answers.map(({ score }) => score)).size === 1
    ? "rows_with_equal_scores"
    : "rows_with_equal_texts";
}
