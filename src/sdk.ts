// The module that recipes import as "matrix": the three things that a user writes (an agent, an
// orchestrator, a request) and their types.

import type { CodeContext } from "./agent/code.ts";
import type { PromptTask } from "./agent/prompt-task.ts";
import type { ModelRequest, RequestContext } from "./agent/request.ts";
import type { Orchestrator } from "./orchestrator/contract.ts";
import type { Json, JsonObject } from "./task/json.ts";
import type { Task } from "./task/task.ts";

export type { CodeContext } from "./agent/code.ts";
export type { PromptHop, PromptTask } from "./agent/prompt-task.ts";
export type { ModelRequest, RequestContext } from "./agent/request.ts";
export type { ChatMessage, ToolCall } from "./model/contract.ts";
export {
  type Done,
  done,
  type Fork,
  fork,
  type Orchestrator,
  type Route,
  type RouteContext,
  type ToRole,
  to,
} from "./orchestrator/contract.ts";
export type { Json, JsonObject } from "./task/json.ts";
export type { Hop, Task, Usage } from "./task/task.ts";

/** An error that ends its step at once, whatever `retries` of the role says. */
export class FatalError extends Error {
  override readonly name = "FatalError";
  readonly fatal = true;
}

/**
 * Defines an agent. Its step reads the task and answers with JSON, at once or later. `S` is the
 * type of the role's `with` table.
 */
export function agent<S = JsonObject>(
  run: (task: Task, context: CodeContext<S>) => Json | Promise<Json>,
): (task: Task, context: CodeContext<S>) => Json | Promise<Json> {
  return run;
}

/**
 * Defines the request of an llm role, in place of templates. `S` is the type of the role's `with`
 * table. The task has no times, hosts and attempts, so that a repeated step makes the same request.
 */
export function request<S = JsonObject>(
  write: (task: PromptTask, context: RequestContext<S>) => ModelRequest,
): (task: PromptTask, context: RequestContext<S>) => ModelRequest {
  return write;
}

/**
 * Defines an orchestrator with state `S`. Both functions are pure. An orchestrator with settings is
 * a function of the settings that returns one.
 */
export function orchestrator<S extends Json>(rule: Orchestrator<S>): Orchestrator<S> {
  return rule;
}
