// JSON with parts that are JSON text already and must stay as they are: numbers in them may be written in a way that JavaScript
// would not write again (1.0, 10 to the 30th), and to whoever reads them that is another value.

/** JSON text, not to be parsed. */
export class RawJson {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export function encodeJson(value: unknown): string {
  if (value instanceof RawJson) return value.text;
  if (Array.isArray(value)) return `[${value.map(encodeJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const entries = Object.entries(value).filter(([, part]) => part !== undefined);
  return `{${entries.map(([key, part]) => `${JSON.stringify(key)}:${encodeJson(part)}`).join(",")}}`;
}
