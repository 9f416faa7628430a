// The contract of an agent: code that does one step of a task. It reads the task and answers. It
// never routes, and never changes the task.

import type { Json } from "../task/json.ts";
import type { Task, Unanswered, Usage } from "../task/task.ts";
import type { Asked } from "../telemetry/tracing.ts";

export interface Agent {
  /**
   * Answers with or without a promise. An error that it throws ends the task: a MatrixError with
   * its own code, any other with `agent_failed`.
   */
  run(task: Task, context: AgentContext): AgentAnswer | Promise<AgentAnswer>;
}

export interface AgentContext {
  /** Aborts at the role's timeout, at the task's timeout, and when the run is stopped. */
  readonly signal: AbortSignal;
  /** Number of this try of the step, from 1 (`roles.NAME.retries`). */
  readonly tries: number;
  /**
   * Notes an answer of a model that was paid for and cannot be used. It stays in the record, also
   * when the step fails later.
   */
  missed(answer: AgentAnswer, problem: string): void;
}

export interface AgentAnswer {
  readonly result: Json;
  /** Name of the model, when the agent asked one. */
  readonly model?: string;
  readonly usage?: Usage;
  readonly cost?: number;
  /** The way in which the model answered, for traces. It is not recorded. */
  readonly asked?: Asked;
  /** The reason why the task ends here: the model gave no whole answer. */
  readonly stop?: Unanswered;
}
