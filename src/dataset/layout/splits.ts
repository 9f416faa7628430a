// The splits of a folder without a card, by the names of its files and folders and in the order of
// the `datasets` library: data/SPLIT-00000-of-00001, then words in folder names, then words in file
// names, and else one split, train, with all files.

import { posix } from "node:path";
import { describeName, type Format } from "../format.ts";
import { matchPaths } from "./glob.ts";

/** The files of each split, in the order in which the library lists the splits. */
export type Splits = ReadonlyMap<string, readonly string[]>;

const SHARDED = "data/*-[0-9][0-9][0-9][0-9][0-9]-of-[0-9][0-9][0-9][0-9][0-9]*.*";
const SHARD_NAME = /^(.+)-\d{5}-of-\d{5}/s;

const WORDS: Readonly<Record<string, readonly string[]>> = {
  train: ["train", "training"],
  validation: ["validation", "valid", "dev", "val"],
  test: ["test", "testing", "eval", "evaluation"],
};
const SEPARATOR = "[-._ 0-9]";
const IN_FOLDER_NAMES = [
  `**/{word}/**`,
  `**/{word}${SEPARATOR}*/**`,
  `**/*${SEPARATOR}{word}/**`,
  `**/*${SEPARATOR}{word}${SEPARATOR}*/**`,
];
const IN_FILE_NAMES = [`**/{word}${SEPARATOR}*`, `**/*${SEPARATOR}{word}${SEPARATOR}*`];

/** The splits of data files, whose paths are relative to the folder. */
export function findSplits(paths: readonly string[]): Splits {
  const sharded = byShardName(matchPaths(paths, SHARDED));
  if (sharded.size > 0) return sharded;
  for (const patterns of [IN_FOLDER_NAMES, IN_FILE_NAMES]) {
    const splits = byWords(paths, patterns);
    if (splits.size > 0) return splits;
  }
  const all = matchPaths(paths, "**");
  return all.length === 0 ? new Map() : new Map([["train", all]]);
}

function byShardName(paths: readonly string[]): Splits {
  const splits = new Map<string, string[]>();
  for (const path of paths) {
    const split = SHARD_NAME.exec(posix.basename(path))?.[1] ?? "";
    const files = splits.get(split) ?? [];
    files.push(path);
    splits.set(split, files);
  }
  const known = Object.keys(WORDS).filter((split) => splits.has(split));
  // A map keeps the place in which a key came first.
  const names = [...known, ...[...splits.keys()].sort()];
  return new Map(names.map((split) => [split, splits.get(split) ?? []]));
}

function byWords(paths: readonly string[], patterns: readonly string[]): Splits {
  const splits = new Map<string, readonly string[]>();
  for (const [split, words] of Object.entries(WORDS)) {
    const globs = words.flatMap((word) => patterns.map((glob) => glob.replace("{word}", word)));
    const files = matchAll(paths, globs);
    if (files.length > 0) splits.set(split, files);
  }
  return splits;
}

/** The files of several patterns in the order of the patterns, each file once. */
export function matchAll(paths: readonly string[], patterns: readonly string[]): readonly string[] {
  return [...new Set(patterns.flatMap((pattern) => matchPaths(paths, pattern)))];
}

/** The reader of a format, and the rank of its endings when as many files have another one. */
const READERS: Readonly<Record<string, string>> = { jsonl: "json", json: "json", tsv: "csv" };
const RANKS = ["parquet", "arrow", "jsonl", "json", "csv"];

/**
 * The files of the format that most of them have: a dataset that stands there as Parquet and as
 * JSON lines is read once.
 */
export function ofOneFormat(files: readonly string[]): readonly string[] {
  const counts = new Map<Format, number>();
  for (const file of files) {
    const { format } = describeName(file);
    if (format !== null) counts.set(format, (counts.get(format) ?? 0) + 1);
  }
  const [chosen] = [...counts].sort(([a, x], [b, y]) => y - x || rankOf(a) - rankOf(b));
  if (chosen === undefined) return files;
  const readerOf = (format: Format | null) => READERS[format ?? ""] ?? format;
  return files.filter((file) => readerOf(describeName(file).format) === readerOf(chosen[0]));
}

function rankOf(format: Format): number {
  const rank = RANKS.indexOf(format);
  return rank === -1 ? RANKS.length : rank;
}
