// The records of a run as columns: what lists, filters, orders and statistics read. The index of
// the run gives them, or, for a file without one, a pass over its lines.

import type { Cell } from "../api.ts";

/** Columns of numbers. NaN stands for a value that a record does not have. */
export const NUMBERS = [
  "trial",
  "attempt",
  "score",
  "turns",
  "tokens",
  "cost",
  "ms",
  "admitted",
  "ended",
  "bytes",
] as const;
export type NumberName = (typeof NUMBERS)[number];

/** Columns of few different texts, each value the place of its text. The empty text is none. */
export const TEXTS = ["status", "stop", "error", "message", "models"] as const;
export type TextName = (typeof TEXTS)[number];

export interface TextColumn {
  readonly codes: ArrayLike<number>;
  readonly strings: readonly string[];
}

export interface OwnColumn {
  readonly name: string;
  /** The expression of the recipe. */
  readonly source: string;
  readonly cells: ArrayLike<Cell>;
}

/** Texts in UTF-8, one after the other. */
export interface PackedTexts {
  readonly bytes: Buffer;
  /** The end of each record's text. */
  readonly ends: ArrayLike<number>;
}

/** A table at one moment: what it gives stays as it is while the run goes on. */
export interface RunTable {
  readonly size: number;
  /** A number that changes whenever the content does. */
  readonly version: number;
  numbers(name: NumberName): Promise<ArrayLike<number>>;
  texts(name: TextName): Promise<TextColumn>;
  /** Columns that the recipe has named. */
  readonly own: readonly OwnColumn[];
  idAt(n: number): string;
  ids(): Promise<PackedTexts>;
  /** The place of a record; null when there is none. */
  find(id: string, trial: number): Promise<number | null>;
  /** The line of a record, as it stands in the file. */
  lineAt(n: number): Promise<string>;
}

export function packed(texts: Iterable<string>): PackedTexts {
  const buffers = Array.from(texts, (text) => Buffer.from(text));
  let end = 0;
  const ends = buffers.map(({ length }) => {
    end += length;
    return end;
  });
  return { bytes: Buffer.concat(buffers), ends };
}

export function startOf({ ends }: PackedTexts, n: number): number {
  return n === 0 ? 0 : (ends[n - 1] ?? 0);
}

export function textAt(texts: PackedTexts, n: number): string {
  return texts.bytes.toString("utf8", startOf(texts, n), texts.ends[n]);
}
