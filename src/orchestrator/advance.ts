// The two pure steps of a task's life: how it starts and how it goes on after a hop. Everything that a rule can get wrong
// (it throws, it names no role) ends the task as failed, with its history.

import { MatrixError, messageOf } from "../error.ts";
import { appendHop, hopCount, moveTask, sizeOf } from "../task/encoded.ts";
import type { Json, JsonObject } from "../task/json.ts";
import {
  type Ending,
  type Hop,
  isUnanswered,
  type Message,
  type Task,
  type TaskError,
  type Unanswered,
} from "../task/task.ts";
import { contextOf, type Done, done, type Orchestrator, type Route } from "./contract.ts";

export interface Rule {
  readonly orchestrator: Orchestrator;
  /** Roles of the recipe: where a task may be sent. */
  readonly roles: ReadonlySet<string>;
  readonly maxHops: number;
}

/** What admission knows of a task before its first step. */
export type Admitted = Pick<
  Task,
  "rowId" | "trial" | "row" | "seed" | "attempt" | "admittedAt" | "trace"
>;

/** The role of a task that goes several ways at once, and waits: any host does it (src/host/forks.ts). */
export const FORK_ROLE = "+";

/** Row and history of a task on the wire. A hop that would make it larger is left out, and ends it. */
export const TASK_BYTES_MAX = 64 * 2 ** 20;

/** The first message of a task. */
export function startTask(rule: Rule, admitted: Admitted): Message {
  const task: Task = { ...admitted, role: "", state: null, history: [] };
  return route(rule, task, null, () => rule.orchestrator.start(task.row, contextOf(task, null)));
}

/** The message after a finished hop, which is appended to the history. `stop`: why its model gave no whole answer, if so. */
export function nextMessage(
  rule: Rule,
  task: Task,
  hop: Hop,
  stop: Unanswered | null = null,
): Message {
  let after: Task;
  try {
    after = appendHop(task, hop);
  } catch (cause) {
    // What JSON cannot carry (a BigInt, a cycle) came from user code.
    const message = `the result is no JSON: ${messageOf(cause)}`;
    return failTask(task, { code: "agent_failed", message, role: task.role, hop: hop.hop });
  }
  if (sizeOf(after) > TASK_BYTES_MAX) {
    const message = `with this result the task has more than ${TASK_BYTES_MAX / 2 ** 20} MiB`;
    return failTask(task, { code: "task_too_large", message, role: task.role, hop: hop.hop });
  }
  const context = contextOf(after, task.role);
  if (stop === null)
    return route(rule, after, task.role, () =>
      rule.orchestrator.next(task.state, hop.result, context),
    );
  const ended = done({ reason: stop, outcome: { role: task.role } });
  return route(
    rule,
    after,
    task.role,
    () => rule.orchestrator.unanswered?.(task.state, stop, context) ?? ended,
  );
}

/** What a task carries while it waits for its branches. */
interface Forked extends JsonObject {
  readonly branches: readonly { readonly to: string; readonly state: Json }[];
  readonly state: Json;
}

/** Where the branches of a task begin. */
export function branchesOf({ state }: Task): Forked["branches"] {
  return (state as Forked).branches;
}

/**
 * The message after a branch has ended, or null while the task waits for more. `all`: what each branch added to the history and
 * how it ended; null for those that have not.
 */
export function joinMessage(
  rule: Rule,
  task: Task,
  all: readonly (Ended | null)[],
): Message | null {
  // Of a branch that another one made idle, the record has nothing: in a replay it is one that never ends.
  const ended = all.map((branch) => (isUnrecorded(branch) ? null : branch));
  const failed = ended.find((branch) => branch !== null && branch.ending.status !== "ok");
  let after = task;
  for (const [index, branch] of ended.entries())
    for (const hop of branch?.hops ?? [])
      after = appendHop(after, { ...hop, hop: hopCount(after), branch: index });
  if (failed?.ending.error != null) return failTask(after, failed.ending.error);
  if (sizeOf(after) > TASK_BYTES_MAX) {
    const message = `with its branches the task has more than ${TASK_BYTES_MAX / 2 ** 20} MiB`;
    return failTask(task, { code: "task_too_large", message, role: null, hop: null });
  }
  const results = ended.map((branch) => (branch === null ? null : doneOf(branch.ending)));
  const { state } = task.state as Forked;
  let isUndecided = false;
  const message = route(rule, after, null, () => {
    const decided = rule.orchestrator.join?.(state, results, contextOf(after, null)) ?? null;
    isUndecided = decided === null;
    return decided ?? done();
  });
  if (!isUndecided) return message;
  if (all.includes(null)) return null;
  const error = all.find(isUnrecorded)?.ending.error;
  return error == null ? message : failTask(after, error);
}

