// The language agent: the main language of a text by n-grams (eld, 60 languages), and its share of
// the text. A web page is rarely in one language alone, so the agent judges windows from all over
// the text instead of its beginning.

import { MatrixError, messageOf } from "../error.ts";
import { compileExpression } from "../recipe/expression/expression.ts";
import type { Json, JsonObject } from "../task/json.ts";
import type { Agent } from "./contract.ts";

/** Characters of a text that eld reads before it decides. */
const WINDOW_CHARS = 350;
/**
 * Windows of a page that are judged. More judge no better: measured on 600 to 12,000 characters.
 */
const WINDOWS_MAX = 16;
const TEXT = "row.text";

type Detect = (text: string) => string;

/**
 * `settings.text` is a CEL expression over `row` and `state`. The result is `{ language, share }`:
 * the ISO 639-1 code, and the share of the text that is in this language.
 */
export async function createLanguageAgent(settings: JsonObject): Promise<Agent> {
  const { text: source = TEXT, ...unknown } = settings;
  if (typeof source !== "string" || Object.keys(unknown).length > 0) {
    throw new MatrixError(
      "recipe_invalid",
      `a language agent reads one setting, text: an expression such as "${TEXT}"`,
    );
  }
  const textOf = compileExpression(source);
  // Imported only when a recipe asks for it. On windows of this length the smallest profiles are as
  // accurate as the largest, at a fifth of the size.
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

/** The language of most windows; null when no window has words. */
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

/**
 * Windows spread evenly over the text, the first at its beginning and the last at its end. URLs are
 * left out, because they have no language.
 */
function windowsOf(text: string): string[] {
  const plain = text.replace(/https?:\S+/g, " ").replace(/\s+/g, " ");
  const count = Math.min(WINDOWS_MAX, Math.ceil(plain.length / WINDOW_CHARS));
  const stride = count > 1 ? (plain.length - WINDOW_CHARS) / (count - 1) : 0;
  return Array.from({ length: count }, (_, index) => {
    const start = Math.round(index * stride);
    return plain.slice(start, start + WINDOW_CHARS);
  });
}
