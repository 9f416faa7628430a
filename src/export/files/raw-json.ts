// JSON with parts that are JSON text already and must stay as they are. Their numbers may be
// written in a way that JavaScript would not write again (1.0, or an integer of 30 digits), and a
// Python program would read another value.

import { ExactNumber } from "../../task/exact.ts";

/** JSON text that is written as it is. */
export class RawJson {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** A value as JSON. Like JSON.stringify, but RawJson parts keep their text. */
export function encodeJson(value: unknown): string {
  if (value instanceof RawJson) return value.text;
  if (Array.isArray(value)) return `[${value.map(encodeJson).join(",")}]`;
  if (typeof value !== "object" || value === null || value instanceof ExactNumber)
    return JSON.stringify(value) ?? "null";
  const entries = Object.entries(value).filter(([, part]) => part !== undefined);
  const members = entries.map(([key, part]) => `${JSON.stringify(key)}:${encodeJson(part)}`);
  return `{${members.join(",")}}`;
}
