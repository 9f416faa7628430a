// Numbers of JSON that a double cannot hold, such as an id of 19 digits. A whole number becomes a
// BigInt and any other an ExactNumber. Both print and serialise as the digits of their source.
//
// Most JSON has no such number, and tasks are parsed on every hop. So JSON that this program writes
// for itself tells it by a tab: JSON text has no raw tab inside a string, and JSON.stringify writes
// none between values.

const MARK = "\t";
const MARK_BYTE = 0x09;
/** A BigInt of many digits takes quadratic time to print, so a longer number stays text. */
const BIGINT_DIGITS_MAX = 1000;
const EXPONENT_DIGITS_MAX = 12;
const WHOLE = /^-?\d+$/;
/** A double holds any 15 digits. */
const SUSPECT = /\d[\d.]{15}|\d[eE][+-]?\d{3}/;
const SUSPECTS = /-?(?:\d[\d.]{15,}(?:[eE][+-]?\d+)?|\d[\d.]{0,14}[eE][+-]?\d{3,})/g;

interface RawJson {
  rawJSON(text: string): object;
}

/** The numbers of this kind that the process has written so far. */
let written = 0;

function raw(text: string): object {
  written++;
  return (JSON as unknown as RawJson).rawJSON(text);
}

/** A number whose value is the nearest double, and whose text is exact. */
export class ExactNumber extends Number {
  readonly #text: string;

  constructor(text: string) {
    super(text);
    this.#text = text;
  }

  override toString(): string {
    return this.#text;
  }

  toJSON(): object {
    return raw(this.#text);
  }
}

// JSON.stringify refuses a BigInt unless it can turn itself into JSON.
Object.defineProperty(BigInt.prototype, "toJSON", {
  configurable: true,
  value(this: bigint) {
    return raw(this.toString());
  },
});

/** Parses JSON from outside. Numbers that a double cannot hold stay exact. */
export function parseJson(text: string): unknown {
  if (!SUSPECT.test(text)) return JSON.parse(text);
  for (const [token] of text.matchAll(SUSPECTS))
    if (!isExact(token, Number(token))) return parseExactly(text);
  return JSON.parse(text);
}

/** JSON for `parseMarked`, with a tab at its end if a number in it needs more than a double. */
export function markedJson(value: unknown): string {
  const before = written;
  const text = JSON.stringify(value);
  return written === before ? text : text + MARK;
}

/** Parses JSON that consists of texts of `markedJson`. */
export function parseMarked(text: string): unknown {
  return text.includes(MARK) ? parseJson(text) : JSON.parse(text);
}

/** The same JSON without the tabs of `markedJson`. */
export function withoutMarks(bytes: Uint8Array): Uint8Array {
  return bytes.includes(MARK_BYTE) ? bytes.filter((byte) => byte !== MARK_BYTE) : bytes;
}

function parseExactly(text: string): unknown {
  const revive = (_key: string, value: unknown, context?: { source?: string }): unknown =>
    typeof value === "number" && context?.source !== undefined
      ? exactNumber(context.source)
      : value;
  try {
    return JSON.parse(text, revive);
  } catch (cause) {
    // A reviver follows the value by recursion. Values so deep are cut later, whatever they hold.
    if (cause instanceof RangeError) return JSON.parse(text);
    throw cause;
  }
}

/** The number that a token of JSON means, exactly. */
export function exactNumber(token: string): number | bigint | ExactNumber {
  const value = Number(token);
  if (!SUSPECT.test(token) || isExact(token, value)) return value;
  return WHOLE.test(token) && token.length <= BIGINT_DIGITS_MAX
    ? BigInt(token)
    : new ExactNumber(token);
}

/** Tells whether the double prints as the same number as the token from which it came. */
function isExact(token: string, value: number): boolean {
  // A larger whole number may be that of the double and yet print with an exponent.
  if (WHOLE.test(token)) return Number.isSafeInteger(value);
  const printed = String(value);
  if (printed === token) return true;
  return Number.isFinite(value) && canonical(printed) === canonical(token);
}

/** Significant digits and exponent of a number. Equal numbers have equal texts. */
function canonical(token: string): string {
  const [mantissa = "", exponent = "0"] = token.replace(/^-/, "").toLowerCase().split("e");
  const [whole = "", fraction = ""] = mantissa.split(".");
  const digits = (whole + fraction).replace(/^0+/, "");
  // Such an exponent is of no double, and a long one is slow to read.
  if (exponent.length > EXPONENT_DIGITS_MAX) return token;
  let end = digits.length;
  while (digits[end - 1] === "0") end--;
  if (end === 0) return "0";
  const power = BigInt(exponent.replace("+", "")) + BigInt(digits.length - end - fraction.length);
  return `${digits.slice(0, end)}e${power}`;
}
