// The places of the parts of a JSON text, found without parsing it: members of an object, items of
// a list, and how deep a value is. A record of a hundred megabytes is looked into this way, and
// only the parts that are shown are parsed. The text is taken to be valid; parsing a part tells
// when not.

export interface Span {
  readonly from: number;
  readonly to: number;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** The members of an object; null for another value. Of equal names the last one counts. */
export function membersOf(text: string, { from, to }: Span): ReadonlyMap<string, Span> | null {
  const start = skipBlank(text, from, to);
  if (text.charCodeAt(start) !== OPEN_OBJECT) return null;
  const members = new Map<string, Span>();
  for (let at = skipBlank(text, start + 1, to); text.charCodeAt(at) === QUOTE; ) {
    const nameEnd = skipString(text, at, to);
    const colon = skipBlank(text, nameEnd, to);
    if (text.charCodeAt(colon) !== COLON) break;
    const value = skipBlank(text, colon + 1, to);
    const end = skipValue(text, value, to);
    members.set(nameIn(text.slice(at, nameEnd)), { from: value, to: end });
    at = skipBlank(text, end, to);
    if (text.charCodeAt(at) !== COMMA) break;
    at = skipBlank(text, at + 1, to);
  }
  return members;
}

/** The items of a list; null for another value. */
export function itemsOf(text: string, { from, to }: Span): readonly Span[] | null {
  const start = skipBlank(text, from, to);
  if (text.charCodeAt(start) !== OPEN_LIST) return null;
  const items: Span[] = [];
  let at = skipBlank(text, start + 1, to);
  while (at < to && text.charCodeAt(at) !== CLOSE_LIST) {
    const end = skipValue(text, at, to);
    if (end === at) break;
    items.push({ from: at, to: end });
    at = skipBlank(text, end, to);
    if (text.charCodeAt(at) !== COMMA) break;
    at = skipBlank(text, at + 1, to);
  }
  return items;
}

/** Levels of lists and objects inside each other; 0 for a text or a number. */
export function depthOf(text: string, { from, to }: Span): number {
  let depth = 0;
  let deepest = 0;
  for (let at = from; at < to; ) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = skipString(text, at, to);
      continue;
    }
    if (code === OPEN_LIST || code === OPEN_OBJECT) deepest = Math.max(deepest, ++depth);
    else if (code === CLOSE_LIST || code === CLOSE_OBJECT) depth--;
    at++;
  }
  return deepest;
}

/** The part of a text at a JSON pointer (RFC 6901); null when there is none. */
export function spanAt(text: string, pointer: string): Span | null {
  let span: Span | null = { from: 0, to: text.length };
  if (pointer === "") return span;
  if (!pointer.startsWith("/")) return null;
  for (const escaped of pointer.slice(1).split("/")) {
    const name = escaped.replaceAll("~1", "/").replaceAll("~0", "~");
    const items: readonly Span[] | null = itemsOf(text, span);
    span = (items === null ? membersOf(text, span)?.get(name) : items[Number(name)]) ?? null;
    if (span === null) return null;
  }
  return span;
}

/** A part of a JSON pointer. */
export function pointerPart(name: string | number): string {
  return String(name).replaceAll("~", "~0").replaceAll("/", "~1");
}

function nameIn(quoted: string): string {
  try {
    return JSON.parse(quoted) as string;
  } catch {
    return quoted;
  }
}

function skipBlank(text: string, from: number, to: number): number {
  let at = from;
  while (at < to && isBlank(text.charCodeAt(at))) at++;
  return at;
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0d;
}

/** The place after the string that begins at `from`. */
function skipString(text: string, from: number, to: number): number {
  for (let at = from + 1; ; ) {
    const quote = text.indexOf('"', at);
    if (quote === -1 || quote >= to) return to;
    let backslashes = 0;
    while (text.charCodeAt(quote - 1 - backslashes) === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return quote + 1;
    at = quote + 1;
  }
}

/** The place after the value that begins at `from`. */
function skipValue(text: string, from: number, to: number): number {
  let depth = 0;
  for (let at = from; at < to; ) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = skipString(text, at, to);
      if (depth === 0) return at;
      continue;
    }
    if (code === OPEN_LIST || code === OPEN_OBJECT) depth++;
    else if (code === CLOSE_LIST || code === CLOSE_OBJECT) {
      // The bracket of the value around this one.
      if (depth === 0) return at;
      depth--;
      if (depth === 0) return at + 1;
    } else if (depth === 0 && (code === COMMA || isBlank(code))) return at;
    at++;
  }
  return to;
}
