// Lists of records: the filter and the order of a query over the table of a run, with what people
// said of the records. The latest lists are kept, so that the next page of a list costs nothing.

import { collectGarbage } from "../../platform.ts";
import { type Annotations, labelsOf, verdictOf } from "../../records/annotations/annotation.ts";
import type { RecordRow, RecordsAnswer, SortKey } from "../api.ts";
import type { Scan } from "../scan/scan.ts";
import { type Scans, wantsScan } from "../scan/scans.ts";
import { BadQuery, filtered, type Judged, type Parameters } from "../table/filter.ts";
import { ordered } from "../table/order.ts";
import type { NumberName, RunTable } from "../table/run-table.ts";

const LISTS_KEPT = 6;
/** Records from which on the arrays of a sort are worth the time of freeing them. */
const LARGE = 100_000;
const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 1000;
const SORT_KEYS = "n id trial status stop error score turns tokens cost ms ended".split(" ");
/** Parameters that do not change which records are listed, nor their order. */
const OF_THE_PAGE = ["offset", "limit", "from", "count", "hop", "at"];

/** The statements of people about one record. */
export interface Said extends Judged {
  readonly comments: number;
}

export class Listing {
  readonly #scans: Scans;
  readonly #lists = new Map<string, Uint32Array>();

  constructor(scans: Scans) {
    this.#scans = scans;
  }

  /** The records of a query, in order. Fails with `BadQuery`. */
  async places(
    table: RunTable,
    parameters: Parameters,
    said: ReadonlyMap<number, Said>,
  ): Promise<Uint32Array> {
    const scan = wantsScan(parameters) ? this.#scans.of(parameters) : null;
    const asked = Object.entries(parameters).filter(([name]) => !OF_THE_PAGE.includes(name));
    const key = JSON.stringify([asked.sort(), table.version, [...said], scan?.progress]);
    const known = this.#lists.get(key);
    if (known !== undefined) return known;
    const matches = wantsScan(parameters) ? (scan ?? NO_MATCHES) : null;
    const found = await filtered(table, parameters, { judged: said, matches });
    const { sort = "n", desc } = parameters;
    const places = await ordered(table, found, sortKey(table, sort), desc === "1");
    this.#lists.set(key, places);
    if (table.size > LARGE) collectGarbage();
    const [oldest] = this.#lists.keys();
    if (this.#lists.size > LISTS_KEPT && oldest !== undefined) this.#lists.delete(oldest);
    return places;
  }

  async records(
    table: RunTable,
    parameters: Parameters,
    said: ReadonlyMap<number, Said>,
  ): Promise<RecordsAnswer> {
    const places = await this.places(table, parameters, said);
    const offset = countOf(parameters, "offset", 0);
    const limit = Math.min(countOf(parameters, "limit", LIMIT_DEFAULT), LIMIT_MAX);
    const rows: RecordRow[] = [];
    for (const n of places.subarray(offset, offset + limit))
      rows.push(await rowOf(table, n, said.get(n)));
    return {
      total: table.size,
      matched: places.length,
      offset,
      rows,
      scan: wantsScan(parameters) ? progressOf(this.#scans.of(parameters), table) : null,
    };
  }
}

const NO_MATCHES = { has: () => false };

function progressOf(scan: Scan | null, table: RunTable): NonNullable<RecordsAnswer["scan"]> {
  return (
    scan?.progress ?? {
      state: "none",
      read: 0,
      total: table.size,
      matched: 0,
      errors: 0,
      problem: null,
    }
  );
}

/** A whole number of the query. Fails with `BadQuery`. */
export function countOf(parameters: Parameters, name: string, ifUnset: number): number {
  const text = parameters[name];
  if (text === undefined || text === "") return ifUnset;
  if (!/^\d{1,12}$/.test(text)) throw new BadQuery(`${name}: ${text} is not a whole number`);
  return Number(text);
}

function sortKey(table: RunTable, text: string): SortKey {
  const isKnown = SORT_KEYS.includes(text) || table.own.some(({ name }) => text === `col.${name}`);
  if (!isKnown) throw new BadQuery(`sort: there is no column ${text}`);
  return text as SortKey;
}

export async function rowOf(table: RunTable, n: number, said?: Said): Promise<RecordRow> {
  const number = async (name: NumberName) => (await table.numbers(name))[n] ?? Number.NaN;
  const text = async (name: "status" | "stop" | "error") => {
    const { codes, strings } = await table.texts(name);
    return strings[codes[n] ?? 0] ?? "";
  };
  const status = await text("status");
  const error = await text("error");
  return {
    n,
    id: table.idAt(n),
    trial: await number("trial"),
    status: status === "ok" || status === "lost" ? status : "failed",
    stop: (await text("stop")) as RecordRow["stop"],
    score: orNull(await number("score")),
    error: error === "" ? null : error,
    turns: await number("turns"),
    tokens: orNull(await number("tokens")) ?? 0,
    cost: orNull(await number("cost")),
    ms: orNull(await number("ms")) ?? 0,
    ended: orNull(await number("ended")) ?? 0,
    bytes: await number("bytes"),
    columns: table.own.map(({ cells }) => cells[n] ?? null),
    verdict: said?.verdict ?? null,
    labels: said?.labels ?? [],
    comments: said?.comments ?? 0,
  };
}

/** Statements by the place of their record. Those about a record that was replaced do not count. */
export async function saidOf(
  table: RunTable,
  annotations: Annotations,
): Promise<ReadonlyMap<number, Said>> {
  const attempts = await table.numbers("attempt");
  const places = new Map<string, number>();
  for (const { id, trial, attempt } of annotations) {
    const n = await table.find(id, trial);
    if (n !== null && attempts[n] === attempt) places.set(`${trial}:${id}`, n);
  }
  const said = new Map<number, Said>();
  for (const { id, trial } of annotations) {
    const n = places.get(`${trial}:${id}`);
    if (n === undefined || said.has(n)) continue;
    const current = annotations.of(id, trial).filter(({ attempt }) => attempt === attempts[n]);
    said.set(n, {
      verdict: verdictOf(current),
      labels: labelsOf(current),
      comments: current.filter(({ comment }) => comment !== "").length,
    });
  }
  return said;
}

function orNull(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}
