// The Python files of a recipe: which interpreter runs each of them, and the pool that answers for
// it. Files that are asked the same way share a pool, so two roles with one request file have the
// same interpreters.

import { basename } from "node:path";
import { type ErrorCode, MatrixError } from "../error.ts";
import type { Json, JsonObject } from "../task/json.ts";
import type { About, GraphExport, Kind } from "./interpreter.ts";
import { InterpreterPool } from "./pool.ts";
import { commandFor } from "./script.ts";

/** Questions of each operation that every interpreter watches for purity. */
const WATCHED = 16;

export interface PythonOptions {
  /** The interpreter of files that name no other. */
  readonly command: readonly string[];
  /** True when uv may install what a file says that it needs (PEP 723). */
  readonly install: boolean;
  /** The most interpreters of each file. */
  readonly processes: number;
  readonly decideMs: number;
  /** True to watch every question: a replay proves a rule. */
  readonly watchesAll: boolean;
  /** Takes the lines that a file prints, which belong to the log. */
  readonly say: (path: string, line: string) => void;
}

/** The options of a recipe without [python]. */
const PLAIN: PythonOptions = {
  command: ["python3"],
  install: false,
  processes: 2,
  decideMs: 30_000,
  watchesAll: false,
  say: (path, line) => console.info(`${basename(path)}: ${line}`),
};

export interface AskedFile {
  readonly kind: Kind;
  readonly path: string;
  readonly settings: Json;
  readonly graph?: GraphExport;
  /** The interpreter of a role that has its own. */
  readonly command?: readonly string[] | undefined;
}

/** Opens Python files, or stands for that where no code of the recipe may run. */
export type PythonLoader = Pick<PythonFiles, "open" | "commandFor">;

export interface Opened {
  readonly pool: InterpreterPool;
  readonly about: About;
}

const BLAMES: { readonly [kind in Kind]: { readonly code: ErrorCode; readonly subject: string } } =
  {
    rule: { code: "orchestrator_failed", subject: "the rule" },
    graph: { code: "orchestrator_failed", subject: "the graph" },
    request: { code: "prompt_failed", subject: "the request" },
    replies: { code: "model_refused_request", subject: "the simulated model's replies" },
  };

export class PythonFiles {
  readonly #options: PythonOptions;
  readonly #opened = new Map<string, Promise<Opened>>();

  constructor(options: Partial<PythonOptions> = {}) {
    this.#options = { ...PLAIN, ...options };
  }

  /** The interpreter for a file, and its arguments. Fails with `module_invalid`. */
  commandFor(path: string, own?: readonly string[]): Promise<readonly string[]> {
    const { command, install } = this.#options;
    return commandFor(path, own ?? command, install);
  }

  /** Fails with `module_invalid` when the file does not load. */
  async open(file: AskedFile): Promise<Opened> {
    const { kind, path, settings, graph } = file;
    const command = await this.commandFor(path, file.command);
    const key = JSON.stringify([kind, path, settings, graph, command]);
    const { processes, decideMs, watchesAll, say } = this.#options;
    const opened =
      this.#opened.get(key) ??
      InterpreterPool.open({
        ...{ command, path, kind, settings, graph, processes, decideMs },
        watched: watchesAll ? null : WATCHED,
        blame: BLAMES[kind],
        say: (line) => say(path, line),
      });
    this.#opened.set(key, opened);
    return opened;
  }
}

/** The error of a file's function. Its stack is the traceback. */
export function failureOf(
  code: ErrorCode,
  where: string | null,
  { kind, message, stack }: JsonObject,
): MatrixError {
  const cause = new Error(`${kind}: ${message}`);
  cause.stack = String(stack);
  return new MatrixError(code, `${where === null ? "" : `${where}: `}${cause.message}`, { cause });
}
