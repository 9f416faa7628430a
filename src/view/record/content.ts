// JSON of models and datasets in the form in which the page gets it: bounded in depth and size,
// whatever a record holds.

import { parseJson } from "../../task/exact.ts";
import type { Json } from "../../task/json.ts";
import type { Clip, Content } from "../api.ts";
import { depthOf, pointerPart, type Span } from "./outline.ts";

/** Characters of a text that the page gets at first. */
export const TEXT_CHARS_MAX = 64 * 1024;
/** Characters of JSON that a value may have after its texts were cut. */
const VALUE_CHARS_MAX = 1024 * 1024;
/** Levels that the page shows as a tree. */
const LEVELS_MAX = 100;

const NOTHING: Content = { value: null, text: null, clips: [] };

/** The value in a part of a record. `pointer` says where in the record it is. */
export function contentOf(line: string, span: Span | undefined, pointer: string): Content {
  if (span === undefined) return NOTHING;
  if (depthOf(line, span) > LEVELS_MAX) return asText(line, span, pointer);
  let parsed: Json;
  try {
    parsed = parseJson(line.slice(span.from, span.to)) as Json;
  } catch {
    return asText(line, span, pointer);
  }
  const clips: Clip[] = [];
  let chars = 0;
  const clipped = (value: Json, inside: string): Json => {
    if (typeof value === "string") {
      const shown = beginningOf(value);
      chars += shown.length;
      if (shown !== value)
        clips.push({ at: `${pointer}${inside}`, in: inside, chars: value.length });
      return shown;
    }
    chars++;
    if (Array.isArray(value))
      return value.map((part, index) => clipped(part, `${inside}/${index}`));
    // Numbers that a double cannot hold are objects too, and are written as they are.
    if (
      typeof value !== "object" ||
      value === null ||
      Object.getPrototypeOf(value) !== Object.prototype
    )
      return value;
    const members = Object.entries(value).map(([name, part]) => {
      chars += name.length;
      return [name, clipped(part, `${inside}/${pointerPart(name)}`)] as const;
    });
    return Object.fromEntries(members);
  };
  const value = clipped(parsed, "");
  return chars > VALUE_CHARS_MAX ? asText(line, span, pointer) : { value, text: null, clips };
}

/** The beginning of the JSON of a value that is too deep, too large or broken. */
function asText(line: string, { from, to }: Span, pointer: string): Content {
  const text = beginningOf(line.slice(from, Math.min(to, from + TEXT_CHARS_MAX + 1)));
  const isWhole = to - from <= TEXT_CHARS_MAX;
  return {
    value: null,
    text,
    clips: isWhole ? [] : [{ at: pointer, in: "", chars: to - from }],
  };
}

/** The first characters of a text, which never end within a surrogate pair. */
export function beginningOf(text: string, max = TEXT_CHARS_MAX): string {
  if (text.length <= max) return text;
  const last = text.charCodeAt(max - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? max - 1 : max);
}
