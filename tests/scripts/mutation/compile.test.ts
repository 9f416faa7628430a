// The compiler over mutants of two small files.

import { expect, test } from "bun:test";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCompiler } from "../../../scripts/mutation/compile.ts";
import { instrument } from "../../../scripts/mutation/instrument.ts";
import { ROOT } from "../../parts/repository.ts";

const FILES = {
  // A copy of this class is another type than the one that the other file takes.
  "src/counter.ts": `import { read } from "./reader.ts";
export class Counter {
  #count = 1;
  read(): number {
    return read(this) + this.#count;
  }
}
`,
  "src/reader.ts": `import type { Counter } from "./counter.ts";
export function read(counter: Counter): number {
  return counter === null ? 0 : 5;
}
`,
};

test("mutants with type errors of their own are refused, and those of a class that others use are not", async () => {
  const root = await mkdtemp(join(tmpdir(), "matrix-test-"));
  try {
    const write = async (file: string, text: string) => {
      await mkdir(join(root, "src"), { recursive: true });
      await writeFile(join(root, file), text);
    };
    const compilerOptions = { strict: true, module: "preserve", allowImportingTsExtensions: true };
    await write(
      "tsconfig.json",
      JSON.stringify({ compilerOptions: { ...compilerOptions, types: [] } }),
    );
    for (const [file, text] of Object.entries(FILES)) await write(file, text);
    const files = await Promise.all(Object.entries(FILES).map((of) => instrument(...of)));
    const mutants = files.flatMap((of) => of.mutants);
    const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
    const compiler = createCompiler(
      { root, write },
      tsc,
      new Map(files.map((of) => [of.file, of])),
      new Map(),
    );
    const refused = await compiler.refused(mutants);
    const shown = (is: boolean) =>
      mutants
        .filter(({ id }) => refused.has(id) === is)
        .map((of) => `${of.operator} in ${of.inside}`);
    // A function without its block returns no number.
    expect(shown(true)).toEqual(["BlockStatement in Counter.read", "BlockStatement in read"]);
    expect(shown(false)).toContain("NumericLiteral in Counter.count");
    expect(shown(false)).toContain("ArithmeticOperator in Counter.read");
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});
