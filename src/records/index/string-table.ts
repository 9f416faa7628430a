// The strings of an index, each with its number. 0 is the empty string. A table that is full gives
// the number of OTHER, and the record has the text.

/** Distinct strings, and the UTF-16 units in them, that a table takes. */
const STRINGS_MAX = 50_000;
const UNITS_MAX = 8 * 2 ** 20;

/** Stands for strings that no longer fit. */
export const OTHER = "(other)";

export class StringTable {
  readonly #strings: string[] = [""];
  readonly #codes = new Map<string, number>([["", 0]]);
  #units = 0;
  #last = "";
  #lastCode = 0;

  constructor(strings: readonly string[] = []) {
    for (const string of strings) this.#add(string);
  }

  /** Every string, at the place of its number. */
  get all(): readonly string[] {
    return this.#strings;
  }

  at(code: number): string {
    return this.#strings[code] ?? OTHER;
  }

  codeOf(string: string): number {
    // Most records of a run end alike.
    if (string === this.#last) return this.#lastCode;
    this.#last = string;
    this.#lastCode = this.#find(string);
    return this.#lastCode;
  }

  #find(string: string): number {
    const known = this.#codes.get(string);
    if (known !== undefined) return known;
    const isFull = this.#strings.length >= STRINGS_MAX || this.#units > UNITS_MAX;
    return isFull && string !== OTHER ? this.#find(OTHER) : this.#add(string);
  }

  #add(string: string): number {
    const code = this.#strings.push(string) - 1;
    // A file that was edited may have a string twice; the first one counts.
    if (!this.#codes.has(string)) this.#codes.set(string, code);
    this.#units += string.length;
    return code;
  }
}
