// A run directory as a table: the index of its records at one moment.

import type { CodeColumn, NumberColumn } from "../../records/index/layout.ts";
import type { Columns, RunIndex } from "../../records/index/run-index.ts";
import type {
  NumberName,
  OwnColumn,
  PackedTexts,
  RunTable,
  TextColumn,
  TextName,
} from "./run-table.ts";

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
const TOKEN_COLUMNS = ["prompt_tokens", "completion_tokens"] as const;
const TEXT_COLUMNS: Readonly<Record<TextName, CodeColumn>> = {
  status: "status",
  stop: "stop_reason",
  error: "error",
  message: "message",
  models: "models",
};

interface Loaded {
  readonly columns: Columns<NumberColumn, CodeColumn>;
  readonly tokens: Float64Array;
}

export class IndexTable implements RunTable {
  readonly size: number;
  readonly version: number;
  readonly own: readonly OwnColumn[] = [];
  readonly #index: RunIndex;
  /** All columns, read in one pass when the first is asked for. */
  #loaded: Promise<Loaded> | null = null;
  #ids: Promise<PackedTexts> | null = null;

  /** `version` tells this content from that of other moments. */
  constructor(index: RunIndex, version: number) {
    this.#index = index;
    this.size = index.size;
    this.version = version;
  }

  async numbers(name: NumberName): Promise<ArrayLike<number>> {
    const { columns, tokens } = await this.#load();
    return name === "tokens" ? tokens : columns.numbers[NUMBER_COLUMNS[name]];
  }

  async texts(name: TextName): Promise<TextColumn> {
    const { codes, values } = (await this.#load()).columns.codes[TEXT_COLUMNS[name]];
    return { codes, strings: values };
  }

  idAt(n: number): string {
    return this.#index.idOf(n);
  }

  ids(): Promise<PackedTexts> {
    this.#ids ??= this.#index.ids().then(({ texts, ends }) => ({ bytes: texts, ends }));
    return this.#ids;
  }

  find(id: string, trial: number): Promise<number | null> {
    return this.#index.find(id, trial);
  }

  lineAt(n: number): Promise<string> {
    return this.#index.readRecord(n);
  }

  #load(): Promise<Loaded> {
    this.#loaded ??= this.#read();
    return this.#loaded;
  }

  async #read(): Promise<Loaded> {
    const { numbers, codes } = await this.#index.columns(
      [...Object.values(NUMBER_COLUMNS), ...TOKEN_COLUMNS],
      Object.values(TEXT_COLUMNS),
    );
    const { prompt_tokens: prompt, completion_tokens: completion, ...rest } = numbers;
    const tokens = new Float64Array(this.size);
    for (let n = 0; n < this.size; n++) tokens[n] = (prompt[n] ?? 0) + (completion[n] ?? 0);
    const columns = { numbers: rest as typeof numbers, codes };
    return { columns, tokens };
  }
}
