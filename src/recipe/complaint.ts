// A complaint is a problem with a key of a recipe. It names the key but not yet the file and line
// that wrote it.

import { closest, distance } from "fastest-levenshtein";

export interface Complaint {
  /** Path of the key. */
  readonly key: string;
  readonly message: string;
  /** The word that was probably meant. */
  readonly suggestion?: string;
}

/**
 * A complaint about a word that is not in a list; the nearest word of the list is the suggestion.
 */
export function wrongWord(
  key: string,
  message: string,
  word: string,
  words: readonly string[],
): Complaint {
  const suggestion = nearestWord(word, words);
  return { key, message, ...(suggestion === undefined ? {} : { suggestion }) };
}

export function unknownName(
  key: string,
  what: "role" | "model" | "sandbox",
  name: string,
  names: readonly string[],
): Complaint {
  const plural = what === "sandbox" ? "sandboxes" : `${what}s`;
  const known = names.length === 0 ? `there are no ${plural}` : `${plural}: ${names.join(", ")}`;
  return wrongWord(key, `no ${what} is named "${name}"; ${known}`, name, names);
}

/**
 * The nearest word of a list. Up to two letters may differ, and up to a third of the letters of a
 * longer word, but not all of them.
 */
export function nearestWord(word: string, words: readonly string[]): string | undefined {
  if (words.length === 0) return undefined;
  const best = closest(word, [...words]);
  const differ = distance(word, best);
  const isNear = differ <= Math.max(2, Math.floor(word.length / 3));
  return isNear && differ < Math.max(word.length, best.length) ? best : undefined;
}
