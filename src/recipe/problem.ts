// A problem as text: its place, its key, what is wrong, the word that was probably meant, and the
// line itself with a caret.

import { readFileSync } from "node:fs";
import { MatrixError, type Problem } from "../error.ts";
import { splitKey } from "./key-path.ts";
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

export interface ShownProblem {
  readonly text: string;
  /** True when the problem is in a file, whose line the text shows. */
  readonly isPlaced: boolean;
}

/** Places that are named of a problem that is found at many. */
const PLACES_SHOWN = 5;
/** Problems that must be alike before they are shown as one. */
const ALIKE_MIN = 3;

/**
 * Problems as texts. A problem that is found at many places is shown once, at the first of them,
 * with the number of the others.
 */
export function formatProblems(problems: readonly Problem[]): readonly ShownProblem[] {
  const alike = new Map<string, Problem[]>();
  for (const problem of problems) {
    const kind = kindOf(problem);
    alike.set(kind, [...(alike.get(kind) ?? []), problem]);
  }
  return problems.flatMap((problem) => {
    const all = alike.get(kindOf(problem)) ?? [];
    const isPlaced = problem.file !== undefined;
    const text = formatProblem(problem);
    if (all.length < ALIKE_MIN) return [{ text, isPlaced }];
    const [first, ...others] = all;
    if (first !== problem) return [];
    const shown = others.slice(0, PLACES_SHOWN).map((one) => placeOf(one));
    const more = others.length - shown.length;
    const rest = more === 0 ? "" : `, and ${more} more`;
    const also = `the same at ${others.length} other places: ${shown.join(", ")}${rest}`;
    return [{ text: `${text}\n${also}`, isPlaced }];
  });
}

/** The same key of several roles is one kind of problem, and so are several roles themselves. */
function kindOf({ key = "", message, suggestion = "" }: Problem): string {
  const parts = splitKey(key);
  const what = parts.length === 2 ? parts[0] : parts.at(-1);
  return JSON.stringify([message, suggestion, what, parts.length]);
}

function placeOf({ file, line, key }: Problem): string {
  if (key !== undefined && key !== "") return key;
  return [file, line].filter((part) => part !== undefined).join(":");
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

/** The error of a recipe with problems. Doubts are told with it, and are no problems. */
export function recipeInvalid(
  what: string,
  problems: readonly Problem[],
  doubts: readonly Problem[] = [],
): MatrixError {
  const count = (list: readonly Problem[], one: string) =>
    `${list.length} ${list.length === 1 ? one : `${one}s`}`;
  const also = doubts.length === 0 ? "" : `, and ${count(doubts, "doubt")}`;
  return new MatrixError("recipe_invalid", `${what}: ${count(problems, "problem")}${also}`, {
    problems: [...problems, ...doubts],
  });
}
