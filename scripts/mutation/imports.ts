// The import graph of tests/ and src/: the distance of each test file from a source file, and a
// digest of everything that a file imports. Type imports do not count, because they leave no code
// behind.

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

export interface ImportGraph {
  /** Every file that `file` imports, itself included, with the number of imports on the way. */
  distances(file: string): ReadonlyMap<string, number>;
  /** Digest of `file` and of its imports that `counts` accepts, comments and types left out. */
  digest(file: string, counts: (file: string) => boolean): string;
}

/** Paths are relative to `root`. */
export function createImportGraph(root: string): ImportGraph {
  const transpiler = new Bun.Transpiler({ loader: "ts" });
  const files = new Map<string, { imports: readonly string[]; digest: string }>();
  const walks = new Map<string, ReadonlyMap<string, number>>();

  const read = (file: string) => {
    const known = files.get(file);
    if (known) return known;
    // The transpiler does not read a first line such as "#!/usr/bin/env bun".
    const text = readFileSync(join(root, file), "utf8").replace(/^#!.*/, "");
    const isCode = file.endsWith(".ts");
    const imports = isCode
      ? transpiler
          .scanImports(text)
          .map(({ path }) => resolveImport(file, path))
          .filter((path) => path !== null)
      : [];
    const digest = digestOf(isCode ? transpiler.transformSync(text) : text);
    const entry = { imports, digest };
    files.set(file, entry);
    return entry;
  };

  const resolveImport = (from: string, specifier: string): string | null => {
    if (specifier === "matrix") return "src/sdk.ts";
    if (!specifier.startsWith(".")) return null;
    const path = relative(root, resolve(root, dirname(from), specifier));
    return existsSync(join(root, path)) ? path : null;
  };

  const distances = (start: string): ReadonlyMap<string, number> => {
    const known = walks.get(start);
    if (known) return known;
    const found = new Map([[start, 0]]);
    for (const [file, distance] of found) {
      for (const next of read(file).imports) if (!found.has(next)) found.set(next, distance + 1);
    }
    walks.set(start, found);
    return found;
  };

  return {
    distances,
    digest: (file, counts) =>
      digestOf(
        [...distances(file).keys()]
          .filter(counts)
          .sort()
          .map((path) => `${path} ${read(path).digest}`)
          .join("\n"),
      ),
  };
}

function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
