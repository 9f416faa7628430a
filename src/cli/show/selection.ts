// The records of a run that a filter lets through, in an order, by the index of the run. Only an
// expression reads whole records, and only those that pass the other filters.

import { MatrixError, messageOf } from "../../error.ts";
import { compileExpression } from "../../recipe/expression/expression.ts";
import type { RunIndex } from "../../records/index/run-index.ts";

import { trajectoriesPath } from "../../records/record-file.ts";
import { parseJson } from "../../task/exact.ts";
import type { JsonObject } from "../../task/json.ts";
import type { ErrorGroup, RecordRow, SortKey } from "../../view/api.ts";
import { rowOf } from "../../view/library/listing.ts";
import { errorGroups } from "../../view/statistics/error-groups.ts";
import { filtered } from "../../view/table/filter.ts";
import { IndexTable } from "../../view/table/index-table.ts";
import { ordered } from "../../view/table/order.ts";
import { openIndex } from "./open-index.ts";

export interface Filter {
  readonly status?: string;
  readonly stopReason?: string;
  readonly error?: string;
  /** A CEL expression over the whole record. */
  readonly where?: string;
  /** A column, with "-" before it for the largest first. */
  readonly sort?: string;
}

export interface RecordList {
  /** Number of records that fit. */
  readonly matched: number;
  /** Number of records of the run. */
  readonly total: number;
  readonly rows: readonly RecordRow[];
}

/** Ids that an error lists when no record fits. */
const IDS_SHOWN = 5;
const SORT_KEYS: readonly SortKey[] = [
  ...(["n", "id", "trial", "status", "stop", "error"] as const),
  ...(["score", "turns", "tokens", "cost", "ms", "ended"] as const),
];

export class Selection {
  readonly #path: string;
  readonly #index: RunIndex;
  readonly #table: IndexTable;

  private constructor(path: string, index: RunIndex) {
    this.#path = path;
    this.#index = index;
    this.#table = new IndexTable(index, 0);
  }

  /** True for a filter that leaves records out. */
  static isNeeded({ status, stopReason, error, where }: Filter): boolean {
    return [status, stopReason, error, where].some((value) => value !== undefined);
  }

  /** Fails with `usage` when the run has no records. */
  static async open(directory: string): Promise<Selection> {
    const index = await openIndex(directory);
    const path = trajectoriesPath(directory);
    if (index.size > 0) return new Selection(path, index);
    await index.close();
    throw new MatrixError("usage", `no records in ${path}`);
  }

  /** The place of a record. Fails with `usage` when there is none. */
  async place(id: string, trial: number): Promise<number> {
    const n = await this.#index.find(id, trial);
    if (n !== null) return n;
    const ids = new Set<string>();
    for (let at = 0; at < this.#index.size && ids.size < IDS_SHOWN; at++)
      ids.add(this.#index.idOf(at));
    throw new MatrixError("usage", `no record of row ${id}, trial ${trial} in ${this.#path}`, {
      hint: `it has rows like ${[...ids].join(", ")}`,
    });
  }

  async line(id: string, trial: number): Promise<string> {
    return this.lineAt(await this.place(id, trial));
  }

  lineAt(n: number): Promise<string> {
    return this.#index.readRecord(n);
  }

  /** The first record that matches. Fails with `usage` when none does. */
  async first(filter: Filter): Promise<number> {
    for await (const n of this.#fitting(filter, await this.#ordered(filter))) return n;
    throw await this.#nothing(filter);
  }

  /** The matching record that comes next to one, in the order of the filter. */
  async beside(n: number, step: number, filter: Filter): Promise<number> {
    const places = await this.#ordered(filter);
    const at = places.indexOf(n);
    // A record that the filter leaves out lies between those around it in the file.
    const after = at === -1 ? places.findIndex((place) => place > n) : at + 1;
    const from = after === -1 ? places.length : after;
    const rest =
      step > 0 ? places.subarray(from) : places.subarray(0, at === -1 ? from : at).toReversed();
    for await (const place of this.#fitting(filter, rest)) return place;
    throw new MatrixError("usage", `no matching record comes ${step > 0 ? "after" : "before"} it`);
  }

  async list(filter: Filter, limit: number): Promise<RecordList> {
    const rows: RecordRow[] = [];
    let matched = 0;
    for await (const n of this.#fitting(filter, await this.#ordered(filter))) {
      if (matched < limit) rows.push(await rowOf(this.#table, n));
      matched++;
    }
    return { matched, total: this.#index.size, rows };
  }

  async groups(filter: Filter): Promise<readonly ErrorGroup[]> {
    const places: number[] = [];
    for await (const n of this.#fitting(filter, await this.#filtered(filter))) places.push(n);
    return (await errorGroups(this.#table, Uint32Array.from(places))).groups;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#index.close();
  }

  /** The records that pass the filters of the index, in the order of the file. */
  #filtered({ status, stopReason, error }: Filter): Promise<Uint32Array> {
    const encoded = (value: string | undefined) =>
      value === undefined ? undefined : encodeURIComponent(value);
    const wanted = { status: encoded(status), stop: encoded(stopReason), error: encoded(error) };
    return filtered(this.#table, wanted, { judged: new Map(), matches: null });
  }

  async #ordered(filter: Filter): Promise<Uint32Array> {
    const { sort = "n" } = filter;
    const descending = sort.startsWith("-");
    const key = (descending ? sort.slice(1) : sort) as SortKey;
    if (!SORT_KEYS.includes(key))
      throw new MatrixError("usage", `--sort ${sort}: there is no such column`, {
        hint: `columns: ${SORT_KEYS.join(", ")}; -score lists the largest score first`,
      });
    return ordered(this.#table, await this.#filtered(filter), key, descending);
  }

  /** The records for which the expression is true. */
  async *#fitting({ where }: Filter, places: Uint32Array): AsyncGenerator<number> {
    if (where === undefined) {
      yield* places;
      return;
    }
    const holds = compileExpression(where);
    let [any, problem] = [false, null as string | null];
    for (const n of places) {
      let fits = false;
      try {
        fits = holds(parseJson(await this.#index.readRecord(n)) as JsonObject) === true;
      } catch (thrown) {
        problem ??= messageOf(thrown);
      }
      any ||= fits;
      if (fits) yield n;
    }
    if (!any && problem !== null) throw new MatrixError("usage", `--where ${where}: ${problem}`);
  }

  async #nothing({ status, ...others }: Filter): Promise<MatrixError> {
    if (status === undefined || Selection.isNeeded(others))
      return new MatrixError("usage", `no record in ${this.#path} matches`);
    const { codes, values } = await this.#index.codes("status");
    const known = values.filter((_, code) => codes.includes(code));
    return new MatrixError("usage", `no record with status ${status} in ${this.#path}`, {
      hint: `its records have the status ${known.join(" or ")}`,
    });
  }
}
