#!/usr/bin/env bun
// The command line: finds the command, loads only what it needs, and turns whatever goes wrong into a message and an exit code.

import { Command, CommanderError } from "commander";
import { EXIT, MatrixError } from "./error.ts";
import { provideModule, provideSdk } from "./platform.ts";
import { version } from "./version.ts";

const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  drive: async () => (await import("./cli/drive.ts")).driveCommand(),
  agent: async () => (await import("./cli/agent.ts")).agentCommand(),
  check: async () => (await import("./cli/check.ts")).checkCommand(),
  verify: async () => (await import("./cli/verify.ts")).verifyCommand(),
  show: async () => (await import("./cli/show.ts")).showCommand(),
  sandbox: async () => (await import("./cli/sandbox.ts")).sandboxCommand(),
  export: async () => (await import("./cli/export.ts")).exportCommand(),
  report: async () => (await import("./cli/report.ts")).reportCommand(),
  model: async () => (await import("./cli/model.ts")).modelCommand(),
};

async function createProgram(wanted: string | undefined): Promise<Command> {
  const program = new Command("matrix")
    .description("Generates synthetic data with many LLM agents at once, peer to peer.")
    .version(version, "-V, --version")
    .exitOverride();
  const only = wanted === undefined ? undefined : COMMANDS[wanted];
  // Help and misspelt commands need to know them all; a run needs one.
  for (const create of only === undefined ? Object.values(COMMANDS) : [only])
    program.addCommand(withExit(await create()));
  return program;
}

/** Usage errors are thrown, also by subcommands, so that one place sets the exit code. */
function withExit(command: Command): Command {
  for (const nested of command.commands) withExit(nested);
  return command.exitOverride();
}

async function main(args: readonly string[]): Promise<number> {
  if (args.length === 1 && (args[0] === "--version" || args[0] === "-V")) {
    console.log(version);
    return EXIT.complete;
  }
  const program = await createProgram(args.find((arg) => !arg.startsWith("-")));
  if (args.length === 0) program.help();
  provideSdk(await import("./sdk.ts"));
  // The same package without what only its own runtime needs.
  provideModule("@langchain/langgraph", () => import("@langchain/langgraph/web"));
  await program.parseAsync(args, { from: "user" });
  return typeof process.exitCode === "number" ? process.exitCode : EXIT.complete;
}

/** Prints what went wrong for the user, without a stack: that is for bugs. */
async function report(thrown: unknown): Promise<number> {
  // Commander has printed its own message.
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.complete : EXIT.refused;
  if (!(thrown instanceof MatrixError)) throw thrown;
  const { formatProblem } = await import("./recipe/problem.ts");
  const { printable } = await import("./cli/printable.ts");
  console.error(`error: ${printable(thrown.message)}`);
  // Problems with a place show their line and stand apart; plain ones make a list.
  for (const problem of thrown.problems) {
    const text = printable(formatProblem(problem));
    console.error(problem.file === undefined ? `  ${text}` : `\n${text}`);
  }
  if (thrown.hint !== undefined) console.error(`hint: ${printable(thrown.hint)}`);
  return thrown.exitCode;
}

process.exitCode = await main(process.argv.slice(2)).catch(report);
