// Regular expressions that come with a recipe or a row. JavaScript's own engine tries every way in
// which a pattern may match, and some patterns have more ways than there is time. RE2 reads each
// text once, so its time grows with the text alone.

import { RE2JS } from "re2js";

export type LinearPattern = (text: string) => boolean;

/** Compiled patterns that are kept for the next call. */
const KEPT_MAX = 1000;
/** White space of JavaScript beyond that of RE2, as members of a class. */
const SPACES = String.raw`\s\x0b\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}`;
/** Every other character, as members of a class. */
const NO_SPACES = String.raw`\x00-\x08\x0e-\x1f\x21-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027}\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{fefe}\x{ff00}-\x{10ffff}`;
/** JavaScript's dot ends at two characters more than that of RE2. */
const DOT = String.raw`[^\n\r\x{2028}\x{2029}]`;

const kept = new Map<string, RE2JS>();

/**
 * The test of a pattern in JavaScript's syntax (flag `u`), which JSON Schema uses. Throws for a
 * pattern that is not valid, and for what no linear engine can do: lookaheads and back-references.
 */
export function compilePattern(source: string): LinearPattern {
  new RegExp(source, "u");
  const pattern = compile(translate(source));
  return (text) => pattern.test(text);
}

/** True when a part of `text` matches a pattern in RE2's syntax, which CEL uses. */
export function matchesPattern(text: string, source: string): boolean {
  return compile(source).test(text);
}

function compile(spelling: string): RE2JS {
  const known = kept.get(spelling);
  if (known !== undefined) return known;
  const pattern = RE2JS.compile(RE2JS.translateRegExp(spelling), RE2JS.LOOKBEHINDS);
  // Patterns may come from rows, without end.
  if (kept.size >= KEPT_MAX) kept.clear();
  kept.set(spelling, pattern);
  return pattern;
}

/** The pattern as RE2 spells it, with JavaScript's meaning of white space and dot. */
function translate(source: string): string {
  let spelling = "";
  let inClass = false;
  for (let at = 0; at < source.length; at++) {
    const char = source[at] as string;
    if (char === "\\") {
      const rest = source.slice(at, at + PROPERTY_CHARS_MAX);
      const [found, translated] = translateEscape(rest, inClass);
      spelling += translated;
      at += found.length - 1;
      continue;
    }
    if (char === "[") inClass = true;
    if (char === "]") inClass = false;
    spelling += char === "." && !inClass ? DOT : char;
  }
  return spelling;
}

/** Most characters of `\p{…}`. */
const PROPERTY_CHARS_MAX = 80;
const PROPERTY = /^\\([pP])\{(?:Script|sc|Script_Extensions|scx|General_Category|gc)=(\w+)\}/;

/** The escape at the beginning of `rest`, and its translation. */
function translateEscape(rest: string, inClass: boolean): readonly [string, string] {
  const named = PROPERTY.exec(rest);
  if (named !== null) return [named[0], `\\${named[1]}{${named[2]}}`];
  const pair = rest.slice(0, 2);
  if (pair === "\\s") return [pair, inClass ? SPACES : `[${SPACES}]`];
  if (pair === "\\S") return [pair, inClass ? NO_SPACES : `[${NO_SPACES}]`];
  if (pair === "\\b" && inClass) return [pair, "\\x08"];
  if (/\\[1-9k]/.test(pair)) throw new Error(`back-references such as ${pair} are not allowed`);
  return [pair, pair];
}
