// A text in the JSON of a record, in any case. JSON is searched as it stands, with the text in its
// JSON form, so that records need not be parsed.

const BESIDE_CHARS = 80;
const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", b: "", f: "" };

export interface Snippet {
  readonly text: string;
  /** The match within the text. */
  readonly from: number;
  readonly to: number;
}

export class TextSearch {
  readonly #needle: string;

  constructor(text: string) {
    this.#needle = JSON.stringify(text).slice(1, -1).toLowerCase();
  }

  /** The first match with the text around it; null for none. */
  find(line: string): Snippet | null {
    const at = this.#placeIn(line);
    if (at === -1) return null;
    const [begin, end] = textAround(line, at, at + this.#needle.length);
    const before = unescaped(line.slice(begin, at));
    const match = unescaped(line.slice(at, at + this.#needle.length));
    const after = unescaped(line.slice(at + this.#needle.length, end));
    return {
      text: before + match + after,
      from: before.length,
      to: before.length + match.length,
    };
  }

  #placeIn(line: string): number {
    const lower = line.toLowerCase();
    const at = lower.indexOf(this.#needle);
    // Some letters have more units in lower case, and places behind them move.
    return at === -1 || lower.length === line.length ? at : Math.min(at, line.length - 1);
  }
}

/** The part of a JSON string around a match. */
function textAround(line: string, from: number, to: number): readonly [number, number] {
  let begin = from;
  while (begin > 0 && from - begin < BESIDE_CHARS && !isQuote(line, begin - 1)) begin--;
  let end = to;
  while (end < line.length && end - to < BESIDE_CHARS && !isQuote(line, end)) end++;
  // An escape is not cut in two.
  if (line[begin - 1] === "\\") begin--;
  if (line[end - 1] === "\\") end--;
  return [begin, end];
}

function isQuote(line: string, at: number): boolean {
  return line[at] === '"' && line[at - 1] !== "\\";
}

function unescaped(json: string): string {
  return json.replace(/\\(?:u([0-9a-fA-F]{4})|(.))/g, (whole, code?: string, letter?: string) => {
    if (code !== undefined) return String.fromCharCode(Number.parseInt(code, 16));
    return letter === undefined ? whole : (ESCAPES[letter] ?? letter);
  });
}
