// Text of models and datasets for a terminal, which it cannot steer.

/** Control characters (C0, C1 and DEL) other than newline and tab. */
const CONTROL = /(?![\n\t])\p{Cc}/gu;

/** Escapes control characters as JSON does. */
export function printable(text: string): string {
  return text.replace(
    CONTROL,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
