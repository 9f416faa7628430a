// The manual page, made from the commands.

import { expect, test } from "bun:test";
import { Argument, Command, Option } from "commander";
import { manualPage } from "../../../scripts/packages/manual.ts";
import { createProgram } from "../../../src/cli/program.ts";

const EDITION = { version: "1.2.3", epoch: 1_790_000_000 };

test("the manual has every command and every flag of the program", async () => {
  const program = await createProgram();
  const page = manualPage(program, EDITION).replaceAll("\\-", "-");
  const leaves = program.commands.flatMap((command) =>
    command.commands.length === 0 ? [command] : command.commands,
  );
  expect(leaves.length).toBeGreaterThan(14);
  for (const command of leaves) {
    expect(page).toMatch(new RegExp(`^\\.SS "matrix (\\w+ )?${command.name()}`, "m"));
    for (const option of command.options.filter(({ hidden }) => !hidden))
      expect(page).toContain(`.B ${option.flags}`);
  }
});

test("a section has the arguments, sentences, choices, defaults and variables of its command", () => {
  const copy = new Command("copy")
    .description("copy a file")
    .addArgument(new Argument("<from>", "the source"))
    .addArgument(new Argument("[to...]", ""))
    .addOption(
      new Option("-m, --mode <mode>", "how to copy").choices(["a", "b"]).default("a").env("MODE"),
    )
    .addOption(new Option("--secret").hideHelp());
  const program = new Command("tool").description("Do things.").addCommand(copy);
  const page = manualPage(program, EDITION);
  expect(page).toStartWith('.TH MATRIX 1 "2026-09-21" "matrix 1.2.3" "User Commands"\n');
  expect(page).toContain("matrix \\- do things\n");
  expect(page).toContain(
    [
      '.SS "matrix copy from [to...]"',
      "Copy a file.",
      ".TP",
      ".I from",
      "The source.",
      ".TP",
      ".B \\-m, \\-\\-mode <mode>",
      "How to copy. Choices: a, b. Default: a. Environment: MODE.",
      ".SH EXIT STATUS",
    ].join("\n"),
  );
  expect(page).not.toContain("secret");
});

test("text that roff would read as a command is escaped", () => {
  const program = new Command("tool")
    .description("x")
    .addCommand(new Command("odd").description('.hidden "quoted" back\\slash\nline'));
  expect(manualPage(program, EDITION)).toContain(
    "\n\\&.hidden \\(dqquoted\\(dq back\\eslash line.\n",
  );
});
