// A run directory as a table: the index of its records at one moment.

import type { CodeColumn, NumberColumn } from "../../records/index/layout.ts";
import type { RunIndex } from "../../records/index/run-index.ts";
import type { NumberName, OwnColumn, RunTable, TextColumn, TextName } from "./run-table.ts";

const NUMBER_COLUMNS: Readonly<Record<Exclude<NumberName, "tokens">, NumberColumn>> = {
  trial: "trial",
  attempt: "attempt",
  score: "score",
  turns: "hops",
  cost: "cost",
  ms: "total_ms",
  admitted: "admitted_at",
  ended: "ended_at",
  bytes: "bytes",
};
const TEXT_COLUMNS: Readonly<Record<TextName, CodeColumn>> = {
  status: "status",
  stop: "stop_reason",
  error: "error",
  message: "message",
  models: "models",
};

export class IndexTable implements RunTable {
  readonly size: number;
  readonly version: number;
  readonly own: readonly OwnColumn[] = [];
  readonly #index: RunIndex;
  readonly #numbers = new Map<NumberName, Promise<ArrayLike<number>>>();
  readonly #texts = new Map<TextName, Promise<TextColumn>>();

  /** `version` tells this content from that of other moments. */
  constructor(index: RunIndex, version: number) {
    this.#index = index;
    this.size = index.size;
    this.version = version;
  }

  numbers(name: NumberName): Promise<ArrayLike<number>> {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    const read = name === "tokens" ? this.#tokens() : this.#index.numbers(NUMBER_COLUMNS[name]);
    this.#numbers.set(name, read);
    return read;
  }

  texts(name: TextName): Promise<TextColumn> {
    const known = this.#texts.get(name);
    if (known !== undefined) return known;
    const read = this.#index
      .codes(TEXT_COLUMNS[name])
      .then(({ codes, values }) => ({ codes, strings: values }));
    this.#texts.set(name, read);
    return read;
  }

  idAt(n: number): string {
    return this.#index.idOf(n);
  }

  find(id: string, trial: number): Promise<number | null> {
    return this.#index.find(id, trial);
  }

  lineAt(n: number): Promise<string> {
    return this.#index.readRecord(n);
  }

  async #tokens(): Promise<ArrayLike<number>> {
    const prompt = await this.#index.numbers("prompt_tokens");
    const completion = await this.#index.numbers("completion_tokens");
    return prompt.map((count, n) => count + (completion[n] ?? 0));
  }
}
