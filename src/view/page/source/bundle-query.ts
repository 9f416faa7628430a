// The filter and the order of a list of records, for a static bundle, which has no server.

import type {
  ErrorGroup,
  ErrorsAnswer,
  RecordQuery,
  RecordRow,
  RunAnswer,
  ScanHit,
  SortKey,
} from "../../api.ts";

const SNIPPET_CHARS = 80;
const EXAMPLES_MAX = 5;

/** The rows that a query leaves, in its order. `found` has the matches of a search. */
export function chosenRows(
  run: RunAnswer,
  rows: readonly RecordRow[],
  query: RecordQuery,
  found?: ReadonlySet<number>,
): readonly RecordRow[] {
  const tests = testsOf(run, query);
  const searches = (query.q ?? "") !== "" || (query.where ?? "") !== "";
  const left = rows.filter(
    (row) => tests.every((test) => test(row)) && (!searches || found?.has(row.n) === true),
  );
  const key = query.sort ?? "n";
  const value = valueIn(run, key);
  const sign = query.desc === "1" ? -1 : 1;
  return left.sort((a, b) => order(value(a), value(b), sign) || a.n - b.n);
}

/** Groups of errors of the rows that a query leaves; their messages come from the run's groups. */
export function errorGroups(
  run: RunAnswer,
  rows: readonly RecordRow[],
  query: RecordQuery,
): ErrorsAnswer {
  const left = chosenRows(run, rows, { ...query, sort: "n" }).filter(({ error }) => error !== null);
  if (left.length === rows.filter(({ error }) => error !== null).length)
    return { groups: run.errors, more: 0 };
  const byCode = Map.groupBy(left, ({ error }) => error ?? "");
  const groups = [...byCode].map(
    ([code, some]): ErrorGroup => ({
      code,
      message: run.errors.find((group) => group.code === code)?.message ?? "",
      count: some.length,
      examples: some.slice(0, EXAMPLES_MAX),
    }),
  );
  return { groups: groups.sort((a, b) => b.count - a.count), more: 0 };
}

/** The text around the first match in any case; null without one. */
export function snippetOf(text: string, wanted: string): NonNullable<ScanHit["snippet"]> | null {
  const at = text.toLowerCase().indexOf(wanted.toLowerCase());
  if (at === -1) return null;
  const begin = Math.max(0, at - SNIPPET_CHARS);
  const part = text.slice(begin, at + wanted.length + SNIPPET_CHARS);
  return { text: part, from: at - begin, to: at - begin + wanted.length };
}

type Test = (row: RecordRow) => boolean;
type Value = string | number | boolean | null;

function testsOf(run: RunAnswer, query: RecordQuery): readonly Test[] {
  const tests: Test[] = [];
  const among = (given: string | undefined, of: (row: RecordRow) => string | null) => {
    if (given === undefined || given === "") return;
    const wanted = new Set(given.split(",").map(decodeURIComponent));
    tests.push((row) => wanted.has(of(row) ?? "none"));
  };
  among(query.status, ({ status }) => status);
  among(query.stop, ({ stop }) => stop);
  among(query.error, ({ error }) => error);
  among(query.trial, ({ trial }) => String(trial));
  among(query.verdict, ({ verdict }) => verdict);
  const { id, label } = query;
  if (id !== undefined && id !== "") tests.push((row) => row.id.includes(id));
  if (label !== undefined && label !== "") tests.push((row) => row.labels.includes(label));
  for (const key of ["score", "turns", "tokens", "cost", "ms", "ended"] as const)
    range(query[key], valueIn(run, key), tests);
  for (const [name, given] of Object.entries(query))
    if (name.startsWith("col.")) range(given, valueIn(run, name as SortKey), tests);
  return tests;
}

function range(given: unknown, value: (row: RecordRow) => Value, tests: Test[]): void {
  if (typeof given !== "string" || given === "") return;
  if (given === "none") return void tests.push((row) => value(row) === null);
  const [low, high] = given.split("..");
  if (low === undefined || high === undefined)
    return void tests.push((row) => String(value(row)) === given);
  const from = low === "" ? Number.NEGATIVE_INFINITY : numberOf(low);
  const to = high === "" ? Number.POSITIVE_INFINITY : numberOf(high);
  tests.push((row) => {
    const own = value(row);
    return typeof own === "number" && own >= from && own <= to;
  });
}

function numberOf(text: string): number {
  const number = Number(text);
  return Number.isNaN(number) ? Date.parse(text) : number;
}

function valueIn(run: RunAnswer, key: SortKey): (row: RecordRow) => Value {
  if (!key.startsWith("col.")) return (row) => row[key as Exclude<SortKey, `col.${string}`>];
  const index = run.columns.findIndex(({ name }) => `col.${name}` === key);
  return (row) => row.columns[index] ?? null;
}

/** Values that are null come last in both orders. */
function order(a: Value, b: Value, sign: 1 | -1): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  if (typeof a === "number" && typeof b === "number") return sign * (a - b);
  return sign * String(a).localeCompare(String(b), undefined, { numeric: true });
}
