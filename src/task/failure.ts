// The end of a task that cannot go on: a typed error, no score, and the history that the task has.

import { MatrixError, messageOf } from "../error.ts";
import type { Ending, EndMessage, Task, TaskError } from "./task.ts";

/** A stack in a record has at most this many lines and characters. */
const STACK_LINES_MAX = 12;
const TRACEBACK_LINES_MAX = 24;
const STACK_CHARS_MAX = 8000;
/** A message in a record, which may quote what a model or a program said. */
const MESSAGE_CHARS_MAX = 20_000;

/** The end message of a task that could not go on. */
export function failTask(task: Task, error: TaskError): EndMessage {
  return {
    kind: "end",
    task,
    ending: {
      status: "failed",
      stopReason: stopReasonOf(error.code),
      score: null,
      outcome: null,
      error: withShortMessage(error),
    },
  };
}

function withShortMessage(error: TaskError): TaskError {
  const { message } = error;
  if (message.length <= MESSAGE_CHARS_MAX) return error;
  return { ...error, message: `${message.slice(0, MESSAGE_CHARS_MAX)}…` };
}

/**
 * A thrown value as the record keeps it. The stack of user code is kept, and that of the runtime is
 * not.
 */
export function taskErrorOf(thrown: unknown, role: string | null, hop: number | null): TaskError {
  const code = thrown instanceof MatrixError ? thrown.code : "agent_failed";
  const origin = thrown instanceof MatrixError ? thrown.cause : thrown;
  const withStack =
    (code === "agent_failed" || code === "orchestrator_failed") &&
    origin instanceof Error &&
    origin.stack !== undefined &&
    origin.stack !== "";
  return {
    code,
    message: adviceOf(thrown),
    role,
    hop,
    ...(withStack ? { stack: shortStack(origin.stack ?? "") } : {}),
  };
}

/** The message with its hint. A record has no other place for what the user can do. */
function adviceOf(thrown: unknown): string {
  const hint = thrown instanceof MatrixError ? thrown.hint : undefined;
  return hint === undefined ? messageOf(thrown) : `${messageOf(thrown)} (${hint})`;
}

/** Files inside the compiled binary, whose frames tell a user nothing. */
const OWN_FRAME = /\/\$bunfs\//;

/** The innermost calls. A traceback of Python has them, and its error, at its end. */
function shortStack(stack: string): string {
  const lines = stack
    .trimEnd()
    .split("\n")
    .filter((line) => !OWN_FRAME.test(line));
  const [first = ""] = lines;
  if (!first.startsWith("Traceback "))
    return lines.slice(0, STACK_LINES_MAX).join("\n").slice(0, STACK_CHARS_MAX);
  const last = lines.slice(1).slice(-TRACEBACK_LINES_MAX).join("\n");
  return `${first.slice(0, STACK_CHARS_MAX)}\n${last.slice(-STACK_CHARS_MAX)}`;
}

function stopReasonOf(code: string): Ending["stopReason"] {
  if (code === "agent_timeout" || code === "task_timeout") return "timeout";
  return code === "max_hops" || code === "task_limit" ? code : "error";
}
