// A problem as text: its place, its key, what is wrong, the word that was probably meant, and the
// line itself with a caret.

import { readFileSync } from "node:fs";
import type { Problem } from "../error.ts";
import { hasCredentials, isSecretKey } from "./keys.ts";

const SOURCE_LINE_MAX = 160;
/** Words in a line that may hold a secret by mistake, for example under a misspelt key. */
const SECRET_WORDS =
  /api.?k|authorization|bearer|headers|password|secret|(^|[^a-z])token([^a-z_]|$)/i;
/** A short number at the end of a line, such as `max_tokens = 512`. It is not a secret. */
const SMALL_NUMBER = /=\s*\d{1,9}\s*$/;

export function formatProblem(problem: Problem): string {
  const { file, line, column, key, message, suggestion } = problem;
  const place = [file, line, column].filter((part) => part !== undefined).join(":");
  const meant = suggestion === undefined ? "" : `; did you mean "${suggestion}"?`;
  const text = [place, key, `${message}${meant}`]
    .filter((part) => part !== undefined && part !== "")
    .join(": ");
  const shown = file === undefined || line === undefined ? null : sourceLine(file, line);
  // A line that may hold a secret is not shown.
  if (shown === null || shown.length > SOURCE_LINE_MAX || mayHoldSecret(key, shown)) return text;
  const gutter = String(line);
  // Tabs stay tabs, so that the caret is under its column.
  const caret =
    column === undefined
      ? ""
      : `\n${" ".repeat(gutter.length)} | ${shown.slice(0, column - 1).replace(/[^\t]/g, " ")}^`;
  return `${text}\n${gutter} | ${shown}${caret}`;
}

export function mayHoldSecret(key: string | undefined, text: string): boolean {
  return (
    isSecretKey(key ?? "") ||
    hasCredentials(text) ||
    (SECRET_WORDS.test(text) && !SMALL_NUMBER.test(text))
  );
}

function sourceLine(file: string, line: number): string | null {
  // Datasets can be of any size, so only lines of recipes, prompts and modules are read.
  if (!/\.(toml|md|[cm]?[jt]s|py|txt|jinja2?)$/.test(file)) return null;
  try {
    return (
      readFileSync(file, "utf8")
        .replace(/^\uFEFF/, "")
        .split(/\r?\n/)[line - 1] ?? null
    );
  } catch {
    return null;
  }
}
