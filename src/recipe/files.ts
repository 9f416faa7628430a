// The files that a recipe's keys name, each with what it needs: a module brings every file that it imports by a relative path.
// This is what is hashed, so that a continued run can tell whether user code changed, and what travels to hosts.

import { existsSync, realpathSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { MatrixError, messageOf } from "../error.ts";
import { runtime } from "../platform.ts";

export interface RecipeFile {
  /** Where it is imported from: behind a symbolic link, the place of the link. */
  readonly path: string;
  readonly bytes: Buffer;
}

/** Endings that an import may leave out. */
const ENDINGS = [".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs", ".json"];

/** Behind a symbolic link, Bun looks beside what it leads to and Deno beside the link. */
const BESIDE = {
  bun: (target: string, link: string) => [target, link],
  deno: (target: string, link: string) => [link, target],
};

export function isModule(path: string): boolean {
  return /\.[cm]?[jt]sx?$/.test(path);
}

/** The file itself first. Fails with `recipe_invalid` when it cannot be read. */
export async function readRecipeFile(path: string): Promise<readonly RecipeFile[]> {
  const files: RecipeFile[] = [];
  const seen = new Set<string>();
  /** `from` is where the bytes are. */
  const visit = async (at: string, from: string): Promise<void> => {
    const once = `${at}\0${from}`;
    if (seen.has(once)) return;
    seen.add(once);
    const bytes = await readFile(from);
    files.push({ path: at, bytes });
    if (!isModule(at)) return;
    for (const specifier of relativeImports(bytes.toString("utf8"))) {
      const folder = BESIDE[runtime.name](dirname(from), dirname(at)).find(
        (folder) => resolveImport(specifier, folder).length > 0,
      );
      // An import that is not there was either reported when the module was loaded or never meant for this runtime.
      if (folder === undefined) continue;
      for (const found of resolveImport(specifier, folder))
        await visit(resolve(dirname(at), found), realpathSync(resolve(folder, found)));
    }
  };
  try {
    await visit(path, realpathSync(path));
  } catch (cause) {
    throw new MatrixError("recipe_invalid", `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
  return files;
}

const IMPORTS = [
  // from "./x.ts", import "./x.ts", import("./x.ts"), require("./x.ts"), import.meta.resolve("./x.ts")
  /\b(?:from|import|require|import\.meta\.resolve)\s*\(?\s*["'`](\.{1,2}(?:\/[^"'`]*)?)["'`]/g,
  // new URL("./x.txt", import.meta.url)
  /\bURL\s*\(\s*["'`](\.{1,2}\/[^"'`]+)["'`]\s*,\s*import\.meta\.url/g,
];

/** In order. A scan of the text: one too many does no harm. */
function relativeImports(source: string): string[] {
  return IMPORTS.flatMap((pattern) => [...source.matchAll(pattern)])
    .sort((a, b) => a.index - b.index)
    .map((match) => (match[1] as string).replace(/[?#].*$/, ""));
}

/** The specifier itself where it names a file; otherwise every file that it may stand for. */
function resolveImport(specifier: string, folder: string): string[] {
  if (isFile(resolve(folder, specifier))) return [specifier];
  const bare = specifier.replace(/\/$/, "");
  const candidates = [
    ...ENDINGS.map((ending) => bare + ending),
    ...ENDINGS.map((ending) => `${bare}/index${ending}`),
    // TypeScript's way to name a module: by what it compiles to.
    ...[".ts", ".tsx", ".mts", ".cts"].map((ending) => bare.replace(/\.[cm]?jsx?$/, ending)),
  ];
  return candidates.filter((candidate) => isFile(resolve(folder, candidate)));
}

function isFile(path: string): boolean {
  return existsSync(path) && statSync(path).isFile();
}
