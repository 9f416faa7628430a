// The code agent: a function of the user's module, (task, context) => JSON, with or without a
// promise.

import { MatrixError, messageOf } from "../error.ts";
import { TOO_DEEP } from "../task/depth.ts";
import { ExactNumber } from "../task/exact.ts";
import { freezeJson, type Json, type JsonObject } from "../task/json.ts";
import { TOO_HEAVY_DEPTH, WEIGHT_MAX, weigh } from "../task/size.ts";
import type { Task } from "../task/task.ts";
import type { Agent, AgentAnswer, AgentContext } from "./contract.ts";

/** The second argument of the user's function. */
export interface CodeContext<S = JsonObject> extends Pick<AgentContext, "signal"> {
  /** The role's `with` table. */
  readonly settings: S;
}

export type CodeFunction = (task: Task, context: CodeContext) => Json | Promise<Json>;

/**
 * Steps whose result and task are checked. A result that is not JSON and a changed history are
 * programming errors, and show in a role's first steps.
 */
const STEPS_CHECKED = 16;

export function createCodeAgent(path: string, exported: unknown, settings: JsonObject): Agent {
  if (typeof exported !== "function") {
    throw new MatrixError("module_invalid", `${path} does not export an agent function`, {
      hint: "export default agent((task, { signal, settings }) => result)",
    });
  }
  const run = exported as CodeFunction;
  let checks = STEPS_CHECKED;
  const answer = (result: Json): AgentAnswer => {
    if (result === undefined)
      throw new MatrixError(
        "agent_failed",
        `${path} returned undefined; return JSON, or null for nothing`,
      );
    if (checks > 0) {
      checks--;
      const weight = weigh(result);
      // The host fails the task of a result that is this large. It may share its parts, and then
      // has more of them than can be visited.
      if (weight > WEIGHT_MAX) return { result };
      if (weight === TOO_HEAVY_DEPTH)
        throw new MatrixError("task_too_deep", `what ${path} returned ${TOO_DEEP}`, {
          hint: "a value that contains itself is nested without end",
        });
      assertJson(result, path, "result");
    }
    return { result };
  };
  return {
    run: (task, context) => {
      const given = new Context(context, settings);
      let result: Json | Promise<Json>;
      try {
        if (checks > 0) freezeTask(task);
        result = run(task, given);
      } catch (cause) {
        throw agentFailed(cause);
      }
      return isThenable(result) ? Promise.resolve(result).then(answer, rethrow) : answer(result);
    },
  };
}

/** Freezes the parts one by one, because a task from the wire has more members than its JSON. */
function freezeTask(task: Task): void {
  Object.freeze(task);
  for (const part of [task.row, task.state, task.history]) freezeJson(part);
}

class Context implements CodeContext {
  readonly settings: JsonObject;
  readonly #step: AgentContext;

  constructor(step: AgentContext, settings: JsonObject) {
    this.#step = step;
    this.settings = settings;
  }

  get signal(): AbortSignal {
    return this.#step.signal;
  }
}

function isThenable(value: unknown): value is Promise<Json> {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof (value as { then?: unknown }).then === "function"
  );
}

function rethrow(cause: unknown): never {
  throw agentFailed(cause);
}

function agentFailed(cause: unknown): MatrixError {
  return cause instanceof MatrixError
    ? cause
    : new MatrixError("agent_failed", messageOf(cause), { cause });
}

/** Fails with the path of the first part that JSON cannot carry. */
function assertJson(value: unknown, module: string, path: string): void {
  const type = typeof value;
  if (
    value === null ||
    type === "string" ||
    type === "boolean" ||
    type === "bigint" ||
    value instanceof ExactNumber ||
    (type === "number" && Number.isFinite(value))
  )
    return;
  const plain =
    Array.isArray(value) ||
    (type === "object" && [Object.prototype, null].includes(Object.getPrototypeOf(value)));
  if (!plain)
    throw new MatrixError(
      "agent_failed",
      `${module}: ${path} is ${describe(value)}, which JSON cannot carry`,
    );
  for (const [key, part] of Object.entries(value as object)) {
    if (part !== undefined)
      assertJson(part, module, Array.isArray(value) ? `${path}[${key}]` : `${path}.${key}`);
  }
}

function describe(value: unknown): string {
  if (typeof value !== "object" || value === null)
    return typeof value === "number" ? String(value) : typeof value;
  return `a ${value.constructor?.name ?? "object"}`;
}
