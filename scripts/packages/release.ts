// The facts that all packages of one release share: name, version, commit and time, and the files
// beside the binary. Nothing here depends on when or where the release is built.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import manifest from "../../package.json" with { type: "json" };
import { manualPage } from "./manual.ts";

const ROOT = join(import.meta.dir, "../..");

/** The name on PyPI and npm, where `matrix` is taken: docs/decisions/package-name.md. */
export const NAME = "matrix-agents";
export const SUMMARY = "Synthetic data from many LLM agents at once";
export const DESCRIPTION = `# matrix

${SUMMARY}: one binary, one recipe file, and exactly one record for each task, whatever is killed
on the way.

    matrix drive coral

The command is \`matrix\`. This package is named \`${NAME}\` because \`matrix\` was taken.
`;

export interface Release {
  readonly version: string;
  /** Twelve digits of the commit. */
  readonly commit: string;
  /** Time of the commit in seconds; every file of a package carries it. */
  readonly epoch: number;
  /** The level of compression, from 1 to 12. */
  readonly level: number;
  readonly texts: Texts;
  /** Python modules by their path below site-packages. */
  readonly python: ReadonlyMap<string, Buffer>;
}

/** Texts that every package has. */
export interface Texts {
  readonly manual: string;
  readonly completions: Readonly<Record<"bash" | "zsh" | "fish", string>>;
  readonly license: string;
  /** Third-party software, with the texts of its licenses. */
  readonly notices: string;
  /** Types of `import … from "matrix"`. */
  readonly types: string;
}

export interface Origin {
  readonly commit: string;
  readonly epoch: number;
  readonly level: number;
}

/** Reads everything but the binaries; `ask` runs the program with these arguments. */
export async function readRelease(
  origin: Origin,
  program: Command,
  ask: (args: readonly string[]) => Promise<string>,
): Promise<Release> {
  return {
    ...origin,
    version: manifest.version,
    python: pythonModules(),
    texts: {
      manual: manualPage(program, { version: manifest.version, epoch: origin.epoch }),
      completions: {
        bash: await ask(["completion", "bash"]),
        zsh: await ask(["completion", "zsh"]),
        fish: await ask(["completion", "fish"]),
      },
      license: readFileSync(join(ROOT, "LICENSE"), "utf8"),
      notices: await ask(["licenses"]),
      types: readFileSync(join(ROOT, "src/cli/editor/matrix.d.ts.txt"), "utf8"),
    },
  };
}

/** Folders of the modules that Python programs import, with the stubs and marks beside them. */
const PYTHON = ["sandboxes", "python"];
const MODULE = /^matrix_\w+(\/.*)?(\.pyi?|\/py\.typed)$/;

function pythonModules(): ReadonlyMap<string, Buffer> {
  const found = PYTHON.filter((folder) => existsSync(join(ROOT, folder))).flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
      .filter((path) => MODULE.test(path) && !path.includes("__pycache__"))
      .map((path) => [path, readFileSync(join(ROOT, folder, path))] as const),
  );
  return new Map(found.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The places of the texts of a package below its `share`. */
export function sharedFiles({ texts }: Release): ReadonlyMap<string, string> {
  return new Map([
    ["man/man1/matrix.1", texts.manual],
    ["bash-completion/completions/matrix", texts.completions.bash],
    ["zsh/site-functions/_matrix", texts.completions.zsh],
    ["fish/vendor_completions.d/matrix.fish", texts.completions.fish],
    [`licenses/${NAME}/LICENSE`, texts.license],
    [`licenses/${NAME}/THIRD-PARTY-NOTICES`, texts.notices],
  ]);
}
