// A problem as people read it: place, key, what is wrong, what was meant, and the line itself with a caret.

import { readFileSync } from "node:fs";
import type { Problem } from "../error.ts";
import { matchesKey, SECRET_KEYS } from "./schema.ts";

const SOURCE_LINE_MAX = 160;

export function formatProblem(problem: Problem): string {
  const { file, line, column, key, message, suggestion } = problem;
  const place = [file, line, column].filter((part) => part !== undefined).join(":");
  const meant = suggestion === undefined ? "" : `; did you mean "${suggestion}"?`;
  const text = [place, key, `${message}${meant}`].filter((part) => part !== undefined && part !== "").join(": ");
  // A secret that was written down by mistake is not shown as well.
  const isSecret = SECRET_KEYS.some((pattern) => matchesKey(key ?? "", pattern));
  const shown = file === undefined || line === undefined || isSecret ? null : sourceLine(file, line);
  if (shown === null || shown.length > SOURCE_LINE_MAX) return text;
  const gutter = String(line);
  const caret = column === undefined ? "" : `\n${" ".repeat(gutter.length)} | ${" ".repeat(column - 1)}^`;
  return `${text}\n${gutter} | ${shown}${caret}`;
}

function sourceLine(file: string, line: number): string | null {
  // Datasets can be of any size: only recipes, prompts and modules are shown.
  if (!/\.(toml|md|[cm]?[jt]s|txt|jinja2?)$/.test(file)) return null;
  try {
    return readFileSync(file, "utf8").split(/\r?\n/)[line - 1] ?? null;
  } catch {
    return null;
  }
}
