// The filter of a list, from the parameters of a URL. Every parameter becomes a test over columns;
// a record passes all of them.

import type { Cell } from "../api.ts";
import { type NumberName, type RunTable, type TextName, textAt } from "./run-table.ts";

/** A parameter that does not say what to look for. */
export class BadQuery extends Error {}

/** The state that people's judgements give a record. */
export interface Judged {
  readonly verdict: "accepted" | "rejected" | "disputed" | null;
  readonly labels: readonly string[];
}

/** Records that a filter looks up outside of the columns. */
export interface Marks {
  /** The judgements by place; a record without one is not in the map. */
  readonly judged: ReadonlyMap<number, Judged>;
  /** The matches of `where` and `q`; null when neither is set. */
  readonly matches: { has(n: number): boolean } | null;
}

type Test = (n: number) => boolean;
/** The parameters of a URL. */
export type Parameters = Readonly<Record<string, string | undefined>>;

const TEXT_PARAMETERS = ["status", "stop", "error"] as const;
const RANGE_PARAMETERS = ["score", "turns", "tokens", "cost", "ms", "ended"] as const;
/** Parameters that do not filter by columns. */
const OTHERS = ["where", "q", "sort", "desc", "offset", "limit", "from", "count", "hop", "at"];
const COLUMN = "col.";
const NONE = "none";

/** The places of the records that pass, in the order of the file. Fails with `BadQuery`. */
export async function filtered(
  table: RunTable,
  parameters: Parameters,
  marks: Marks,
): Promise<Uint32Array> {
  const tests: Test[] = [];
  for (const [name, value] of Object.entries(parameters))
    if (value !== undefined && value !== "")
      tests.push(...(await testOf(table, name, value, marks)));
  if (marks.matches !== null) {
    const { matches } = marks;
    tests.push((n) => matches.has(n));
  }
  const found = new Uint32Array(table.size);
  let count = 0;
  for (let n = 0; n < table.size; n++) {
    if (!tests.every((passes) => passes(n))) continue;
    found[count] = n;
    count++;
  }
  return found.subarray(0, count);
}

async function testOf(
  table: RunTable,
  name: string,
  value: string,
  marks: Marks,
): Promise<readonly Test[]> {
  if (isOneOf(TEXT_PARAMETERS, name)) return [await isText(table, name, valuesOf(value, name))];
  if (isOneOf(RANGE_PARAMETERS, name)) return [await isInRange(table, name, value)];
  switch (name) {
    case "message":
      return [await isText(table, name, [value])];
    case "id":
      return [await hasIdPart(table, value)];
    case "trial":
      return [await isTrial(table, value)];
    case "verdict":
      return [isJudged(marks, valuesOf(value, name))];
    case "label":
      return [isLabelled(marks, valuesOf(value, name))];
  }
  if (name.startsWith(COLUMN)) return [hasCell(table, name.slice(COLUMN.length), value)];
  if (OTHERS.includes(name)) return [];
  throw new BadQuery(`there is no filter ${name}`);
}

function isOneOf<T extends string>(names: readonly T[], name: string): name is T {
  return (names as readonly string[]).includes(name);
}

/** Values with commas between them, each encoded on its own. */
function valuesOf(text: string, name: string): readonly string[] {
  try {
    return text.split(",").map(decodeURIComponent);
  } catch {
    throw new BadQuery(`${name}: ${text} is not encoded as a part of a URL`);
  }
}

async function isText(table: RunTable, name: TextName, wanted: readonly string[]): Promise<Test> {
  const { codes, strings } = await table.texts(name);
  const isWanted = Uint8Array.from(strings, (text) =>
    wanted.includes(text === "" ? NONE : text) ? 1 : 0,
  );
  return (n) => isWanted[codes[n] ?? 0] === 1;
}

async function isInRange(table: RunTable, name: NumberName, text: string): Promise<Test> {
  const numbers = await table.numbers(name);
  if (text === NONE) return (n) => Number.isNaN(numbers[n] ?? Number.NaN);
  const [low, high] = rangeOf(name, text);
  return (n) => {
    const value = numbers[n] ?? Number.NaN;
    return value >= low && value <= high;
  };
}

/** The ends of `MIN..MAX`, or one value twice. */
function rangeOf(name: string, text: string): readonly [low: number, high: number] {
  const [low = "", high = low] = text.split("..");
  const [least, most] = [
    numberOf(low, Number.NEGATIVE_INFINITY),
    numberOf(high, Number.POSITIVE_INFINITY),
  ];
  if (Number.isNaN(least) || Number.isNaN(most) || text.split("..").length > 2)
    throw new BadQuery(`${name}: ${text} is not a range; write MIN..MAX, MIN.. or ..MAX`);
  return [least, most];
}

/** A number, or a time as milliseconds since the epoch. NaN for another text. */
function numberOf(text: string, ifEmpty: number): number {
  if (text === "") return ifEmpty;
  return /^\d{4}-\d\d/.test(text) ? Date.parse(text) : Number(text);
}

async function hasIdPart(table: RunTable, part: string): Promise<Test> {
  const wanted = part.toLowerCase();
  const ids = await table.ids();
  return (n) => textAt(ids, n).toLowerCase().includes(wanted);
}

async function isTrial(table: RunTable, text: string): Promise<Test> {
  const wanted = valuesOf(text, "trial").map(Number);
  if (wanted.some((trial) => !Number.isSafeInteger(trial) || trial < 0))
    throw new BadQuery(`trial: ${text} is not a number of a trial`);
  const trials = await table.numbers("trial");
  return (n) => wanted.includes(trials[n] ?? -1);
}

function isJudged({ judged }: Marks, wanted: readonly string[]): Test {
  return (n) => wanted.includes(judged.get(n)?.verdict ?? NONE);
}

function isLabelled({ judged }: Marks, wanted: readonly string[]): Test {
  return (n) => {
    const labels = judged.get(n)?.labels ?? [];
    return labels.length === 0 ? wanted.includes(NONE) : labels.some((one) => wanted.includes(one));
  };
}

function hasCell(table: RunTable, name: string, text: string): Test {
  const column = table.own.find((own) => own.name === name);
  if (column === undefined) throw new BadQuery(`the run has no column ${name}`);
  const cellOf = (n: number): Cell => column.cells[n] ?? null;
  if (text.includes("..")) {
    const [low, high] = rangeOf(`${COLUMN}${name}`, text);
    return (n) => {
      const cell = cellOf(n);
      return typeof cell === "number" && cell >= low && cell <= high;
    };
  }
  const wanted = valuesOf(text, name);
  return (n) => {
    const cell = cellOf(n);
    return wanted.includes(cell === null ? NONE : String(cell));
  };
}
