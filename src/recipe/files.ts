// The files that a recipe names, and the files that those need: a module brings every file that it
// imports from beside it, and a folder the files in it. These files are hashed, so that a continued
// run notices changed user code. They are sent to hosts, and sandboxes see no others.

import { existsSync, realpathSync, statSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";
import { MatrixError, messageOf } from "../error.ts";
import { runtime } from "../platform.ts";
import { parseGraphPath } from "./graph-path.ts";
import { joinKey } from "./key-path.ts";
import { isPython, pythonImports } from "./python-imports.ts";
import { BUILT_IN_AGENTS } from "./schema/role-schema.ts";
import type { Recipe } from "./schema/schema.ts";

export interface RecipeFile {
  /** The path under which it is imported. Behind a symbolic link, that is the path of the link. */
  readonly path: string;
  readonly bytes: Buffer;
}

/** Endings that an import may leave out. */
const ENDINGS = [".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs", ".json"];

/**
 * The folders in which a runtime looks for the imports of a module behind a symbolic link, first
 * choice first. Bun looks beside the target of the link, Deno beside the link.
 */
const BESIDE = {
  bun: (target: string, link: string) => [target, link],
  deno: (target: string, link: string) => [link, target],
};

/** Files that the roles, models and orchestrator of a recipe name, each with its key. */
export function filesOf({
  roles,
  models,
  orchestrator,
}: Recipe): (readonly [key: string, path: string])[] {
  const files: [string, string][] = [];
  const add = (key: string, value: unknown): void => {
    if (typeof value === "string") files.push([key, value]);
  };
  for (const [name, role] of Object.entries(roles)) {
    if (!BUILT_IN_AGENTS.includes(role.agent)) add(`${joinKey("roles", name)}.agent`, role.agent);
    for (const key of ["system", "prompt", "tools", "schema", "request"] as const)
      add(`${joinKey("roles", name)}.${key}`, role[key]);
    for (const [index, path] of role.files.entries())
      add(`${joinKey("roles", name)}.files.${index}`, path);
  }
  for (const [name, model] of Object.entries(models))
    if (model.kind !== "openai") add(`${joinKey("models", name)}.replies`, model.replies);
  if ("module" in orchestrator) add("orchestrator.module", orchestrator.module);
  if ("graph" in orchestrator) add("orchestrator.graph", parseGraphPath(orchestrator.graph).module);
  return files;
}

export function isFolder(path: string): boolean {
  return existsSync(path) && statSync(path).isDirectory();
}

/** The deepest folder that contains all of the files. */
export function commonFolder(paths: readonly string[]): string {
  const folders = paths.map((path) => dirname(path).split(sep));
  const [first = []] = folders;
  const differs = first.findIndex((part, index) =>
    folders.some((folder) => folder[index] !== part),
  );
  return (differs === -1 ? first : first.slice(0, differs)).join(sep) || sep;
}

export function isModule(path: string): boolean {
  return /\.[cm]?[jt]sx?$/.test(path);
}

/** Folders that tools keep beside the files of a user. */
const LEFT_OUT = new Set(["__pycache__", ".git"]);

/**
 * Reads a file, and all imports when it is a module. The file itself comes first. Of a folder, it
 * reads every file, and follows no symbolic link. Fails with `recipe_invalid`.
 */
export async function readRecipeFile(path: string): Promise<readonly RecipeFile[]> {
  try {
    return isFolder(path) ? await readTree(path) : await readWithImports(path);
  } catch (cause) {
    throw new MatrixError("recipe_invalid", `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
}

async function readTree(folder: string): Promise<readonly RecipeFile[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  const files: RecipeFile[] = [];
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isFile()) files.push({ path, bytes: await readFile(path) });
    else if (entry.isDirectory() && !LEFT_OUT.has(entry.name))
      files.push(...(await readTree(path)));
  }
  return files;
}

async function readWithImports(path: string): Promise<readonly RecipeFile[]> {
  const files: RecipeFile[] = [];
  const seen = new Set<string>();
  /** `at` is the path of the import, `from` the path of the bytes. */
  const visit = async (at: string, from: string): Promise<void> => {
    const once = `${at}\0${from}`;
    if (seen.has(once)) return;
    seen.add(once);
    const bytes = await readFile(from);
    files.push({ path: at, bytes });
    if (isPython(at))
      for (const found of pythonImports(bytes.toString("utf8"), at, dirname(path)))
        await visit(found, realpathSync(found));
    if (!isModule(at)) return;
    for (const specifier of relativeImports(bytes.toString("utf8"))) {
      const folder = BESIDE[runtime.name](dirname(from), dirname(at)).find(
        (folder) => resolveImport(specifier, folder).length > 0,
      );
      // Loading the module has already reported a missing import, unless it is for another runtime.
      if (folder === undefined) continue;
      for (const found of resolveImport(specifier, folder))
        await visit(resolve(dirname(at), found), realpathSync(resolve(folder, found)));
    }
  };
  await visit(path, realpathSync(path));
  return files;
}

const IMPORTS = [
  // from "./x.ts", import "./x.ts", import("./x.ts"), require("./x.ts"),
  // import.meta.resolve("./x.ts")
  /\b(?:from|import|require|import\.meta\.resolve)\s*(?:\(\s*)?["'`](\.{1,2}(?:\/[^"'`]*)?)["'`]/g,
  // new URL("./x.txt", import.meta.url)
  /\bURL\s*\(\s*["'`](\.{1,2}\/[^"'`]+)["'`]\s*,\s*import\.meta\.url/g,
];

/** Relative imports in the order of the text. A scan may find too many, which does no harm. */
function relativeImports(source: string): string[] {
  return IMPORTS.flatMap((pattern) => [...source.matchAll(pattern)])
    .sort((a, b) => a.index - b.index)
    .map((match) => (match[1] as string).replace(/[?#].*$/, ""));
}

/** The specifier itself when it names a file, else every file for which it may stand. */
function resolveImport(specifier: string, folder: string): string[] {
  if (isFile(resolve(folder, specifier))) return [specifier];
  const bare = specifier.replace(/\/$/, "");
  const candidates = [
    ...ENDINGS.map((ending) => bare + ending),
    ...ENDINGS.map((ending) => `${bare}/index${ending}`),
    // TypeScript imports a module by the name of its compiled file: x.js for x.ts.
    ...[".ts", ".tsx", ".mts", ".cts"].map((ending) => bare.replace(/\.[cm]?jsx?$/, ending)),
  ];
  return candidates.filter((candidate) => isFile(resolve(folder, candidate)));
}

function isFile(path: string): boolean {
  return existsSync(path) && statSync(path).isFile();
}
