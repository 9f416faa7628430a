// The order of a list. Every key becomes a double, so that a million records are ordered in some
// hundred milliseconds. Records without a value come last, in both directions, and records with
// equal values stay in the order of the file.

import type { Cell, SortKey } from "../api.ts";
import { sortedPlaces } from "./radix.ts";
import { type PackedTexts, packed, type RunTable, startOf, type TextColumn } from "./run-table.ts";

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
      return byText(found, await table.ids(), descending);
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
  const texts = packed(strings);
  order.sort((a, b) => compareTexts(texts, a, b));
  const ranks = new Float64Array(strings.length).fill(Number.NaN);
  order.forEach((code, rank) => {
    if (strings[code] !== "") ranks[code] = rank;
  });
  return (n) => ranks[codes[n] ?? 0] ?? Number.NaN;
}

function byKey(found: Uint32Array, keyOf: (n: number) => number, descending: boolean): Uint32Array {
  const keys = new Float64Array(found.length);
  for (let place = 0; place < found.length; place++) keys[place] = keyOf(found[place] ?? 0);
  return sortedPlaces(keys, descending).map((place) => found[place] ?? 0);
}

/** Orders by the bytes after those that all texts begin with, and then by the whole text. */
function byText(found: Uint32Array, texts: PackedTexts, descending: boolean): Uint32Array {
  const shared = sharedBytes(found, texts);
  const keys = new Float64Array(found.length);
  for (let place = 0; place < found.length; place++)
    keys[place] = keyOfText(texts, found[place] ?? 0, shared);
  const places = sortedPlaces(keys, descending);
  const compare = (a: number, b: number): number => {
    const order = compareTexts(texts, found[a] ?? 0, found[b] ?? 0);
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
function sharedBytes(found: Uint32Array, texts: PackedTexts): number {
  const { bytes, ends } = texts;
  const [first] = found;
  if (first === undefined) return 0;
  const begin = startOf(texts, first);
  let shared = (ends[first] ?? 0) - begin;
  for (const n of found) {
    const start = startOf(texts, n);
    shared = Math.min(shared, (ends[n] ?? 0) - start);
    let at = 0;
    while (at < shared && bytes[begin + at] === bytes[start + at]) at++;
    shared = at;
  }
  return shared;
}

function keyOfText(texts: PackedTexts, n: number, from: number): number {
  const start = startOf(texts, n) + from;
  const end = texts.ends[n] ?? 0;
  let key = 0;
  for (let at = start; at < start + KEY_BYTES; at++)
    key = key * 256 + (at < end ? (texts.bytes[at] ?? 0) : 0);
  return key;
}

/** The order of the bytes in UTF-8, which `keyOfText` has too. */
function compareTexts(texts: PackedTexts, a: number, b: number): number {
  const { bytes, ends } = texts;
  return Buffer.compare(
    bytes.subarray(startOf(texts, a), ends[a]),
    bytes.subarray(startOf(texts, b), ends[b]),
  );
}

/** Numbers come before texts. */
function byCell(found: Uint32Array, cellOf: (n: number) => Cell, descending: boolean): Uint32Array {
  const isText = (n: number) => typeof cellOf(n) === "string";
  const numbers = found.filter((n) => cellOf(n) !== null && !isText(n));
  const parts = [
    byKey(numbers, (n) => Number(cellOf(n)), descending),
    textCells(found.filter(isText), cellOf, descending),
  ];
  if (descending) parts.reverse();
  const rest = found.filter((n) => cellOf(n) === null);
  return Uint32Array.from([...parts, rest].flatMap((part) => [...part]));
}

function textCells(
  found: Uint32Array,
  cellOf: (n: number) => Cell,
  descending: boolean,
): Uint32Array {
  const texts = packed(Array.from(found, (n) => String(cellOf(n))));
  const places = Uint32Array.from(found, (_, place) => place);
  return byText(places, texts, descending).map((place) => found[place] ?? 0);
}
