// Starts the program of a role once, before anything is spent, as modules of TypeScript are loaded:
// a program that cannot start is a problem with its file and line. A program ends when its stdin
// closes, so one that works ends with exit 0. One that cannot bear a closed stdin is started again
// with an open one, and works when it stays.

import { readFile } from "node:fs/promises";
import { MatrixError, type Problem } from "../error.ts";
import type { Running } from "../sandbox/contract.ts";
import type { Caller } from "../sandbox/pool.ts";
import { StderrLines } from "../sandbox/stderr-lines.ts";
import type { Agent } from "./contract.ts";
import { commandOf, programOf, type SandboxedRole } from "./sandboxed.ts";

export interface StartLimits {
  /** A program that still loads after this time counts as one that works. */
  readonly loadMs: number;
  /** A program that was not asked anything yet must stay for this time. */
  readonly stayMs: number;
}

const LIMITS: StartLimits = { loadMs: 20_000, stayMs: 3000 };

/** The pool gives a program to a task only. */
const CALLER: Caller = { rowId: "", trial: 0, attempt: 1, hop: 0, tries: 1, continues: false };

/** Fails with `module_invalid` when the program does not start, or with the signal's reason. */
export async function startProgram(
  role: SandboxedRole,
  signal: AbortSignal,
  limits: StartLimits = LIMITS,
): Promise<void> {
  const start = async (sandbox: Parameters<typeof commandOf>[1]): Promise<void> => {
    const command = commandOf(role, sandbox);
    const closed = await sandbox.open(command);
    closed.stdin.end();
    const loaded = await endOf(closed, limits.loadMs);
    if (loaded === null || loaded.code === 0) return;
    const failed = await endOf(await sandbox.open(command), limits.stayMs);
    if (failed !== null) throw await startError(role, failed);
  };
  try {
    await role.pool.call(CALLER, "", ({ sandbox }) => start(sandbox), signal);
  } finally {
    role.pool.release(CALLER.rowId, CALLER.trial);
  }
}

/**
 * The agent with the true error of a program that ended before it answered anything. It is
 * `program_failed` for a program that cannot start, and for one that ended at every start of the
 * row. Otherwise it is `sandbox_lost`: another task may have ended the program, so the row starts
 * again.
 */
export function withTrueEnd(role: SandboxedRole, agent: Agent): Agent {
  return {
    run: async (task, context) => {
      try {
        return await agent.run(task, context);
      } catch (thrown) {
        if (!(thrown instanceof MatrixError) || thrown.code !== "program_failed") throw thrown;
        throw await trueEnd(role, thrown, task.attempt, context.signal);
      }
    },
  };
}

async function trueEnd(
  role: SandboxedRole,
  ended: MatrixError,
  attempt: number,
  signal: AbortSignal,
): Promise<MatrixError> {
  try {
    await startProgram(role, signal);
    const isLast = attempt >= role.attemptsMax;
    const message = `${programOf(role.config)} starts, and ended when it was asked: ${ended.message}`;
    return new MatrixError(isLast ? "program_failed" : "sandbox_lost", message, { cause: ended });
  } catch (thrown) {
    if (!(thrown instanceof MatrixError) || thrown.code !== "module_invalid") throw thrown;
    return new MatrixError("program_failed", thrown.message, { cause: thrown });
  }
}

interface End {
  readonly code: number;
  readonly stderr: string;
}

/** The end of a program; null when it still runs after this time, and was killed. */
async function endOf(running: Running, withinMs: number): Promise<End | null> {
  const { stdin, stdout, stderr, exited } = running;
  const words = new StderrLines(() => undefined);
  stdin.on("error", () => undefined);
  stdout.resume();
  stderr.on("data", (chunk: Buffer) => words.push(chunk));
  const late = Promise.withResolvers<null>();
  const timer = setTimeout(() => late.resolve(null), withinMs);
  const code = await Promise.race([exited, late.promise]).finally(() => clearTimeout(timer));
  if (code !== null) return { code, stderr: words.lastWords };
  await running.kill();
  return null;
}

async function startError({ config }: SandboxedRole, { code, stderr }: End): Promise<MatrixError> {
  const said = stderr === "" ? "without a word" : `with these last words:\n${stderr}`;
  const message = `${programOf(config)} does not start: it ended with exit ${code} ${said}`;
  const place = await placeIn(stderr, config.agent);
  return new MatrixError("module_invalid", message, place === null ? {} : { problems: [place] });
}

/** The innermost place in the program's own file, as Python and Node say it; null for none. */
async function placeIn(stderr: string, file: string): Promise<Problem | null> {
  const lines = stderr.split("\n");
  const at = lines.findLastIndex(
    (line) => line.includes(`"${file}", line `) || isPlace(line, file),
  );
  const number = Number(
    /(?:, line |:)(\d+)/.exec(lines[at]?.split(file)[1] ?? "")?.[1] ?? Number.NaN,
  );
  if (!Number.isInteger(number)) return null;
  const message = lines.findLast((line) => /^[\w.]*(Error|Exception|Exit|Interrupt)\b/.test(line));
  const source = (await readFile(file, "utf8").catch(() => "")).split(/\r?\n/)[number - 1] ?? "";
  const [shown = "", marks = ""] = lines.slice(at + 1);
  const mark = /^[\s~^]*$/.test(marks) ? marks.search(/[~^]/) : -1;
  const column = mark === -1 ? {} : { column: mark - indentOf(shown) + indentOf(source) + 1 };
  return { file, line: number, ...column, message: message ?? "the program does not start" };
}

/** Node's form: the path or its URL with the number of the line, alone on a line. */
function isPlace(line: string, file: string): boolean {
  return new RegExp(`^(file://)?${RegExp.escape(file)}:\\d+$`).test(line);
}

function indentOf(line: string): number {
  return line.length - line.trimStart().length;
}
