// The end of a task that cannot go on: a typed error, no score, and the history that the task has.

import { MatrixError, messageOf } from "../error.ts";
import type { Ending, EndMessage, Task, TaskError } from "./task.ts";

/** A stack in a record has at most this many lines. */
const STACK_LINES_MAX = 12;

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
      error,
    },
  };
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
    origin.stack !== undefined;
  return {
    code,
    message: messageOf(thrown),
    role,
    hop,
    ...(withStack ? { stack: shortStack(origin.stack ?? "") } : {}),
  };
}

function shortStack(stack: string): string {
  return stack.split("\n").slice(0, STACK_LINES_MAX).join("\n");
}

function stopReasonOf(code: string): Ending["stopReason"] {
  if (code === "agent_timeout" || code === "task_timeout") return "timeout";
  return code === "max_hops" || code === "task_limit" ? code : "error";
}
