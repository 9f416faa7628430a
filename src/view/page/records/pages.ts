// Rows of a list of records, fetched in pages as they come onto the screen.

import { useEffect, useMemo, useReducer, useRef } from "preact/hooks";
import type { RecordQuery, RecordRow, RecordsAnswer, ScanHit, ScanProgress } from "../../api.ts";
import { useSource } from "../loaded.ts";
import type { Source } from "../source/contract.ts";

const PAGE = 200;
/** Pages that are kept; the oldest go first. */
const PAGES_MAX = 60;

export class RecordPages {
  total = 0;
  matched = 0;
  problem: Error | null = null;
  scan: ScanProgress | null = null;
  /** False until the first page of this query is there. */
  isReady = false;
  readonly snippets = new Map<number, ScanHit>();
  private readonly pages = new Map<number, readonly RecordRow[]>();
  private readonly asked = new Set<number>();
  private readonly source: Source;
  private readonly run: string;
  readonly query: RecordQuery;
  private readonly changed: () => void;
  private isClosed = false;
  private isStale = false;

  constructor(source: Source, run: string, query: RecordQuery, changed: () => void) {
    this.source = source;
    this.run = run;
    this.query = query;
    this.changed = changed;
  }

  at(index: number): RecordRow | null {
    return this.pages.get(Math.floor(index / PAGE))?.[index % PAGE] ?? null;
  }

  /** Fetches what is missing of these rows. */
  want(from: number, to: number): void {
    for (let page = Math.floor(from / PAGE); page <= Math.floor(to / PAGE); page++)
      if (!this.pages.has(page) && !this.asked.has(page)) void this.fetch(page);
  }

  /** Fetches the rows on the screen again: the records or the matches have become more. */
  refresh(from: number, to: number): void {
    this.isStale = this.asked.size > 0;
    for (let page = Math.floor(from / PAGE); page <= Math.floor(to / PAGE); page++)
      if (!this.asked.has(page)) void this.fetch(page);
    // Others are fetched when they come onto the screen.
    for (const page of this.pages.keys())
      if (page < Math.floor(from / PAGE) || page > Math.floor(to / PAGE)) this.pages.delete(page);
  }

  close(): void {
    this.isClosed = true;
  }

  private async fetch(page: number): Promise<void> {
    this.asked.add(page);
    const query = { ...this.query, offset: String(page * PAGE), limit: String(PAGE) };
    try {
      this.take(page, await this.source.records(this.run, query));
      this.problem = null;
    } catch (problem) {
      this.problem = problem instanceof Error ? problem : new Error(String(problem));
    }
    this.asked.delete(page);
    if (this.isClosed) return;
    if (this.isStale && this.asked.size === 0) {
      this.isStale = false;
      void this.fetch(page);
    }
    this.changed();
  }

  private take(page: number, answer: RecordsAnswer): void {
    this.total = answer.total;
    this.matched = answer.matched;
    this.isReady = true;
    if (answer.scan !== null && answer.scan.state !== "none") this.scan = answer.scan;
    this.pages.delete(page);
    this.pages.set(page, answer.rows);
    const oldest = this.pages.keys().next().value;
    if (this.pages.size > PAGES_MAX && oldest !== undefined) this.pages.delete(oldest);
  }
}

/**
 * The rows of a query. The rows of the query before stay until the first of the next are there, so
 * that nothing jumps.
 */
export function useRecordPages(
  run: string,
  query: RecordQuery,
): { readonly pages: RecordPages; readonly isStale: boolean; readonly isWhole: boolean } {
  const source = useSource();
  const [, redraw] = useReducer((turn: number) => turn + 1, 0);
  const key = JSON.stringify(query);
  const next = useMemo(
    () => new RecordPages(source, run, query, () => redraw(undefined)),
    [source, run, key],
  );
  const shown = useRef(next);
  if (next.isReady || next.problem !== null) shown.current = next;
  useEffect(() => {
    next.want(0, PAGE - 1);
    return () => next.close();
  }, [next]);
  useScan(next, run, source, () => redraw(undefined));
  const { query: own, scan } = next;
  const scans = own.q !== undefined || own.where !== undefined;
  return {
    pages: shown.current,
    isStale: shown.current !== next,
    isWhole: !scans || scan?.state === "done",
  };
}

/** Reads whole records while the list is on the screen. */
function useScan(pages: RecordPages, run: string, source: Source, redraw: () => void): void {
  const { where, q } = pages.query;
  const key = JSON.stringify([where, q]);
  useEffect(() => {
    if (where === undefined && q === undefined) return;
    return source.scan(run, pages.query, {
      progress: (progress) => {
        pages.scan = progress;
        pages.refresh(0, PAGE - 1);
        redraw();
      },
      hit: (hit) => pages.snippets.set(hit.n, hit),
    });
  }, [source, run, key, pages]);
}
