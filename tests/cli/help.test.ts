// The help of every command, word for word. `bun test -u tests/cli/help.test.ts` takes it as it is
// now.

import { expect, test } from "bun:test";
import { matrix } from "../parts/program.ts";

// On a terminal, help is as wide as the terminal.
Object.assign(process.stdout, { columns: 80 });

test.each([
  "",
  "init",
  "drive",
  "agent",
  "check",
  "verify",
  "ls",
  "show",
  "export",
  "report",
  "model",
  "model serve",
  "sandbox",
  "sandbox check",
  "sandbox build",
  "sandbox ls",
  "sandbox gc",
  "recipes",
  "recipes show",
  "types",
  "completion",
])("the help of matrix %s is what was agreed", async (command) => {
  const words = command === "" ? [] : command.split(" ");
  expect((await matrix([...words, "--help"])).stdout).toMatchSnapshot();
});