function isUnrecorded(branch: Ended | null): boolean {
  return branch?.ending.error?.code === "not_recorded";
}

export interface Ended {
  readonly hops: readonly Hop[];
  readonly ending: Ending;
}

function doneOf({ stopReason, score, outcome }: Ending): Done {
  return { done: stopReason as Done["done"], score, outcome };
}

/** The end of a task that could not go on. */
export function failTask(task: Task, error: TaskError): Message {
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

/** A thrown error as the record keeps it. User code's stack is kept, ours is not. */
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

const STACK_LINES_MAX = 12;

function shortStack(stack: string): string {
  return stack.split("\n").slice(0, STACK_LINES_MAX).join("\n");
}

function stopReasonOf(code: string): Ending["stopReason"] {
  if (code === "agent_timeout" || code === "task_timeout") return "timeout";
  return code === "max_hops" ? "max_hops" : "error";
}

function route(rule: Rule, task: Task, role: string | null, decide: () => Route): Message {
  const hop = role === null ? null : hopCount(task) - 1;
  let decided: Route;
  try {
    decided = decide();
  } catch (cause) {
    const error =
      cause instanceof MatrixError
        ? cause
        : new MatrixError("orchestrator_failed", messageOf(cause), { cause });
    return failTask(task, { ...taskErrorOf(error, role, hop), code: "orchestrator_failed" });
  }
  const problem = problemOf(decided, rule, role, task.branch !== undefined);
  if (problem !== null)
    return failTask(task, { code: "orchestrator_failed", message: problem, role, hop });
  if ("done" in decided) return finish(task, decided.done, decided.score, decided.outcome);
  if ("fork" in decided) {
    const state: Forked = {
      branches: decided.fork.map(({ to, state }) => ({ to, state })),
      state: decided.state,
    };
    return { kind: "step", task: moveTask(task, FORK_ROLE, state) };
  }
  if (hopCount(task) >= rule.maxHops) {
    const message = `the task used up its ${rule.maxHops} hops (run.max_hops) and would go to ${decided.to}`;
    return failTask(task, { code: "max_hops", message, role, hop });
  }
  return { kind: "step", task: moveTask(task, decided.to, decided.state) };
}

function finish(
  task: Task,
  stopReason: Ending["stopReason"],
  score: number | null,
  outcome: JsonObject | null,
): Message {
  // What was not answered is not scored, whatever a rule says.
  return {
    kind: "end",
    task,
    ending: {
      status: "ok",
      stopReason,
      score: isUnanswered(stopReason) ? null : score,
      outcome,
      error: null,
    },
  };
}

/** What is wrong with a decision, as user code may return anything; null when it is sound. */
function problemOf(
  decided: unknown,
  rule: Rule,
  role: string | null,
  isBranch: boolean,
): string | null {
  const where = role === null ? "start()" : `next() after ${role}`;
  if (typeof decided !== "object" || decided === null || decided instanceof Promise) {
    const found =
      decided instanceof Promise
        ? "a promise; it must be pure and answer at once"
        : String(decided);
    return `${where} returned ${found}, not to(role, state) or done()`;
  }
  const { to, done, fork } = decided as { to?: Json; done?: Json; fork?: Json };
  if (typeof done === "string") return null;
  if (fork !== undefined) return problemOfFork(fork, rule, where, isBranch);
  if (typeof to !== "string") return `${where} returned neither to(role, state) nor done()`;
  return rule.roles.has(to)
    ? null
    : `${where} routes to "${to}", which is no role of the recipe: ${[...rule.roles].join(", ")}`;
}

function problemOfFork(
  fork: Json,
  { roles, orchestrator }: Rule,
  where: string,
  isBranch: boolean,
): string | null {
  if (!Array.isArray(fork) || fork.length === 0)
    return `${where} goes several ways at once, but names none`;
  if (isBranch) return `${where} goes several ways at once in a branch, which goes one way`;
  if (orchestrator.join === undefined)
    return `${where} goes several ways at once, and the orchestrator has no join()`;
  const unknown = fork
    .map((branch) => (branch as { to?: Json } | null)?.to)
    .find((to) => typeof to !== "string" || !roles.has(to));
  return unknown === undefined
    ? null
    : `${where} has a branch to ${JSON.stringify(unknown)}, which is no role of the recipe: ${[...roles].join(", ")}`;
}
