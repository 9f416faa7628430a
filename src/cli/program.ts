// The program `matrix`: finds the command, loads only what that command needs, and turns every
// error into a message and an exit code.

import { Command, CommanderError } from "commander";
import { EXIT, MatrixError } from "../error.ts";
import { catchExits } from "../host/exit-trap.ts";
import { masked } from "../known-secrets.ts";
import { learnEnvironment } from "../recipe/learn-secrets.ts";
import { provideUserImports } from "../run/user-imports.ts";
import { printable } from "../task/printable.ts";
import { fullVersion, version } from "../version.ts";
import { refuseAddresses } from "./local-paths.ts";

const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  init: async () => (await import("./init.ts")).initCommand(),
  drive: async () => (await import("./drive.ts")).driveCommand(),
  agent: async () => (await import("./agent.ts")).agentCommand(),
  check: async () => (await import("./check.ts")).checkCommand(),
  verify: async () => (await import("./verify.ts")).verifyCommand(),
  ls: async () => (await import("./ls.ts")).lsCommand(),
  show: async () => (await import("./show.ts")).showCommand(),
  sandbox: async () => (await import("./sandbox.ts")).sandboxCommand(),
  export: async () => (await import("./export.ts")).exportCommand(),
  view: async () => (await import("./view.ts")).viewCommand(),
  report: async () => (await import("./report.ts")).reportCommand(),
  licenses: async () => (await import("./licenses.ts")).licensesCommand(),
  metrics: async () => (await import("./metrics.ts")).metricsCommand(),
  recipes: async () => (await import("./recipes.ts")).recipesCommand(),
  types: async () => (await import("./editor-types.ts")).typesCommand(),
  model: async () => (await import("./model.ts")).modelCommand(),
  completion: async () => (await import("./completion.ts")).completionCommand(),
};

/** Commands that shells use and help leaves out. */
const HIDDEN: typeof COMMANDS = {
  complete: async () =>
    (await import("./completion.ts")).completeCommand({
      names: Object.keys(COMMANDS),
      make: (name) => commandNamed(COMMANDS, name)(),
    }),
};

function commandNamed(commands: typeof COMMANDS, name: string): () => Promise<Command> {
  const make = commands[name];
  if (make === undefined) throw new MatrixError("usage", `unknown command '${name}'`);
  return make;
}

/** Words of other tools for a command of this one. */
const SYNONYMS: Readonly<Record<string, string>> = {
  run: "drive",
  start: "drive",
  go: "drive",
  generate: "drive",
  resume: "drive",
  retry: "drive --retry failed",
  worker: "agent",
  join: "agent",
  validate: "check",
  lint: "check",
  list: "ls",
  runs: "ls",
  cat: "show",
  serve: "model serve",
  stats: "report",
};

/** Commander repeats arguments in its errors. */
const OUTPUT = { writeErr: (text: string) => void process.stderr.write(printable(text)) };

/** Runs one command and resolves to the exit code. Bugs are thrown. */
export async function runProgram(args: readonly string[]): Promise<number> {
  try {
    if (args.length === 1 && (args[0] === "--version" || args[0] === "-V")) {
      console.log(fullVersion());
      return EXIT.complete;
    }
    learnEnvironment(process.env);
    const program = await createProgram(args.find((arg) => !arg.startsWith("-")));
    if (args.length === 0) program.help();
    await provideUserImports();
    const release = catchExits();
    await program.parseAsync(args, { from: "user" }).finally(release);
    return typeof process.exitCode === "number" ? process.exitCode : EXIT.complete;
  } catch (thrown) {
    return report(thrown);
  }
}

/** The command named `wanted` alone, or else all of them. */
export async function createProgram(wanted?: string): Promise<Command> {
  const program = new Command("matrix")
    .description("Generate synthetic data with many LLM agents at once, peer to peer.")
    .version(version, "-V, --version")
    .hook("preAction", (_, command) => refuseAddresses(command))
    .configureOutput(OUTPUT)
    .exitOverride();
  refuseSynonym(wanted);
  const known = [COMMANDS, HIDDEN].find((all) => Object.hasOwn(all, wanted ?? ""));
  const only = known?.[wanted ?? ""];
  // Help and suggestions for misspelt commands need all commands; a run needs one.
  for (const create of only === undefined ? Object.values(COMMANDS) : [only])
    program.addCommand(withExit(await create()));
  return program;
}

/** Fails with `usage` for a word that other tools use for one of the commands. */
function refuseSynonym(wanted: string | undefined): void {
  if (wanted === undefined || !Object.hasOwn(SYNONYMS, wanted)) return;
  throw new MatrixError("usage", `unknown command '${wanted}'`, {
    hint: `did you mean "matrix ${SYNONYMS[wanted]}"?`,
  });
}

/**
 * Makes the command and its subcommands throw usage errors, so that one place sets the exit code.
 */
function withExit(command: Command): Command {
  for (const nested of command.commands) withExit(nested);
  return command.configureOutput(OUTPUT).exitOverride();
}

/** Prints an error for the user, without its stack: stacks are for bugs. */
async function report(thrown: unknown): Promise<number> {
  // Commander has printed its own message.
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.complete : EXIT.refused;
  if (!(thrown instanceof MatrixError)) throw thrown;
  const { formatProblems } = await import("../recipe/problem.ts");
  console.error(`error: ${printable(masked(thrown.message))}`);
  for (const { text, isPlaced } of formatProblems(thrown.problems)) {
    const shown = printable(masked(text));
    // A problem in a file shows its line and stands apart; the others make a list.
    console.error(isPlaced ? `\n${shown}` : `  ${shown}`);
  }
  if (thrown.hint !== undefined) console.error(`hint: ${printable(masked(thrown.hint))}`);
  return thrown.exitCode;
}
