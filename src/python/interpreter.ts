// One Python interpreter with a file of the user: lists of questions go in, and as many lines come
// out. It ends with this process, because its stdin closes.

import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Socket } from "node:net";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { MatrixError, messageOf, type Problem } from "../error.ts";
import { parseJson } from "../task/exact.ts";
import { isJsonObject, type Json, type JsonObject } from "../task/json.ts";
import { libraryPath } from "./library.ts";
import { statesNeeds } from "./script.ts";

/** Characters of stderr that an error shows. */
const LAST_WORDS = 2000;

/** The decorator of the library that marks what is asked; a graph is exported by a name. */
export type Kind = "rule" | "graph" | "request" | "replies";

/** The parts of the recipe that the check of a graph needs. */
export interface GraphExport {
  /** The path of the graph in errors. */
  readonly path: string;
  /** The name under which the file exports it. */
  readonly name: string;
  readonly roles: readonly string[];
  /** False where a task may not go several ways at once. */
  readonly canFork: boolean;
}

export interface PythonFile {
  /** The interpreter and its arguments. */
  readonly command: readonly string[];
  readonly path: string;
  readonly kind: Kind;
  /** Settings that the constructor of a rule takes. */
  readonly settings: Json;
  /** Set for the kind `graph`. */
  readonly graph?: GraphExport | undefined;
  /** Questions of each operation that are watched for purity; null for all. */
  readonly watched: number | null;
}

export interface About {
  /** `start`, `next`, and `join` or `unanswered` of a rule; else the kind of the file. */
  readonly operations: ReadonlySet<string>;
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

export class Interpreter {
  readonly #child: Child;
  /** Lines that nothing has asked for yet. */
  readonly #lines: string[] = [];
  #reading: PromiseWithResolvers<string> | null = null;
  #words = "";
  #hasEnded = false;

  /** Starts an interpreter. Fails with `module_invalid` when the file does not load. */
  static async start(
    file: PythonFile,
    say: (line: string) => void,
  ): Promise<{ readonly interpreter: Interpreter; readonly about: About }> {
    const [program = "python3", ...args] = file.command;
    const library = await libraryPath();
    const child = spawn(program, [...args, "-u", library, "--serve"], {
      env: environment(dirname(library)),
      stdio: ["pipe", "pipe", "pipe"],
      // Ctrl-C on the terminal is for this process, which ends the interpreter when it is done.
      detached: true,
    });
    const interpreter = new Interpreter(child, say);
    try {
      return { interpreter, about: await interpreter.#load(file) };
    } catch (thrown) {
      interpreter.kill();
      throw thrown;
    }
  }

  private constructor(child: Child, say: (line: string) => void) {
    this.#child = child;
    createInterface({ input: child.stdout }).on("line", (line) => this.#take(line));
    // The end of the process tells of each of these, too.
    for (const stream of [child.stdin, child.stdout, child.stderr])
      stream.on("error", () => undefined);
    createInterface({ input: child.stderr }).on("line", (line) => {
      this.#words = `${this.#words}${line}\n`.slice(-LAST_WORDS);
      say(line);
    });
    child.once("error", (error) => {
      this.#words += `${messageOf(error)}\n`;
      this.#end();
    });
    child.once("close", () => this.#end());
  }

  /** The last words of the interpreter on stderr. */
  get words(): string {
    return this.#words.trimEnd();
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Answers each question. Fails when the interpreter ends before it has answered all. */
  async ask(questions: readonly string[]): Promise<readonly JsonObject[]> {
    this.#holdProcess(true);
    try {
      this.#child.stdin.write(`[${questions.join(",")}]\n`);
      const answers: JsonObject[] = [];
      while (answers.length < questions.length) answers.push(await this.#read());
      return answers;
    } finally {
      this.#holdProcess(false);
    }
  }

  /** Lets the interpreter end by itself. */
  close(): void {
    this.#child.stdin.end();
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  async #load({ command, ...file }: PythonFile): Promise<About> {
    const { path } = file;
    this.#child.stdin.write(`${JSON.stringify(file)}\n`);
    const answer = await this.#read().catch((cause) => {
      const words = this.words === "" ? messageOf(cause) : this.words;
      throw new MatrixError("module_invalid", `${command.join(" ")} cannot run ${path}: ${words}`, {
        hint: "[python] command names the interpreter",
      });
    });
    this.#holdProcess(false);
    const { error, operations } = answer;
    if (!isJsonObject(error)) return { operations: new Set(operations as string[]) };
    throw new MatrixError("module_invalid", `${path} does not load`, {
      problems: [problemOf(error, path, answer, await statesNeeds(path))],
    });
  }

  /** An interpreter keeps this process alive only while it is asked something. */
  #holdProcess(holds: boolean): void {
    const act = holds ? "ref" : "unref";
    this.#child[act]();
    const { stdin, stdout, stderr } = this.#child;
    for (const stream of [stdin, stdout, stderr] as Partial<Socket>[]) stream[act]?.();
  }

  async #read(): Promise<JsonObject> {
    const line = this.#lines.shift();
    if (line !== undefined) return parseJson(line) as JsonObject;
    if (this.#hasEnded) throw new Error("the interpreter has ended");
    this.#reading = Promise.withResolvers();
    return parseJson(await this.#reading.promise) as JsonObject;
  }

  #take(line: string): void {
    if (this.#reading === null) this.#lines.push(line);
    else this.#reading.resolve(line);
    this.#reading = null;
  }

  #end(): void {
    this.#hasEnded = true;
    this.#reading?.reject(new Error("the interpreter has ended"));
    this.#reading = null;
  }
}

function environment(folder: string): NodeJS.ProcessEnv {
  const before = process.env["PYTHONPATH"];
  // Flags and tokens of `matrix` are for no user's program.
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith("MATRIX_"));
  return {
    ...Object.fromEntries(own),
    PYTHONPATH: before === undefined || before === "" ? folder : `${folder}:${before}`,
    // A rule gives the same decision on every host: the order of a set must not differ.
    PYTHONHASHSEED: "0",
    PYTHONUTF8: "1",
  };
}

function problemOf(
  error: JsonObject,
  path: string,
  { python, executable }: JsonObject,
  states: boolean,
): Problem {
  const { file, line, column, kind, message, lacks } = error;
  const mend = states
    ? "let uv install what the file states with python.install = true"
    : "name another interpreter as [python] command";
  const text =
    lacks === undefined
      ? `${kind}: ${message}`
      : `${message}: ${executable} (Python ${python}) lacks it; install it there, or ${mend}`;
  return {
    file: typeof file === "string" ? file : path,
    ...(typeof line === "number" ? { line } : {}),
    ...(typeof column === "number" ? { column } : {}),
    message: text,
  };
}
