// The request of an llm role, written by a user's module or Python file instead of templates, for
// environments whose messages, tools and system prompts come from the task itself. The function is
// pure, like an orchestrator: it reads nothing but the task.

import { MatrixError, messageOf } from "../error.ts";
import type { ChatMessage } from "../model/contract.ts";
import { failureOf, type Opened } from "../python/files.ts";
import { insteadOf } from "../recipe/schema/request-schema.ts";
import { isJsonObject, type JsonObject } from "../task/json.ts";
import type { Later } from "../task/later.ts";
import type { Task } from "../task/task.ts";
import { type PromptTask, promptTask } from "./prompt-task.ts";

/** Messages, tools and sampling for a role's model. The recipe's sampling wins over this one. */
export interface ModelRequest {
  readonly messages: readonly ChatMessage[];
  readonly tools?: readonly JsonObject[];
  readonly sampling?: JsonObject;
}

export interface RequestContext<S = JsonObject> {
  /** The role's `with` table. */
  readonly settings: S;
}

/** Writes the request of a task: at once, or later when it runs in another process. */
export type RequestWriter = (task: Task) => Later<ModelRequest>;

/** Fails with `module_invalid`; the writer fails with `prompt_failed`. */
export function createRequestWriter(
  path: string,
  exported: unknown,
  settings: JsonObject,
): RequestWriter {
  if (typeof exported !== "function")
    throw new MatrixError("module_invalid", `${path} does not export a request function`, {
      hint: "export default request((task, { settings }) => ({ messages: […], tools: […] }))",
    });
  const write = exported as (task: PromptTask, context: RequestContext) => unknown;
  return (task) => {
    let written: unknown;
    try {
      written = write(promptTask(task), { settings });
    } catch (cause) {
      throw new MatrixError("prompt_failed", `${path}: ${messageOf(cause)}`, { cause });
    }
    return checked(path, written);
  };
}

/** The writer of a Python file. It fails with `prompt_failed`. */
export function createPythonRequestWriter(
  path: string,
  { pool }: Opened,
  settings: JsonObject,
): RequestWriter {
  return async (given) => {
    const { rowId: id, ...rest } = promptTask(given);
    const task = { id, ...rest, last: rest.history.at(-1)?.result ?? null };
    const { error, decided } = await pool.ask(JSON.stringify({ op: "request", task, settings }));
    if (isJsonObject(error)) throw failureOf("prompt_failed", path, error);
    return checked(path, decided);
  };
}

function checked(path: string, written: unknown): ModelRequest {
  if (!isJsonObject(written) || !Array.isArray(written["messages"]))
    throw new MatrixError("prompt_failed", `${path} did not return { messages: […] }`);
  for (const field of Object.keys(isJsonObject(written["sampling"]) ? written["sampling"] : {})) {
    const instead = insteadOf(field);
    if (instead !== null)
      throw new MatrixError(
        "prompt_failed",
        `${path} returned sampling.${field}, which matrix writes itself: ${instead}`,
      );
  }
  return written as unknown as ModelRequest;
}
