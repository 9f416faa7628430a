// Text of models as it is: characters that a screen hides, or that turn the text around them, are
// shown as signs.

import type { ComponentChildren } from "preact";

/**
 * Control characters but for tab and newline, marks and overrides of direction, line separators,
 * and spaces of no width. The joiner of emoji (U+200D) stays: it is a part of words and signs.
 */
const HIDDEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for.
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/;
const HIDDEN_ALL = new RegExp(HIDDEN.source, "g");

const NAMES: Readonly<Record<string, string>> = {
  "\u001b": "ESC",
  "\u0000": "NUL",
  "\u0007": "BEL",
  "\u0008": "BS",
  "\r": "CR",
  "\u007f": "DEL",
};

/** The name of a hidden character, as it is shown: `ESC`, `U+202E`. */
export function nameOfHidden(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return NAMES[character] ?? `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
}

/** A whole text in one line, for titles of elements and the like. */
export function visibleText(text: string): string {
  return text.replace(HIDDEN_ALL, (character) => `⟨${nameOfHidden(character)}⟩`);
}

export function Visible({ text }: { readonly text: string }) {
  return <>{visibleParts(text)}</>;
}

export function visibleParts(given: string): ComponentChildren[] {
  // A return before a newline is an ordinary end of a line.
  const text = given.includes("\r\n") ? given.replaceAll("\r\n", "\n") : given;
  if (!HIDDEN.test(text)) return [text];
  const parts: ComponentChildren[] = [];
  let from = 0;
  for (const match of text.matchAll(HIDDEN_ALL)) {
    parts.push(text.slice(from, match.index));
    parts.push(
      <span key={match.index} class="hidden-character" title="a character that screens hide">
        {nameOfHidden(match[0])}
      </span>,
    );
    from = match.index + match[0].length;
  }
  parts.push(text.slice(from));
  return parts;
}
