// The order of a list. Every key becomes a double, so that a million records are ordered in some
// hundred milliseconds. Records without a value come last, in both directions, and records with
// equal values stay in the order of the file.

import type { SortKey } from "../api.ts";
import { sortedPlaces } from "./radix.ts";
import type { RunTable, TextColumn } from "./run-table.ts";

/** Bytes of a text that a double holds exactly. */
const KEY_BYTES = 6;
const COLUMN = "col.";

/** The records in `found`, which is ascending, in the wanted order. */
export async function ordered(
  table: RunTable,
  found: Uint32Array,
  sort: SortKey,
  descending: boolean,
): Promise<Uint32Array> {
  switch (sort) {
    case "n":
      return descending ? found.toReversed() : found;
    case "id":
      return byText(found, (n) => table.idAt(n), descending);
    case "status":
    case "stop":
    case "error": {
      const ranks = ranksOf(await table.texts(sort));
      return byKey(found, ranks, descending);
    }
    case "trial":
    case "score":
    case "turns":
    case "tokens":
    case "cost":
    case "ms":
    case "ended": {
      const numbers = await table.numbers(sort);
      return byKey(found, (n) => numbers[n] ?? Number.NaN, descending);
    }
    default: {
      const name = sort.slice(COLUMN.length);
      const cells = table.own.find((column) => column.name === name)?.cells ?? [];
      return byCell(found, (n) => cells[n] ?? null, descending);
    }
  }
}

/** The place of each text in the alphabet; NaN for none. */
function ranksOf({ codes, strings }: TextColumn): (n: number) => number {
  const order = strings.map((_, code) => code);
  order.sort((a, b) => compareTexts(strings[a] ?? "", strings[b] ?? ""));
  const ranks = new Float64Array(strings.length).fill(Number.NaN);
  order.forEach((code, rank) => {
    if (strings[code] !== "") ranks[code] = rank;
  });
  return (n) => ranks[codes[n] ?? 0] ?? Number.NaN;
}

function byKey(found: Uint32Array, keyOf: (n: number) => number, descending: boolean): Uint32Array {
  const keys = Float64Array.from(found, keyOf);
  return sortedPlaces(keys, descending).map((place) => found[place] ?? 0);
}

/** Orders by the bytes after those that all texts begin with, and then by the whole text. */
function byText(
  found: Uint32Array,
  textOf: (n: number) => string,
  descending: boolean,
): Uint32Array {
  const shared = sharedBytes(found, textOf);
  const keys = Float64Array.from(found, (n) => keyOfText(textOf(n), shared));
  const places = sortedPlaces(keys, descending);
  const compare = (a: number, b: number): number => {
    const order = compareTexts(textOf(found[a] ?? 0), textOf(found[b] ?? 0));
    return (descending ? -order : order) || a - b;
  };
  for (let from = 0; from < places.length; ) {
    const key = keys[places[from] ?? 0];
    let to = from + 1;
    while (to < places.length && keys[places[to] ?? 0] === key) to++;
    if (to - from > 1) places.subarray(from, to).sort(compare);
    from = to;
  }
  return places.map((place) => found[place] ?? 0);
}

/** The number of bytes with which all texts begin. */
function sharedBytes(found: Uint32Array, textOf: (n: number) => string): number {
  const [first] = found;
  if (first === undefined) return 0;
  const beginning = Buffer.from(textOf(first));
  let shared = beginning.length;
  for (const n of found) {
    if (shared === 0) return 0;
    const bytes = Buffer.from(textOf(n));
    let at = 0;
    while (at < shared && beginning[at] === bytes[at]) at++;
    shared = at;
  }
  return shared;
}

function keyOfText(text: string, from: number): number {
  const bytes = Buffer.from(text);
  let key = 0;
  for (let at = from; at < from + KEY_BYTES; at++) key = key * 256 + (bytes[at] ?? 0);
  return key;
}

/** The order of the bytes in UTF-8, which `keyOfText` has too. */
function compareTexts(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Numbers come before texts. */
function byCell(
  found: Uint32Array,
  cellOf: (n: number) => string | number | boolean | null,
  descending: boolean,
): Uint32Array {
  const isText = (n: number) => typeof cellOf(n) === "string";
  const numbers = found.filter((n) => cellOf(n) !== null && !isText(n));
  const parts = [
    byKey(numbers, (n) => Number(cellOf(n)), descending),
    byText(found.filter(isText), (n) => String(cellOf(n)), descending),
  ];
  if (descending) parts.reverse();
  const rest = found.filter((n) => cellOf(n) === null);
  return Uint32Array.from([...parts, rest].flatMap((part) => [...part]));
}
