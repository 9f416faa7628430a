// A table in memory. It grows at its end as records arrive.

import type { Cell } from "../api.ts";
import {
  NUMBERS,
  type NumberName,
  type OwnColumn,
  type PackedTexts,
  packed,
  type RunTable,
  TEXTS,
  type TextColumn,
  type TextName,
} from "./run-table.ts";

export interface Entry {
  readonly id: string;
  readonly numbers: Readonly<Record<NumberName, number>>;
  readonly texts: Readonly<Record<TextName, string>>;
  /** Values of the own columns, in their order. */
  readonly cells: readonly Cell[];
}

const INITIAL_ROWS = 256;

export class MemoryTable implements RunTable {
  readonly own: readonly OwnColumn[];
  readonly #cells: readonly Cell[][];
  readonly #readLine: (n: number) => Promise<string>;
  readonly #ids: string[] = [];
  readonly #places = new Map<string, number>();
  readonly #numbers = new Map(NUMBERS.map((name) => [name, new Numbers()]));
  readonly #texts = new Map(TEXTS.map((name) => [name, new Texts()]));

  constructor(own: readonly Omit<OwnColumn, "cells">[], readLine: (n: number) => Promise<string>) {
    this.#cells = own.map(() => []);
    this.own = own.map((column, index) => ({ ...column, cells: this.#cells[index] ?? [] }));
    this.#readLine = readLine;
  }

  get size(): number {
    return this.#ids.length;
  }

  get version(): number {
    return this.size;
  }

  add({ id, numbers, texts, cells }: Entry): void {
    const n = this.#ids.push(id) - 1;
    this.#places.set(`${numbers.trial}:${id}`, n);
    for (const [name, column] of this.#numbers) column.set(n, numbers[name]);
    for (const [name, column] of this.#texts) column.set(n, texts[name]);
    this.#cells.forEach((column, index) => {
      column.push(cells[index] ?? null);
    });
  }

  async numbers(name: NumberName): Promise<ArrayLike<number>> {
    return this.#numbers.get(name)?.values ?? [];
  }

  async texts(name: TextName): Promise<TextColumn> {
    const { codes = [], strings = [] } = this.#texts.get(name) ?? {};
    return { codes, strings };
  }

  idAt(n: number): string {
    return this.#ids[n] ?? "";
  }

  async ids(): Promise<PackedTexts> {
    return packed(this.#ids);
  }

  async find(id: string, trial: number): Promise<number | null> {
    return this.#places.get(`${trial}:${id}`) ?? null;
  }

  lineAt(n: number): Promise<string> {
    return this.#readLine(n);
  }
}

class Numbers {
  values = new Float64Array(INITIAL_ROWS);

  set(n: number, value: number): void {
    if (n >= this.values.length) {
      const larger = new Float64Array(this.values.length * 2);
      larger.set(this.values);
      this.values = larger;
    }
    this.values[n] = value;
  }
}

class Texts {
  readonly codes: number[] = [];
  readonly strings: string[] = [""];
  readonly #codeOf = new Map([["", 0]]);

  set(n: number, text: string): void {
    const known = this.#codeOf.get(text);
    const code = known ?? this.strings.push(text) - 1;
    if (known === undefined) this.#codeOf.set(text, code);
    this.codes[n] = code;
  }
}
