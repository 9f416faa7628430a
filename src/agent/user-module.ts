// User code: modules of a recipe, which the compiled binary loads at run time and hashes, so that a
// continued run can tell whether they changed. Errors in them are reported with file, line and
// column, never as a stack.

import { createHash } from "node:crypto";
import { pathToFileURL } from "node:url";
import { MatrixError, messageOf, type Problem } from "../error.ts";
import { readRecipeFile } from "../recipe/files.ts";

/** Stands for a module that is not loaded, because the recipe's code must not run. */
export class CodeLeftOut extends Error {
  constructor(path: string) {
    super(`${path} was not loaded`);
  }
}

/** Takes the place of `loadUserModule` where no code of the recipe may run. */
export function leaveOutCode(path: string): Promise<never> {
  return Promise.reject(new CodeLeftOut(path));
}

/** The module's exports. A process loads a module once. */
export async function loadUserModule(path: string): Promise<Record<string, unknown>> {
  try {
    return await import(pathToFileURL(path).href);
  } catch (cause) {
    const problems = problemsOf(cause, path);
    throw new MatrixError("module_invalid", `${path} does not load`, { cause, problems });
  }
}

/** sha256 over a module and every file that it imports by a relative path. */
export async function hashUserModule(path: string): Promise<string> {
  const hash = createHash("sha256");
  for (const { bytes } of await readRecipeFile(path)) {
    const source = bytes.toString("utf8");
    hash.update(`${source.length}:`).update(source);
  }
  return hash.digest("hex");
}

interface BuildMessage {
  readonly message: string;
  readonly position: {
    readonly file: string;
    readonly line: number;
    readonly column: number;
  } | null;
}

/**
 * Bun reports syntax errors as messages with positions, several at once in an AggregateError. Deno
 * reports them as one text.
 */
function problemsOf(cause: unknown, path: string): Problem[] {
  const errors = cause instanceof AggregateError ? cause.errors : [cause];
  return errors.map((error): Problem => {
    if (isBuildMessage(error)) {
      const { file, line, column } = error.position ?? { file: path, line: 0, column: 0 };
      return { file: file || path, ...(line > 0 ? { line, column } : {}), message: error.message };
    }
    return { file: path, ...placeOf(error, path), message: messageOf(error).split("\n")[0] ?? "" };
  });
}

function isBuildMessage(error: unknown): error is BuildMessage {
  return typeof error === "object" && error !== null && "position" in error && "message" in error;
}

/** The place in the module where the error happened, read from the stack. */
function placeOf(error: unknown, path: string): { line?: number; column?: number } {
  const stack = error instanceof Error ? `${error.message}\n${error.stack ?? ""}` : String(error);
  const [, line, column] =
    new RegExp(`${path.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}:(\\d+):(\\d+)`).exec(stack) ?? [];
  return line === undefined ? {} : { line: Number(line), column: Number(column) };
}
