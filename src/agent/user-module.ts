// User code: modules of a recipe, loaded by the compiled binary at run time, and hashed so that a continued run can tell
// whether they changed. What goes wrong is told with file, line and column, never as a stack.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { MatrixError, messageOf, type Problem } from "../error.ts";

/** The module's exports. A module is loaded once in a process. */
export async function loadUserModule(path: string): Promise<Record<string, unknown>> {
  try {
    return await import(pathToFileURL(path).href);
  } catch (cause) {
    const problems = problemsOf(cause, path);
    throw new MatrixError("module_invalid", `${path} does not load`, { cause, problems });
  }
}

/** sha256 over a module and every module that it imports by a relative path. */
export async function hashUserModule(path: string): Promise<string> {
  const hash = createHash("sha256");
  const seen = new Set<string>();
  const visit = async (file: string): Promise<void> => {
    if (seen.has(file)) return;
    seen.add(file);
    const source = await readFile(file, "utf8").catch(() => null);
    // An import that cannot be read was either reported when the module was loaded or never meant for this runtime.
    if (source === null) return;
    hash.update(`${source.length}:`).update(source);
    for (const specifier of relativeImports(source)) await visit(resolve(dirname(file), specifier));
  };
  await visit(path);
  return hash.digest("hex");
}

/** `from "./x.ts"`, `import "./x.ts"`, `import("./x.ts")`, in order. A scan of the text: one too many does no harm. */
function relativeImports(source: string): string[] {
  return [...source.matchAll(/(?:from|import)\s*\(?\s*["'](\.{1,2}\/[^"']+)["']/g)].map((match) => match[1] as string);
}

interface BuildMessage {
  readonly message: string;
  readonly position: { readonly file: string; readonly line: number; readonly column: number } | null;
}

/** Bun reports syntax errors as messages with positions, several at once in an AggregateError; Deno as one text. */
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

/** Where in the module it happened, read from the stack. */
function placeOf(error: unknown, path: string): { line?: number; column?: number } {
  const stack = error instanceof Error ? `${error.message}\n${error.stack ?? ""}` : String(error);
  const [, line, column] = new RegExp(`${path.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}:(\\d+):(\\d+)`).exec(stack) ?? [];
  return line === undefined ? {} : { line: Number(line), column: Number(column) };
}
