// `matrix init [TEMPLATE] DIR` writes a recipe to start from, with an agent, a rule and its test.

import { existsSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { Command, Option } from "commander";
import { MatrixError } from "../error.ts";
import { nearestWord } from "../recipe/complaint.ts";
import { printable } from "../task/printable.ts";
import { LANGUAGES, type Language } from "./editor/editor-files.ts";
import { type Files, writeFiles } from "./editor/written.ts";
import { filesOfRecipe } from "./init/copy-recipe.ts";
import { editorFilesOf, settingsOf } from "./init/project.ts";
import { filesOfTemplate, templates } from "./init/templates.ts";
import { renderTable } from "./text/table.ts";

interface InitFlags {
  readonly python?: boolean;
  readonly typescript?: boolean;
  /** Name of a built-in recipe. */
  readonly from?: string;
}

interface Project {
  readonly folder: string;
  /** The recipe and what it needs. */
  readonly files: Files;
  readonly languages: readonly Language[];
  /** The origin of the files, in words. */
  readonly what: string;
  /** The second command to type. */
  readonly second: string;
}

const DEFAULT_TEMPLATE = "chat";
const TESTS: Readonly<Record<Language, string>> = {
  python: "python3 -m pytest",
  typescript: "bun test",
};

export function initCommand(): Command {
  return new Command("init")
    .description(
      "write a recipe to start from, with its prompts, an agent, a rule and a test of the rule; without arguments, list the templates",
    )
    .argument("[template]", `name of a template (default: ${DEFAULT_TEMPLATE})`)
    .argument("[dir]", "a folder, which is made where it is missing")
    .addOption(
      new Option("--python", "write the agent and the rule in Python (default)").env(
        "MATRIX_PYTHON",
      ),
    )
    .addOption(
      new Option("--typescript", "write the agent and the rule in TypeScript").env(
        "MATRIX_TYPESCRIPT",
      ),
    )
    .addOption(
      new Option("--from <name>", "copy a recipe of `matrix recipes` to DIR, to change it").env(
        "MATRIX_FROM",
      ),
    )
    .action(init);
}

async function init(
  first: string | undefined,
  second: string | undefined,
  flags: InitFlags,
): Promise<void> {
  if (first === undefined && flags.from === undefined) return explain();
  const project = await projectOf(first, second, flags);
  const directory = resolve(project.folder);
  const isThere = (name: string): boolean => existsSync(join(directory, name));
  const settings = [...settingsOf(project.languages)];
  const kept = settings.map(([name]) => name).filter(isThere);
  const made = settings.filter(([name]) => !isThere(name));
  await writeFiles(
    directory,
    new Map([...project.files, ...made, ...editorFilesOf(project.languages)]),
  );
  const enter = directory === process.cwd() ? "" : `cd ${quoted(project.folder)} && `;
  const lines = [
    `${project.folder}: ${project.what}`,
    ...[...project.files.keys(), ...made.map(([name]) => name)].map((name) => `  ${name}`),
    "  .matrix/ for editors and tests",
    ...kept.map((name) => `  ${name} was there already, and was not changed`),
    "",
    "next:",
    `  ${enter}matrix drive recipe.toml`,
    `  ${project.second}`,
  ];
  console.log(printable(lines.join("\n")));
}

async function projectOf(
  first: string | undefined,
  second: string | undefined,
  flags: InitFlags,
): Promise<Project> {
  if (flags.from !== undefined) return copyOf(flags.from, first, second);
  if (flags.python === true && flags.typescript === true)
    throw new MatrixError("usage", "--python with --typescript: a template has one language");
  const known = await templates();
  const names = known.map(({ name }) => name);
  // A single word is a folder, unless it names a template: then it is both.
  const [template = "", folder = ""] =
    second !== undefined
      ? [first, second]
      : [names.includes(first ?? "") ? first : DEFAULT_TEMPLATE, first];
  if (!names.includes(template)) {
    const near = nearestWord(template, names);
    throw new MatrixError("usage", `there is no template ${template}`, {
      hint: `${near === undefined ? "" : `did you mean "${near}"? `}templates: ${names.join(", ")}`,
    });
  }
  const language: Language = flags.typescript === true ? "typescript" : "python";
  return {
    folder,
    files: await filesOfTemplate(template, language, runNameOf(folder)),
    languages: [language],
    what: `${template} in ${language === "python" ? "Python" : "TypeScript"}`,
    second: TESTS[language],
  };
}

async function copyOf(
  name: string,
  first: string | undefined,
  second: string | undefined,
): Promise<Project> {
  if (first === undefined || second !== undefined)
    throw new MatrixError("usage", "--from takes the place of a template, and needs one folder", {
      hint: `matrix init --from ${name} DIR`,
    });
  const files = await filesOfRecipe(name, runNameOf(first));
  const has = (ending: string) => [...files.keys()].some((file) => file.endsWith(ending));
  return {
    folder: first,
    files,
    languages: LANGUAGES.filter((language) => has(language === "python" ? ".py" : ".ts")),
    what: `a copy of ${name}`,
    second: "matrix check recipe.toml",
  };
}

/** A name for the run: that of the folder, in the letters that a name may have. */
function runNameOf(folder: string): string {
  const name = basename(resolve(folder))
    .replaceAll(/[^\w.-]+/g, "-")
    .replace(/^[^A-Za-z0-9]+/, "");
  return name === "" ? "mine" : name;
}

function quoted(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

async function explain(): Promise<void> {
  const rows = (await templates()).map(({ name, description }) => [`  ${name}`, description]);
  const lines = [
    "matrix init [TEMPLATE] DIR [--python | --typescript]",
    "",
    "writes DIR/recipe.toml with its prompts, an agent, a rule, a test of the rule, and what editors",
    "need. It overwrites nothing. Templates:",
    "",
    renderTable(rows, () => true),
    "",
    "for example:",
    "  matrix init debate my-debate",
    "  matrix init tool-use my-tools --typescript",
    "  matrix init --from coral my-coral      copies a recipe of `matrix recipes`",
  ];
  console.log(lines.join("\n"));
}
