// The environment in which `check` loads modules and starts programs of a recipe. It has every name
// of the real one, so that code which only looks whether a variable is set still loads, but not its
// secrets.

import { existsSync } from "node:fs";
import { publicUrl } from "../../model/endpoint/credentials.ts";
import type { Environment, Reference } from "../../recipe/compose.ts";
import { hasCredentials } from "../../recipe/keys.ts";

/** The text in place of a value that may be a secret. */
export const HIDDEN = "hidden-by-matrix-check";

/** Variables that say where a program finds its parts, and how it speaks to the user. */
const HARMLESS =
  /^(?:PATH|HOME|USER|LOGNAME|SHELL|PWD|LANG|LANGUAGE|LC_\w+|TERM|COLORTERM|NO_COLOR|FORCE_COLOR|COLUMNS|LINES|TZ|TMPDIR|TMP|TEMP|XDG_\w+|HOSTNAME|NODE_ENV|CI)$/;
/** A number or a truth value, which is too short to be a secret. */
const SHORT = /^(?:[+-]?\d{0,6}(?:\.\d{1,6})?|true|false|yes|no|on|off)$/i;

/** Variables that the recipe names in plain keys keep their values, which it writes down anyway. */
export function withoutSecrets(
  env: Environment,
  references: readonly Reference[],
): Record<string, string> {
  const secret = new Set(references.filter((one) => one.isSecret).map((one) => one.variable));
  const plain = new Set(references.filter((one) => !one.isSecret).map((one) => one.variable));
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    // Flags of matrix are no variables of the recipe, unless it names them.
    if (value === undefined || (name.startsWith("MATRIX_") && !plain.has(name))) continue;
    const isOpen = !secret.has(name) && (plain.has(name) || isHarmless(name, value));
    kept[name] = isOpen ? value : maskOf(value);
  }
  return kept;
}

function isHarmless(name: string, value: string): boolean {
  return HARMLESS.test(name) || SHORT.test(value) || isPath(value);
}

/** Tells a path, or a list of paths, whose first one exists. */
function isPath(value: string): boolean {
  return value.startsWith("/") && existsSync(value.split(":")[0] ?? "");
}

/** A URL stays a URL, because the recipe may need one. */
function maskOf(value: string): string {
  return hasCredentials(value) && URL.canParse(value) ? publicUrl(value) : HIDDEN;
}
