// Text of models, datasets and hosts for a terminal, which it can neither steer nor deceive.

/**
 * Characters that a terminal obeys or does not show: control characters (C0, C1 and DEL) other than
 * newline and tab, marks that turn the reading direction or have no width, line separators,
 * invisible letters, and halves of surrogate pairs.
 */
const UNSAFE =
  /(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\u115f\u1160\u3164\uffa0]|\u034f|\u17b4|\u17b5/gu;

/** Escapes such characters as JSON does. JSON stays JSON, with the same values. */
export function printable(text: string): string {
  return text.replace(UNSAFE, (character) =>
    Array.from(
      { length: character.length },
      (_, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, "0")}`,
    ).join(""),
  );
}

/** Leaves such characters out. */
export function withoutUnsafe(text: string): string {
  return text.replace(UNSAFE, "");
}
