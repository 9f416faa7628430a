// The form of an error's message in the index: messages that differ only in ids and numbers become
// one, so that failures can be grouped. The record keeps the message as it is.

const LENGTH_MAX = 160;
/** Characters of a message that are looked at. A longer one is cut first. */
const LOOKED_AT = 1000;
const PLACEHOLDER = "…";
/** UUIDs, long hexadecimal numbers, and numbers of four digits and more. */
const CHANGING =
  /\b(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?=[a-f]*\d)[0-9a-f]{12,}|\d{4,})\b/gi;

export function shortMessage(message: string, id: string): string {
  let text = message.slice(0, LOOKED_AT).replace(/\s+/g, " ").trim();
  if (id.length > 1 && text.includes(id)) text = text.replaceAll(id, PLACEHOLDER);
  text = text.replace(CHANGING, PLACEHOLDER);
  return text.length <= LENGTH_MAX ? text : `${text.slice(0, LENGTH_MAX - 1)}${PLACEHOLDER}`;
}
