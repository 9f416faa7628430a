// Splits of an export. The split of a record depends on its row's id alone, so that the trials of a
// row stay together, also those of another run over the same dataset.

import { MatrixError } from "../error.ts";
import { hash64 } from "../task/seed.ts";

export interface Split {
  readonly name: string;
  /** The share of the rows, from 0 to 1. */
  readonly share: number;
}

/** One split with all rows. */
export const WHOLE: readonly Split[] = [{ name: "train", share: 1 }];

/** The salt of splits. It differs from that of every other number that is derived from ids. */
const SALT = 0x2545f491;
const ROUNDING = 1e-9;

/** Splits from text like "train=0.9,test=0.1". Fails with `usage`. */
export function parseSplits(text: string): readonly Split[] {
  const splits = text.split(",").map((part) => {
    const [, name = "", share = ""] =
      /^([A-Za-z0-9_]+)=(0?\.\d+|0|1(?:\.0+)?)$/.exec(part.trim()) ?? [];
    if (name === "")
      throw new MatrixError("usage", `--split ${text}: ${part} is not NAME=SHARE`, {
        hint: "for example --split train=0.9,test=0.1",
      });
    return { name, share: Number(share) };
  });
  const sum = splits.reduce((total, { share }) => total + share, 0);
  if (Math.abs(sum - 1) > ROUNDING)
    throw new MatrixError("usage", `--split ${text}: the shares add up to ${sum} and not to 1`);
  if (new Set(splits.map(({ name }) => name)).size < splits.length)
    throw new MatrixError("usage", `--split ${text}: two splits have the same name`);
  return splits;
}

/** The index of the split that has the row. */
export function splitOf(rowId: string, splits: readonly Split[]): number {
  const position = hash64(rowId, SALT)[0] / 2 ** 32;
  let upTo = 0;
  for (const [index, { share }] of splits.entries()) {
    upTo += share;
    if (position < upTo) return index;
  }
  return splits.length - 1;
}
