// Text of models and datasets on a terminal: it is shown, and steers nothing.

/** C0 and C1 but newline and tab, and DEL. */
const CONTROL = /(?![\n\t])\p{Cc}/gu;

/** With control characters as JSON would escape them. */
export function printable(text: string): string {
  return text.replace(
    CONTROL,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
