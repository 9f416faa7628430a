// Agreement between people, and of each of them with the score of the run.

import type { AgreementAnswer } from "../api.ts";
import { agreement, type Judge, pairwise } from "../judging/agreement.ts";
import type { Moment } from "../library/shown-run.ts";

/** The score from which on a record counts as good, unless the page asks for another. */
export const THRESHOLD = 0.5;

export async function agreementAnswer(
  { table, annotations }: Moment,
  threshold: number,
): Promise<AgreementAnswer> {
  const scores = await table.numbers("score");
  const attempts = await table.numbers("attempt");
  const people = new Map<string, Map<string, boolean>>();
  const scored = new Map<string, boolean>();
  for (const { who, id, trial, attempt, verdict } of annotations) {
    const n = await table.find(id, trial);
    if (n === null || verdict === null || attempts[n] !== attempt) continue;
    const name = `${trial}:${id}`;
    const verdicts = people.get(who) ?? new Map<string, boolean>();
    people.set(who, verdicts);
    verdicts.set(name, verdict === "accepted");
    const score = scores[n] ?? Number.NaN;
    if (!Number.isNaN(score)) scored.set(name, score >= threshold);
  }
  const judges = [...people].map(([name, verdicts]): Judge => ({ name, verdicts }));
  const score = { name: "score", verdicts: scored };
  return {
    people: pairwise(judges),
    score: judges.map((judge) => agreement(judge, score)).filter(({ both }) => both > 0),
    threshold,
  };
}
