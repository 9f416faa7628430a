// Globs as the `datasets` library reads them (fsspec): `*` stays within a folder, `**` is a whole
// part of a path and crosses folders, `[…]` is a set, and braces are plain characters.

import { posix } from "node:path";

/** Files that describe a dataset and hold no rows of it, unless a pattern names them. */
const DESCRIPTIONS: ReadonlySet<string> = new Set([
  "README.md",
  "config.json",
  "dataset_info.json",
  "dataset_infos.json",
  "dummy_data.zip",
  "dataset_dict.json",
  "state.json",
]);

export function isGlob(pattern: string): boolean {
  return /[*?[]/.test(pattern);
}

/** The paths that a pattern matches and means, sorted. */
export function matchPaths(paths: readonly string[], pattern: string): readonly string[] {
  const wanted = posix.normalize(pattern);
  const expression = isGlob(wanted) ? compileGlob(wanted) : null;
  const matches = (path: string) => expression?.test(path) ?? (!isGlob(wanted) && path === wanted);
  return paths.filter((path) => matches(path) && isMeant(path, wanted)).sort();
}

/**
 * False for a description, a hidden file or folder, and a folder whose name begins with two
 * underscores, unless the pattern that matches it has such parts, too.
 */
export function isMeant(path: string, pattern: string): boolean {
  const name = posix.basename(path);
  return (
    (!DESCRIPTIONS.has(name) || name === posix.basename(pattern)) &&
    countHidden(path) === countHidden(pattern) &&
    countSpecial(path) === countSpecial(pattern)
  );
}

function countHidden(path: string): number {
  return path.split("/").filter((part) => /^\.+[^.]/.test(part)).length;
}

function countSpecial(path: string): number {
  return posix
    .dirname(path)
    .split("/")
    .filter((part) => part.startsWith("__")).length;
}

/** The expression for a pattern; null for a pattern that matches no path. */
export function compileGlob(pattern: string): RegExp | null {
  const parts = pattern.split("/");
  const last = parts.length - 1;
  let source = "";
  for (const [index, part] of parts.entries()) {
    if (part === "**") source += index < last ? "(?:.+/)?" : ".*";
    else if (part.includes("**")) return null;
    else source += partSource(part) + (index < last ? "/" : "");
  }
  try {
    return new RegExp(`^${source}$`, "su");
  } catch {
    // A set such as [z-a] is no set.
    return null;
  }
}

const PIECE = /\*|\?|\[(!?)(\]?[^\]]*)\]|[^*?[]+|\[/g;

function partSource(part: string): string {
  if (part === "*") return "[^/]+";
  return part.replace(PIECE, (piece, negated: string | undefined, set: string | undefined) => {
    if (piece === "*") return "[^/]*";
    if (piece === "?") return "[^/]";
    if (set === undefined) return piece.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
    return `[${negated === "!" ? "^" : ""}${set.replace(/[\\[\]^]/g, "\\$&")}]`;
  });
}
