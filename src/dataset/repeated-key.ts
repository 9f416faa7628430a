// Keys that stand twice in one object of JSON. A parser keeps the last value and drops the others
// without a word.

import { ExactNumber } from "../task/exact.ts";

/** An end of a key. Inside of a string, the quote of this pattern follows a backslash. */
const KEY_END = /"\s*:/g;

/** The first key that an object in this JSON has twice, or null. `value` is what the text means. */
export function repeatedKey(text: string, value: unknown): string | null {
  const ends = text.match(KEY_END)?.length ?? 0;
  return ends === keysIn(value) ? null : findRepeated(text);
}

function keysIn(value: unknown): number {
  if (typeof value !== "object" || value === null || value instanceof ExactNumber) return 0;
  const parts = Object.values(value);
  let keys = Array.isArray(value) ? 0 : parts.length;
  for (const part of parts) keys += keysIn(part);
  return keys;
}

/** Reads JSON that is known to be valid. */
function findRepeated(text: string): string | null {
  const open: (Set<string> | null)[] = [];
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === "{") open.push(new Set());
    else if (character === "[") open.push(null);
    else if (character === "}" || character === "]") open.pop();
    if (character !== '"') continue;
    const end = endOfString(text, at);
    const keys = open.at(-1);
    if (keys && isKey(text, end)) {
      const key = JSON.parse(text.slice(at, end)) as string;
      if (keys.has(key)) return key;
      keys.add(key);
    }
    at = end - 1;
  }
  return null;
}

/** The position after the string that begins here. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at + 1;
}

function isKey(text: string, after: number): boolean {
  let at = after;
  while (/\s/.test(text[at] ?? "")) at++;
  return text[at] === ":";
}
