// The stderr of an agent, line by line, and the end of it for the error that reports the agent's
// death.

import { StringDecoder } from "node:string_decoder";
import { masked } from "../known-secrets.ts";

/** Characters shown of the end of stderr. */
const LAST_WORDS_CHARS = 2000;
/** A longer line is shortened, and a line without an end is passed on in pieces. */
const LINE_CHARS_MAX = 4000;
/** Characters kept beyond either limit, so that a secret is found whole before it is cut. */
const SECRET_CHARS_MAX = 1000;

export class StderrLines {
  readonly #onLine: (line: string) => void;
  readonly #decoder = new StringDecoder("utf8");
  #lastWords = "";
  /** The beginning of a line whose end has not come. */
  #rest = "";

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  /** The end of what was written, without surrounding white space. */
  get lastWords(): string {
    return masked(this.#lastWords).slice(-LAST_WORDS_CHARS).trim();
  }

  push(chunk: Buffer): void {
    const text = this.#decoder.write(chunk);
    this.#lastWords = (this.#lastWords + text).slice(-LAST_WORDS_CHARS - SECRET_CHARS_MAX);
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#pass(line);
    if (this.#rest.length <= LINE_CHARS_MAX + SECRET_CHARS_MAX) return;
    const whole = masked(this.#rest);
    let from = 0;
    do {
      this.#pass(whole.slice(from, from + LINE_CHARS_MAX));
      from += LINE_CHARS_MAX;
    } while (whole.length - from > LINE_CHARS_MAX + SECRET_CHARS_MAX);
    this.#rest = whole.slice(from);
  }

  #pass(line: string): void {
    if (line.trim() !== "") this.#onLine(masked(line).slice(0, LINE_CHARS_MAX));
  }
}
