// Finds the mutants that the compiler refuses. They are left out of the sample: `bun run check`
// notices them, and no test has to.

import { rm } from "node:fs/promises";
import { join } from "node:path";
import { applyMutant, type Mutant } from "./instrument.ts";
import type { Tree } from "./tree.ts";

type Sources = Pick<Tree, "root" | "write">;

export interface Compiler {
  /** Ids of the mutants that do not compile. */
  refused(mutants: readonly Mutant[]): Promise<ReadonlySet<string>>;
}

/**
 * One run of the compiler checks all of them: each mutant gets a copy of its file, beside the
 * original. A copy without a mutant shows the errors that come from being a copy, such as a class
 * that is not the one that other files mean. `known` keeps what was found, by id and text.
 */
export function createCompiler(
  tree: Sources,
  tsc: string,
  sources: ReadonlyMap<string, { readonly source: string }>,
  known: Map<string, boolean>,
): Compiler {
  const textOf = (file: string) => sources.get(file)?.source ?? "";
  const keyOf = ({ id, file }: Mutant) => `${id} ${Bun.hash(textOf(file))}`;
  const check = async (mutants: readonly Mutant[]): Promise<void> => {
    const copies = new Map(
      mutants.flatMap(({ file }) => [[copyOf(file, "none"), textOf(file)] as const]),
    );
    for (const mutant of mutants) {
      copies.set(copyOf(mutant.file, mutant.id), applyMutant(textOf(mutant.file), mutant));
    }
    for (const [path, text] of copies) await tree.write(path, text);
    const errors = await errorsByFile(tree, tsc);
    for (const mutant of mutants) {
      const usual = errors.get(copyOf(mutant.file, "none")) ?? [];
      const found = errors.get(copyOf(mutant.file, mutant.id)) ?? [];
      known.set(
        keyOf(mutant),
        found.some((error) => !usual.includes(error)),
      );
    }
    for (const path of copies.keys()) await rm(join(tree.root, path));
  };
  return {
    refused: async (mutants) => {
      const unknown = mutants.filter((mutant) => !known.has(keyOf(mutant)));
      if (unknown.length > 0) await check(unknown);
      return new Set(mutants.filter((mutant) => known.get(keyOf(mutant))).map(({ id }) => id));
    },
  };
}

function copyOf(file: string, id: string): string {
  return file.replace(/\.ts$/, `.mutant-${id}.ts`);
}

/** Errors without their line, which a mutant may move. */
async function errorsByFile(
  tree: Sources,
  tsc: string,
): Promise<ReadonlyMap<string, readonly string[]>> {
  await tree.write(
    "tsconfig.mutation.json",
    JSON.stringify({ extends: "./tsconfig.json", include: ["src"] }),
  );
  const child = Bun.spawn(
    [process.execPath, tsc, "--noEmit", "--pretty", "false", "-p", "tsconfig.mutation.json"],
    { cwd: tree.root, stdout: "pipe", stderr: "inherit" },
  );
  const output = await new Response(child.stdout).text();
  const errors = new Map<string, string[]>();
  for (const [, file = "", error = ""] of output.matchAll(/^(src\/[^(]+)\(\d+,\d+\): (.*)$/gm)) {
    errors.set(file, [...(errors.get(file) ?? []), error]);
  }
  return errors;
}
