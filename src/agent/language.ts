// The language agent: which language a text is in, by n-grams (eld, 60 languages), and how much of it is. A web page is rarely
// in one language alone, so windows all over the text are looked at rather than its beginning.

import { MatrixError, messageOf } from "../error.ts";
import { compileExpression } from "../recipe/expression.ts";
import type { Json, JsonObject } from "../task/json.ts";
import type { Agent } from "./contract.ts";

/** What eld reads of a text before it decides, in characters. */
const WINDOW_CHARS = 350;
/** More of them do not judge a page better: measured on pages of 600 to 12,000 characters. */
const WINDOWS_MAX = 16;
const TEXT = "row.text";

type Detect = (text: string) => string;

/** `settings.text` is CEL over row and state. The result is `{ language, share }`: ISO 639-1, and the part of the text in it. */
export async function createLanguageAgent(settings: JsonObject): Promise<Agent> {
  const { text: source = TEXT, ...unknown } = settings;
  if (typeof source !== "string" || Object.keys(unknown).length > 0) {
    throw new MatrixError(
      "recipe_invalid",
      `a language agent reads one setting, text: an expression such as "${TEXT}"`,
    );
  }
  const textOf = compileExpression(source);
  // Loaded where a recipe asks for it. On windows this long the smallest profiles judge as the largest do, at a fifth of the size.
  const { eld } = await import("eld/extrasmall");
  const detect: Detect = (window) => eld.detect(window).language;
  return {
    run: ({ row, state }) => {
      const text = textIn(source, () => textOf({ row, state }));
      return { result: identify(text, detect) };
    },
  };
}

function textIn(source: string, evaluate: () => Json): string {
  let text: Json;
  try {
    text = evaluate();
  } catch (cause) {
    throw new MatrixError("agent_failed", `the language agent has no text: ${messageOf(cause)}`, {
      cause,
    });
  }
  if (typeof text === "string") return text;
  throw new MatrixError(
    "agent_failed",
    `the language agent needs a text: ${source} is ${JSON.stringify(text)}`,
  );
}

/** The language of most windows; null for a text without words. */
function identify(text: string, detect: Detect): JsonObject {
  const counts = new Map<string, number>();
  for (const window of windowsOf(text)) {
    const language = detect(window);
    if (language !== "") counts.set(language, (counts.get(language) ?? 0) + 1);
  }
  const [first] = [...counts].sort(([, a], [, b]) => b - a);
  if (first === undefined) return { language: null, share: 0 };
  const [language, count] = first;
  const seen = [...counts.values()].reduce((sum, each) => sum + each, 0);
  return { language, share: Math.round((count / seen) * 1000) / 1000 };
}

/** Spread evenly, the first at the beginning and the last at the end. Addresses are in no language. */
function windowsOf(text: string): string[] {
  const plain = text.replace(/https?:\S+/g, " ").replace(/\s+/g, " ");
  const count = Math.min(WINDOWS_MAX, Math.ceil(plain.length / WINDOW_CHARS));
  const stride = count > 1 ? (plain.length - WINDOW_CHARS) / (count - 1) : 0;
  return Array.from({ length: count }, (_, index) => {
    const start = Math.round(index * stride);
    return plain.slice(start, start + WINDOW_CHARS);
  });
}
