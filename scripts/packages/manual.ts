// The manual page, matrix.1, from the commands themselves: every command, argument and flag with
// the sentence that `--help` prints, and the variable that sets it.

import type { Argument, Command, Option } from "commander";

interface Edition {
  readonly version: string;
  /** Seconds. */
  readonly epoch: number;
}

export function manualPage(program: Command, { version, epoch }: Edition): string {
  const day = new Date(epoch * 1000).toISOString().slice(0, 10);
  return [
    `.TH MATRIX 1 "${day}" "matrix ${roff(version)}" "User Commands"`,
    ".SH NAME",
    `matrix \\- ${inSentence(program.description())}`,
    ".SH SYNOPSIS",
    ".B matrix",
    ".I COMMAND",
    "[\\fIARGUMENTS\\fR]",
    ".SH DESCRIPTION",
    roff(program.description()),
    ".PP",
    "Progress goes to standard error, and results go to standard output.",
    ".SH COMMANDS",
    ...visible(program).flatMap((command) => commandSection(command, "matrix")),
    ".SH EXIT STATUS",
    ...EXIT_STATUS.flatMap(([code, meaning]) => [".TP", `.B ${code}`, meaning]),
    ".SH FILES",
    ".TP",
    ".I runs/NAME",
    "The directory of a run: its recipe, its manifest, its records and its logs.",
    "",
  ].join("\n");
}

const EXIT_STATUS = [
  ["0", "The run is complete, or the command did its work."],
  ["1", "The run is complete, but more rows failed or were lost than run.fail_above allows."],
  ["2", "The usage or the recipe is wrong, and nothing was started."],
  ["3", "The run stopped early, and the same command goes on."],
] as const;

function commandSection(command: Command, parent: string): readonly string[] {
  const path = `${parent} ${command.name()}`;
  const words = command.registeredArguments.map(synopsisOf);
  const nested = visible(command);
  if (nested.length > 0) return nested.flatMap((one) => commandSection(one, path));
  return [
    `.SS "${[path, ...words].map(roff).join(" ")}"`,
    roff(sentence(command.description())),
    ...command.registeredArguments
      .filter(({ description }) => description !== "")
      .flatMap((argument) => [
        ".TP",
        `.I ${roff(argument.name())}`,
        roff(sentence(argument.description)),
      ]),
    ...command.options
      .filter(({ hidden }) => !hidden)
      .flatMap((option) => [".TP", `.B ${roff(option.flags)}`, roff(explain(option))]),
  ];
}

function visible(command: Command): readonly Command[] {
  return command
    .createHelp()
    .visibleCommands(command)
    .filter((one) => one.name() !== "help");
}

function synopsisOf(argument: Argument): string {
  const name = `${argument.name()}${argument.variadic ? "..." : ""}`;
  return argument.required ? name : `[${name}]`;
}

function explain({ description, argChoices, defaultValue, envVar }: Option): string {
  return [
    sentence(description),
    ...(argChoices === undefined ? [] : [`Choices: ${argChoices.join(", ")}.`]),
    ...(defaultValue === undefined ? [] : [`Default: ${String(defaultValue)}.`]),
    ...(envVar === undefined ? [] : [`Environment: ${envVar}.`]),
  ].join(" ");
}

function sentence(text: string): string {
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}

function inSentence(text: string): string {
  return roff(text.charAt(0).toLowerCase() + text.slice(1).replace(/\.$/, ""));
}

/** Escapes what roff reads as a command, and keeps hyphens that a user may copy. */
function roff(text: string): string {
  const escaped = text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll('"', "\\(dq")
    .replaceAll("\n", " ");
  return /^[.']/.test(escaped) ? `\\&${escaped}` : escaped;
}
