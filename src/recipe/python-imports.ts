// The modules that a Python file imports from beside it. Python looks for an import in the folder
// of the program first, so a name that is a file or a folder there is a part of the program.

import { existsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

const IMPORT =
  /(?:^|[;:])[ \t]*(?:from[ \t]+(\.*[\w.]*)[ \t]+import[ \t]*(\([^)]*\)|[^\n;#]+)|import[ \t]+([^\n;#]+))/gm;

export function isPython(path: string): boolean {
  return path.endsWith(".py");
}

/**
 * Paths of the files that `source` imports, in the order of the text: modules, and `__init__.py` of
 * packages. `file` is the path of the source, and `root` the folder of the program that runs. A
 * scan may find too many, which does no harm.
 */
export function pythonImports(source: string, file: string, root: string): readonly string[] {
  const joined = source.replaceAll(/\\\r?\n/g, " ");
  const found = [...joined.matchAll(IMPORT)].flatMap(([, from, names = "", plain]) =>
    plain === undefined
      ? fromImports(from ?? "", namesIn(names), dirname(file), root)
      : namesIn(plain).flatMap((name) => modulesOf(root, name.split("."))),
  );
  return [...new Set(found)];
}

/** `from a.b import c`: c may be a name in a.b, or a module of the package a.b. */
function fromImports(
  from: string,
  names: readonly string[],
  folder: string,
  root: string,
): readonly string[] {
  const dots = /^\.*/.exec(from)?.[0].length ?? 0;
  // One dot is the package of the file itself, and each further dot the package above. The import
  // that brought this file has brought these packages too.
  const base = dots === 0 ? root : join(folder, ...Array.from({ length: dots - 1 }, () => ".."));
  const parts = from.slice(dots).split(".").filter(Boolean);
  return ["", ...names].flatMap((name) => modulesOf(base, name === "" ? parts : [...parts, name]));
}

/** Names of a list such as `(a as b, c.d)`, without the parentheses and the other names. */
function namesIn(list: string): readonly string[] {
  return list
    .replaceAll(/#[^\n]*/g, "")
    .replaceAll(/[()]/g, "")
    .split(",")
    .map((name) => name.trim().split(/\s/)[0] ?? "")
    .filter((name) => /^[\p{L}_][\p{L}\p{N}_.]*$/u.test(name));
}

/** Files that Python runs for an import of this name: of each package on the way, then itself. */
function modulesOf(base: string, parts: readonly string[]): readonly string[] {
  return parts
    .flatMap((_, index) => {
      const path = join(base, ...parts.slice(0, index + 1));
      return [`${path}/__init__.py`, `${path}.py`];
    })
    .filter((path) => existsSync(path) && statSync(path).isFile());
}
