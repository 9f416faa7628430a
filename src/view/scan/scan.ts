// One pass over all records of a run, for what no index can answer: a CEL expression over whole
// records, a text anywhere in them. Matches are listed while the pass goes on.

import { messageOf } from "../../error.ts";
import { collectGarbage } from "../../platform.ts";
import type { Expression } from "../../recipe/expression/expression.ts";
import { parseJson } from "../../task/exact.ts";
import type { JsonObject } from "../../task/json.ts";
import type { ScanHit, ScanProgress } from "../api.ts";
import { type Snippet, TextSearch } from "./text-search.ts";

/** Hits that are told one by one. */
const HITS_MAX = 200;
const FREED_CHARS = 16 * 2 ** 20;

export interface ScanLine {
  readonly n: number;
  readonly text: string;
}

export interface ScanOptions {
  /** Must be true for a record; null for every record. */
  readonly where: Expression | null;
  /** Must stand in the record; null for any text. */
  readonly text: string | null;
  readonly total: number;
  readonly lines: (signal: AbortSignal) => AsyncIterable<readonly ScanLine[]>;
  /** Identifies a record. */
  readonly refOf: (n: number) => { readonly id: string; readonly trial: number };
}

export class Scan {
  readonly hits: ScanHit[] = [];
  readonly #options: ScanOptions;
  readonly #search: TextSearch | null;
  readonly #matches: Uint8Array;
  readonly #cancel = new AbortController();
  readonly #done: Promise<void>;
  #state: ScanProgress["state"] = "running";
  #read = 0;
  /** Characters since memory was freed. */
  #chars = 0;
  #matched = 0;
  #errors = 0;
  #problem: string | null = null;
  /** Streams that show this scan. */
  #watchers = 0;
  #wake = Promise.withResolvers<void>();

  constructor(options: ScanOptions) {
    this.#options = options;
    this.#search = options.text === null ? null : new TextSearch(options.text);
    this.#matches = new Uint8Array(options.total);
    this.#done = this.#run();
  }

  get progress(): ScanProgress {
    return {
      state: this.#state,
      read: this.#read,
      total: this.#options.total,
      matched: this.#matched,
      errors: this.#errors,
      problem: this.#problem,
    };
  }

  has(n: number): boolean {
    return this.#matches[n] === 1;
  }

  /** Resolves when the scan has ended. */
  get done(): Promise<void> {
    return this.#done;
  }

  /** Resolves at the next change. */
  get changed(): Promise<void> {
    return this.#wake.promise;
  }

  /** The scan goes on while it is watched. Returns a function that ends the watch. */
  watch(): () => void {
    this.#watchers++;
    return () => {
      this.#watchers--;
      if (this.#watchers === 0 && this.#state === "running") this.cancel();
    };
  }

  cancel(): void {
    this.#cancel.abort();
  }

  async #run(): Promise<void> {
    const { signal } = this.#cancel;
    try {
      for await (const lines of this.#options.lines(signal)) {
        if (signal.aborted) break;
        for (const line of lines) this.#take(line);
        this.#freeText(lines);
        this.#notify();
      }
      this.#state = signal.aborted ? "cancelled" : "done";
    } catch (thrown) {
      this.#state = signal.aborted ? "cancelled" : "failed";
      this.#problem ??= messageOf(thrown);
    }
    this.#notify();
  }

  /** Texts of gigabytes pass through, and each is in use for a moment. */
  #freeText(lines: readonly ScanLine[]): void {
    for (const { text } of lines) this.#chars += text.length;
    if (this.#chars < FREED_CHARS) return;
    this.#chars = 0;
    collectGarbage();
  }

  #take({ n, text }: ScanLine): void {
    // Records that came after the beginning are for the next scan.
    if (n >= this.#options.total) return;
    this.#read++;
    const snippet = this.#search?.find(text) ?? null;
    if (this.#search !== null && snippet === null) return;
    if (!this.#holds(text)) return;
    this.#matches[n] = 1;
    this.#matched++;
    if (this.hits.length < HITS_MAX) this.#hit(n, snippet);
  }

  #holds(text: string): boolean {
    const { where } = this.#options;
    if (where === null) return true;
    try {
      return where(parseJson(text) as JsonObject) === true;
    } catch (thrown) {
      this.#errors++;
      this.#problem ??= messageOf(thrown);
      return false;
    }
  }

  #hit(n: number, snippet: Snippet | null): void {
    this.hits.push({ n, ...this.#options.refOf(n), snippet });
  }

  #notify(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers<void>();
  }
}
