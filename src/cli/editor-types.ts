// `matrix types DIR` writes what editors and tests read: JSON Schemas of recipes and records, and
// what modules of a recipe import.

import { join, resolve } from "node:path";
import { Command, Option } from "commander";
import { printable } from "../task/printable.ts";
import { editorFiles, LANGUAGES } from "./editor/editor-files.ts";
import { writeFiles } from "./editor/written.ts";

interface TypesFlags {
  readonly python?: boolean;
  readonly typescript?: boolean;
}

export function typesCommand(): Command {
  return new Command("types")
    .description(
      "write what editors and tests read: JSON Schemas of recipes and records, types for TypeScript, the library for Python",
    )
    .argument("<dir>", "a folder, such as .matrix, which is made where it is missing")
    .addOption(
      new Option("--python", "write the schemas and the library for Python").env("MATRIX_PYTHON"),
    )
    .addOption(
      new Option("--typescript", "write the schemas and the types for TypeScript").env(
        "MATRIX_TYPESCRIPT",
      ),
    )
    .action(async (directory: string, flags: TypesFlags) => {
      const folder = resolve(directory);
      const chosen = LANGUAGES.filter((language) => flags[language] === true);
      const files = editorFiles(chosen.length === 0 ? LANGUAGES : chosen);
      await writeFiles(folder, files);
      for (const name of files.keys()) console.log(printable(join(directory, name)));
    });
}
