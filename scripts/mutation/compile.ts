// Which mutants the compiler already refuses. They are left out of the sample: `bun run check` notices
// them, and no test has to.

import { applyMutant, type Mutant } from "./instrument.ts";
import type { Tree } from "./tree.ts";

export interface Compiler {
  /** Ids of the mutants whose file does not compile with them. */
  refused(mutants: readonly Mutant[]): Promise<ReadonlySet<string>>;
}

/**
 * A pass puts one mutant into each file, so a sample takes as many passes as its fullest file has
 * mutants. An error counts only in the mutant's own file.
 */
export function createCompiler(
  tree: Tree,
  tsc: string,
  sources: ReadonlyMap<string, string>,
  known: Map<string, boolean>,
): Compiler {
  const pass = async (mutants: readonly Mutant[]): Promise<void> => {
    for (const mutant of mutants) {
      await tree.write(mutant.file, applyMutant(sources.get(mutant.file) ?? "", mutant));
    }
    const wrong = await filesWithErrors(tree, tsc);
    for (const mutant of mutants) {
      known.set(keyOf(mutant), wrong.has(mutant.file));
      await tree.write(mutant.file, sources.get(mutant.file) ?? "");
    }
  };
  const keyOf = ({ id, file }: Mutant) => `${id} ${Bun.hash(sources.get(file) ?? "")}`;
  return {
    refused: async (mutants) => {
      const unknown = Map.groupBy(
        mutants.filter((mutant) => !known.has(keyOf(mutant))),
        ({ file }) => file,
      );
      const passes = Math.max(0, ...[...unknown.values()].map(({ length }) => length));
      for (let i = 0; i < passes; i++) {
        await pass([...unknown.values()].flatMap((of) => of[i] ?? []));
      }
      return new Set(mutants.filter((mutant) => known.get(keyOf(mutant))).map(({ id }) => id));
    },
  };
}

async function filesWithErrors(tree: Tree, tsc: string): Promise<ReadonlySet<string>> {
  await tree.write(
    "tsconfig.mutation.json",
    JSON.stringify({ extends: "./tsconfig.json", include: ["src"] }),
  );
  const child = Bun.spawn(
    [process.execPath, tsc, "--noEmit", "--pretty", "false", "-p", "tsconfig.mutation.json"],
    { cwd: tree.root, stdout: "pipe", stderr: "inherit" },
  );
  const output = await new Response(child.stdout).text();
  return new Set(
    [...output.matchAll(/^(src\/[^(]+)\(\d+,\d+\): error/gm)].map((match) => match[1] ?? ""),
  );
}
