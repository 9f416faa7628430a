// The values of a JSON array in a stream of text, each with its line. Only brackets, commas and
// strings are read here. A value is everything between two commas, and is parsed by itself.

import { LineError } from "./text.ts";

export interface Element {
  /** The line at which the value begins, from 1. */
  readonly line: number;
  /** Blank where a value is missing. */
  readonly text: string;
}

const NO_ARRAY =
  'the file is not a JSON array of rows (for one row a line, set dataset.format = "jsonl")';
const BLANK = /^\s*$/;

/**
 * Batches of values, one for each piece of text. Fails with a LineError where the text is no array,
 * and at a value of more than `charactersMax`.
 */
export async function* splitArray(
  pieces: AsyncIterable<string>,
  charactersMax: number,
): AsyncGenerator<readonly Element[]> {
  const splitter = new ArraySplitter(charactersMax);
  for await (const piece of pieces) {
    const error = splitter.add(piece);
    yield splitter.take();
    if (error !== null) throw error;
  }
  splitter.end();
}

class ArraySplitter {
  readonly #charactersMax: number;
  #place: "before" | "first" | "later" | "after" = "before";
  #line = 1;
  /** Lists and objects around this character, without the array itself. */
  #depth = 0;
  #inString = false;
  #isEscaped = false;
  /** The line of the value that is being read; null before its first character. */
  #begun: number | null = null;
  /** The value so far, from earlier pieces. */
  #parts: string[] = [];
  #characters = 0;
  #elements: Element[] = [];

  constructor(charactersMax: number) {
    this.#charactersMax = charactersMax;
  }

  /** The values that ended since the last call. */
  take(): readonly Element[] {
    return this.#elements.splice(0);
  }

  /** Reads a piece of text. Answers what is wrong after the values in it; null for nothing. */
  add(piece: string): LineError | null {
    let from = 0;
    for (let at = 0; at < piece.length; at++) {
      const character = piece[at] ?? "";
      if (character === "\n") this.#line++;
      if (this.#inString) this.#readString(character);
      else if (this.#place === "before" || this.#place === "after") {
        const error = this.#readAround(character);
        if (error !== null) return error;
        from = at + 1;
      } else if (this.#readBetween(character)) {
        this.#keep(piece.slice(from, at));
        this.#finish(character);
        from = at + 1;
      }
    }
    this.#keep(piece.slice(from));
    if (this.#characters <= this.#charactersMax) return null;
    const mebibytes = this.#charactersMax / 2 ** 20;
    return new LineError(
      this.#begun ?? this.#line,
      `the row has more than the ${mebibytes} Mi characters that a row may have`,
    );
  }

  end(): void {
    if (this.#place === "first" || this.#place === "later")
      throw new LineError(this.#line, "the JSON array is cut short");
  }

  #readString(character: string): void {
    if (this.#isEscaped) this.#isEscaped = false;
    else if (character === "\\") this.#isEscaped = true;
    else if (character === '"') this.#inString = false;
  }

  #readAround(character: string): LineError | null {
    if (BLANK.test(character)) return null;
    if (this.#place === "before" && character === "[") {
      this.#place = "first";
      return null;
    }
    const message = this.#place === "before" ? NO_ARRAY : "text follows the JSON array";
    return new LineError(this.#line, message);
  }

  /** Reads a character of the array. Answers true for one that ends a value. */
  #readBetween(character: string): boolean {
    if (this.#depth === 0 && (character === "," || character === "]")) return true;
    if (character === '"') this.#inString = true;
    else if (character === "{" || character === "[") this.#depth++;
    else if (this.#depth > 0 && (character === "}" || character === "]")) this.#depth--;
    if (this.#begun === null && !BLANK.test(character)) this.#begun = this.#line;
    return false;
  }

  #keep(text: string): void {
    if (text === "" || (this.#begun === null && BLANK.test(text))) return;
    this.#parts.push(text);
    this.#characters += text.length;
  }

  #finish(ending: string): void {
    // An array without values has a blank one between its brackets.
    if (this.#begun !== null || this.#place === "later" || ending === ",")
      this.#elements.push({ line: this.#begun ?? this.#line, text: this.#parts.join("") });
    this.#place = ending === "," ? "later" : "after";
    this.#begun = null;
    this.#parts = [];
    this.#characters = 0;
  }
}
