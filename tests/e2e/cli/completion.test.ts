// Completion in the shells themselves, with the script that the binary prints.

import { expect, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { BINARY, matrix } from "../../parts/binary.ts";
import { withFolder } from "../../parts/folder.ts";

const env = { ...process.env, PATH: `${dirname(BINARY)}:${process.env["PATH"]}` };
const has = (shell: string): boolean => {
  const found = Bun.which(shell) !== null;
  if (!found) console.log(`skipped: there is no ${shell} here`);
  return found;
};
const zsh = has("zsh");
const fish = has("fish");

function run(command: readonly string[], cwd: string): readonly string[] {
  const { stdout, stderr } = Bun.spawnSync([...command], { cwd, env });
  expect(stderr.toString()).toBe("");
  return stdout.toString().trimEnd().split("\n");
}

/** The words that bash offers in place of `replaced`, a part of the last word of the line. */
function inBash(line: string, replaced: string, cwd: string): readonly string[] {
  const program =
    'source <(matrix completion bash); COMP_LINE="$1"; COMP_POINT=${#COMP_LINE}; ' +
    '_matrix matrix "$2"; printf "%s\\n" "${COMPREPLY[@]}"';
  return run(["bash", "--norc", "-c", program, "bash", line, replaced], cwd);
}

/** A folder with a run whose ids have what shells split at. */
const inFolder = (check: (folder: string) => Promise<void> | void) =>
  withFolder(async (folder) => {
    await mkdir(join(folder, "runs"));
    await Bun.write(join(folder, "rows.jsonl"), '{"k":"a b"}\n{"k":"a:c"}\n{"k":"d"}\n');
    await Bun.write(
      join(folder, "mine.toml"),
      'name = "mine"\ndataset = { path = "rows.jsonl", id = "k" }\nmodels.m.kind = "simulated"\n' +
        'roles.a = { agent = "llm", model = "m", prompt = { text = "x" } }\n' +
        'orchestrator = { pattern = "sequence", roles = ["a"] }\n',
    );
    expect((await matrix(["drive", "mine.toml", "-q"], { cwd: folder })).code).toBe(0);
    await check(folder);
  });

test("bash completes commands, recipes, keys, values, runs and rows", () =>
  inFolder((folder) => {
    expect(inBash("matrix dri", "dri", folder)).toEqual(["drive"]);
    expect(inBash("matrix drive coral-g", "coral-g", folder)).toEqual([
      "coral-graph",
      "coral-gsm8k",
    ]);
    expect(inBash("matrix drive m", "m", folder)).toEqual(["mine.toml"]);
    expect(inBash("matrix drive mine.toml run.conc", "run.conc", folder)).toEqual([
      "run.concurrency=",
    ]);
    expect(inBash("matrix drive coral run.delivery=at", "at", folder)).toEqual(["at-most-once"]);
    expect(inBash("matrix drive mine.toml models.", "models.", folder)).toEqual(["models.m."]);
    expect(inBash("matrix show ", "", folder)).toEqual(["runs/mine"]);
    expect(inBash("matrix show runs/mine ", "", folder)).toEqual(["a\\ b", "a:c", "d"]);
    expect(inBash("matrix show runs/mine a:", "", folder)).toEqual(["c"]);
    expect(inBash("matrix export runs/mine --to trl-k", "trl-k", folder)).toEqual(["trl-kto"]);
    expect(inBash("matrix show 'runs/mine' d", "d", folder)).toEqual(["d"]);
    expect(inBash("matrix drive ./m", "./m", folder)).toEqual([""]);
  }));

test("the script of bash can be loaded twice, and says nothing while it completes", () =>
  inFolder((folder) => {
    const program =
      "source <(matrix completion bash); source <(matrix completion bash); complete -p matrix";
    expect(run(["bash", "--norc", "-c", program], folder)).toEqual([
      "complete -o bashdefault -o default -F _matrix matrix",
    ]);
  }));

test.skipIf(!fish)("fish completes recipes, keys, rows and files, with descriptions", () =>
  inFolder((folder) => {
    const complete = (line: string) => {
      const program = "matrix completion fish | source; complete -C $argv[1]";
      return run(["fish", "--no-config", "-c", program, line], folder);
    };
    expect(complete("matrix drive coral-gs")).toEqual([
      "coral-gsm8k\tCoral on GSM8K, where answers are numbers.",
    ]);
    expect(complete("matrix drive mine.toml run.conc")).toEqual([
      "run.concurrency=\tTasks in flight at once, over all hosts.",
    ]);
    expect(complete("matrix show runs/mine ")).toEqual(["a b", "a:c", "d"]);
    expect(complete("matrix drive ./m")).toEqual(["./mine.toml"]);
  }),
);

/** Types a line and a tab into an interactive zsh, and prints the line that comes of it. */
const IN_ZSH = `
zmodload zsh/zpty
zpty z zsh -f -i
wait_for() {
  local out all=
  while zpty -r z out; do
    all+=$out
    [[ $all == *$~1* ]] && { print -r -- $all; return }
  done
}
zpty -w z 'PS1=; autoload -U compinit && compinit -u -D; source <(matrix completion zsh)'
zpty -w z 'dump() { print -r -- "LINE<$BUFFER>" }; zle -N dump; bindkey "^G" dump; echo RE""ADY'
wait_for READY >/dev/null
zpty -w -n z "$1"$'\\t\\x07'
wait_for 'LINE<*>'
`;

test.skipIf(!zsh)("zsh completes recipes, keys and rows in an interactive shell", () =>
  inFolder((folder) => {
    const complete = (line: string) => {
      const shown = run(["zsh", "-f", "-c", IN_ZSH, "zsh", line], folder).join("\n");
      return /LINE<(.*)>/.exec(shown)?.[1];
    };
    expect(complete("matrix drive coral-gs")).toBe("matrix drive coral-gsm8k ");
    expect(complete("matrix drive mine.toml run.conc")).toBe(
      "matrix drive mine.toml run.concurrency=",
    );
    expect(complete("matrix show runs/mine a:")).toBe("matrix show runs/mine a:c ");
    expect(complete("matrix drive ./min")).toBe("matrix drive ./mine.toml ");
  }),
);
