// The agreement of people on which records are good: with each other, and with the automatic score.
// Cohen's kappa (Cohen 1960) is the agreement beyond what chance would give.

import type { Agreement } from "../api.ts";

type Table = [number, number, number, number];

/** The judgements of one judge: true for a record that is accepted, by the name of the record. */
export interface Judge {
  readonly name: string;
  readonly verdicts: ReadonlyMap<string, boolean>;
}

/** Every pair of judges who judged the same records; the pairs with most in common come first. */
export function pairwise(judges: readonly Judge[]): readonly Agreement[] {
  const pairs = judges.flatMap((a, index) => judges.slice(index + 1).map((b) => agreement(a, b)));
  return pairs.filter(({ both }) => both > 0).sort((a, b) => b.both - a.both);
}

export function agreement(a: Judge, b: Judge): Agreement {
  const table: Table = [0, 0, 0, 0];
  for (const [record, first] of a.verdicts) {
    const second = b.verdicts.get(record);
    if (second === undefined) continue;
    const cell = (first ? 0 : 2) + (second ? 0 : 1);
    table[cell] = (table[cell] ?? 0) + 1;
  }
  const [yesYes, yesNo, noYes, noNo] = table;
  const both = yesYes + yesNo + noYes + noNo;
  return {
    a: a.name,
    b: b.name,
    both,
    table,
    agree: both === 0 ? null : (yesYes + noNo) / both,
    kappa: kappaOf(table),
  };
}

/** Cohen's kappa; null without judgements, and when chance alone would give full agreement. */
export function kappaOf([yesYes, yesNo, noYes, noNo]: Readonly<Table>): number | null {
  const both = yesYes + yesNo + noYes + noNo;
  if (both === 0) return null;
  const observed = (yesYes + noNo) / both;
  const [aYes, bYes] = [(yesYes + yesNo) / both, (yesYes + noYes) / both];
  const byChance = aYes * bYes + (1 - aYes) * (1 - bYes);
  return byChance === 1 ? null : (observed - byChance) / (1 - byChance);
}
