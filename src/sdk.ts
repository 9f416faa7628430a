// What a recipe's modules import from "matrix": the two things a user writes, an agent and an orchestrator, and their types.

import type { CodeContext } from "./agent/code.ts";
import type { Orchestrator } from "./orchestrator/contract.ts";
import type { Json, JsonObject } from "./task/json.ts";
import type { Task } from "./task/task.ts";

export type { CodeContext } from "./agent/code.ts";
export type { ChatMessage, ToolCall } from "./model/contract.ts";
export { type Done, done, type Orchestrator, type Route, type RouteContext, type ToRole, to } from "./orchestrator/contract.ts";
export type { Json, JsonObject } from "./task/json.ts";
export type { Hop, Task, Usage } from "./task/task.ts";

/** An agent's step: reads the task, answers JSON, at once or later. `S` is the type of the role's `with` table. */
export function agent<S = JsonObject>(
  run: (task: Task, context: CodeContext<S>) => Json | Promise<Json>,
): (task: Task, context: CodeContext<S>) => Json | Promise<Json> {
  return run;
}

/** An orchestrator with state `S`. Both functions are pure. For settings, export a function of them that returns one. */
export function orchestrator<S extends Json>(rule: Orchestrator<S>): Orchestrator<S> {
  return rule;
}
