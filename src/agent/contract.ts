// The agent: code that does one step of a task. It reads the task and answers; it never routes and never changes the task.

import type { Json } from "../task/json.ts";
import type { Task, Unanswered, Usage } from "../task/task.ts";

export interface Agent {
  /** May answer at once or later. What it throws ends the task: a MatrixError with its code, anything else as agent_failed. */
  run(task: Task, context: AgentContext): AgentAnswer | Promise<AgentAnswer>;
}

export interface AgentContext {
  /** Aborts on the role's timeout, the task's timeout and when the run is stopped. */
  readonly signal: AbortSignal;
}

export interface AgentAnswer {
  readonly result: Json;
  /** Set by agents that asked a model. */
  readonly model?: string;
  readonly usage?: Usage;
  readonly cost?: number;
  /** The model gave no whole answer, and the task is not to go on with it. */
  readonly stop?: Unanswered;
}
