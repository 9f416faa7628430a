// The program in this process: the same commands as the binary's, without the time that a process
// takes to start. Tests whose point is the process itself (signals, crashes, hosts) use binary.ts,
// and so do tests that change a module between two runs: this process loads a module once.

import { tmpdir } from "node:os";
import { runProgram } from "../../src/cli/program.ts";
import type { Finished, RunOptions } from "./finished.ts";

/** The folder, the environment and the output are global, so commands run one after the other. */
let queue: Promise<unknown> = Promise.resolve();

/** Runs one command to its end. */
export function matrix(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  return startMatrix(args, options).finished;
}

/** Starts a command whose output a test reads while it runs. */
export function startMatrix(args: readonly string[], options: RunOptions = {}) {
  const output = { stdout: "", stderr: "" };
  const finished = queue.then(() => run(args, options, output));
  queue = finished.catch(() => undefined);
  return { output, finished };
}

async function run(
  args: readonly string[],
  { cwd = tmpdir(), env = {} }: RunOptions,
  output: { stdout: string; stderr: string },
): Promise<Finished> {
  const restore = [replaceEnvironment(env), replaceFolder(cwd), captureOutput(output)];
  process.exitCode = 0;
  try {
    const code = await runProgram(args);
    return { code, ...output };
  } finally {
    process.exitCode = 0;
    for (const undo of restore) undo();
  }
}

function replaceFolder(folder: string): () => void {
  const before = process.cwd();
  process.chdir(folder);
  return () => process.chdir(before);
}

function replaceEnvironment(env: Readonly<Record<string, string>>): () => void {
  const before = Object.keys(env).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, env);
  return () => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
}

/** Takes what is written with console and to the two streams, until it is undone. */
function captureOutput(output: { stdout: string; stderr: string }): () => void {
  const { log, error } = console;
  console.log = (...words) => {
    output.stdout += `${words.join(" ")}\n`;
  };
  console.error = (...words) => {
    output.stderr += `${words.join(" ")}\n`;
  };
  const undo = (["stdout", "stderr"] as const).map((name) => {
    const { write } = process[name];
    process[name].write = ((text: string | Uint8Array) => {
      output[name] += typeof text === "string" ? text : Buffer.from(text).toString();
      return true;
    }) as typeof write;
    return () => {
      process[name].write = write;
    };
  });
  return () => {
    Object.assign(console, { log, error });
    for (const one of undo) one();
  };
}
