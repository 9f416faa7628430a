// `matrix completion SHELL` prints the completion of a shell. The shell then asks the hidden
// command `matrix complete` for the candidates of each word.

import { Argument, Command } from "commander";
import { printable } from "../task/printable.ts";
import { type Candidate, type Commands, candidates } from "./completion/candidates.ts";
import { SCRIPTS, SHELLS, type Shell } from "./completion/scripts.ts";
import { valuesOf } from "./completion/values.ts";
import { quotedForBash, wordsOf } from "./completion/words.ts";

const shell = () => new Argument("<shell>", "the shell").choices(SHELLS);

export function completionCommand(): Command {
  return new Command("completion")
    .description("print the completion of a shell, which also completes recipes, keys and rows")
    .addArgument(shell())
    .addHelpText("after", HOW_TO)
    .action((name: Shell) => void process.stdout.write(SCRIPTS[name]));
}

const HOW_TO = `
Load it in each new shell:
  bash  echo 'source <(matrix completion bash)' >> ~/.bashrc
  zsh   echo 'source <(matrix completion zsh)' >> ~/.zshrc    (after compinit)
  fish  matrix completion fish > ~/.config/fish/completions/matrix.fish`;

export function completeCommand(commands: Commands): Command {
  return new Command("complete")
    .description("print the candidates of the last word, one a line")
    .addArgument(shell())
    .argument("[words...]")
    .action(async (name: Shell, words: readonly string[]) => {
      // A shell shows nothing but candidates, so an error has no place to go.
      const lines = await linesOf(name, words, commands).catch(() => []);
      for (const line of lines) console.log(line);
    });
}

async function linesOf(
  name: Shell,
  words: readonly string[],
  commands: Commands,
): Promise<readonly string[]> {
  if (name !== "bash")
    return (await candidates(words, commands, valuesOf)).map(
      ({ value, text }) => `${printable(value)}\t${printable(text)}`,
    );
  const [replaced = "", line = ""] = words;
  const split = wordsOf(line).slice(1);
  const found = await candidates(split, commands, valuesOf);
  // Bash replaces what follows the last = or : of the word.
  const word = split.at(-1) ?? "";
  const kept = word.length - (word.endsWith(replaced) ? replaced.length : 0);
  return found.map(({ value }: Candidate) => quotedForBash(printable(value.slice(kept))));
}
