// The two pure steps of a task's life: how it starts, and how it goes on after a hop. Everything
// that a rule can get wrong (it throws, it names an unknown role) ends the task as failed, with its
// history.

import { MatrixError, messageOf } from "../error.ts";
import { cutDepth, TOO_DEEP } from "../task/depth.ts";
import { appendHop, hopCount, moveTask } from "../task/encoded.ts";
import { failTask, taskErrorOf } from "../task/failure.ts";
import type { Json, JsonObject } from "../task/json.ts";
import { type Later, whenHere } from "../task/later.ts";
import {
  isRowTooLarge,
  isStateTooLarge,
  isTooLarge,
  STATE_BYTES_MAX,
  TASK_BYTES_MAX,
  TOO_HEAVY_DEPTH,
  WEIGHT_MAX,
  weigh,
} from "../task/size.ts";
import {
  type EndMessage,
  type Hop,
  isUnanswered,
  type Message,
  type Task,
  type TaskError,
  type TaskLimit,
  type Unanswered,
} from "../task/task.ts";
import {
  contextOf,
  type Done,
  done,
  type Fork,
  type Orchestrator,
  type RemoteOrchestrator,
  type Route,
  type RouteContext,
  type ToRole,
} from "./contract.ts";
import { problemOf } from "./decision.ts";

export interface Rule {
  readonly orchestrator: Orchestrator | RemoteOrchestrator;
  /** Roles of the recipe: a task may be sent to these and to no other. */
  readonly roles: ReadonlySet<string>;
  readonly maxHops: number;
  /** The limit of each task; branches get a share of it. */
  readonly limit?: TaskLimit | undefined;
}

/** The members of a task that are known before its first step. */
export type Admitted = Pick<
  Task,
  "rowId" | "trial" | "row" | "seed" | "attempt" | "admittedAt" | "trace"
>;

const TOO_LARGE = `larger than ${TASK_BYTES_MAX / 2 ** 20} MiB`;

/** The state of a task that waits for its branches. */
export interface Forked extends JsonObject {
  readonly branches: readonly { readonly to: string; readonly state: Json }[];
  /** The state of the rule's fork, which `join` receives. */
  readonly state: Json;
}

/** The first message of a task. */
export function startTask(rule: Rule, admitted: Admitted): Later<Message> {
  const task: Task = { ...admitted, role: "", state: null, history: [] };
  const weight = weigh(task.row);
  if (weight === TOO_HEAVY_DEPTH) {
    const message = `the row ${TOO_DEEP}; its record has those levels of it`;
    const bare = { ...task, row: cutDepth(task.row) };
    if (isRowTooLarge(bare, weigh(bare.row))) return failLargeRow(task);
    return failTask(bare, { code: "task_too_deep", message, role: null, hop: null });
  }
  if (isRowTooLarge(task, weight)) return failLargeRow(task);
  return route(rule, task, null, (context) => rule.orchestrator.start(task.row, context));
}

function failLargeRow(task: Task): EndMessage {
  const message = `the row is ${TOO_LARGE}; its record leaves it out`;
  const bare = { ...task, row: {} };
  return failTask(bare, { code: "task_too_large", message, role: null, hop: null });
}

/**
 * The message after a finished hop, which is appended to the history. `stop` says why the hop's
 * model gave no whole answer; null when it gave one.
 */
export function nextMessage(
  rule: Rule,
  task: Task,
  hop: Hop,
  stop: Unanswered | null = null,
): Later<Message> {
  const weight = weigh(hop.result);
  if (weight === TOO_HEAVY_DEPTH) {
    const message = `this result ${TOO_DEEP}`;
    return failWithout(task, hop, { code: "task_too_deep", message });
  }
  const tooLarge = {
    code: "task_too_large",
    message: `this result makes the task ${TOO_LARGE}`,
  } as const;
  // A result that shares its parts with itself may be too large to be written even once.
  if (weight > WEIGHT_MAX) return failWithout(task, hop, tooLarge);
  let after: Task;
  try {
    after = appendHop(task, hop);
  } catch (cause) {
    // A value that JSON cannot carry (a symbol, a cycle) came from user code.
    const message = `the result is not JSON: ${messageOf(cause)}`;
    return failTask(task, { code: "agent_failed", message, role: task.role, hop: hop.hop });
  }
  if (isTooLarge(after, hop, weight)) return failWithout(task, hop, tooLarge);
  const { orchestrator } = rule;
  if (stop === null)
    return route(rule, after, task.role, (context) =>
      orchestrator.next(task.state, hop.result, context),
    );
  const ended = done({ reason: stop, outcome: { role: task.role } });
  return route(
    rule,
    after,
    task.role,
    (context) => orchestrator.unanswered?.(task.state, stop, context) ?? ended,
  );
}

/** Ends a task whose last result cannot be kept. The record keeps what the answer cost. */
function failWithout(
  task: Task,
  { missed: _, ...paid }: Hop,
  { code, message }: Pick<TaskError, "code" | "message">,
): EndMessage {
  const bare = paid.usage === undefined ? task : appendHop(task, withoutResult(paid, code));
  return failTask(bare, { code, message, role: task.role, hop: paid.hop });
}

function withoutResult(hop: Hop, error: string): Hop {
  return { ...hop, error, result: null };
}

/**
 * Asks the rule, checks its decision and turns it into a message. `role` is the role that has
 * acted; null for none.
 */
export function route(
  rule: Rule,
  task: Task,
  role: string | null,
  decide: (context: RouteContext) => Later<Route>,
): Later<Message> {
  return whenHere(ask(rule, task, role, decide), (decided) => take(rule, task, role, decided));
}

/** The same for a rule that may answer null, which is passed on. */
export function routeOrWait(
  rule: Rule,
  task: Task,
  decide: (context: RouteContext) => Later<Route | null>,
): Later<Message | null> {
  return whenHere(ask(rule, task, null, decide), (decided) =>
    decided === null ? null : take(rule, task, null, decided),
  );
}

/** A decision, or the end of a task whose rule failed. A rule in this process must not wait. */
function ask<R>(
  rule: Rule,
  task: Task,
  role: string | null,
  decide: (context: RouteContext) => Later<R>,
): Later<R | Failed> {
  try {
    const decided = decide(contextOf(task, role));
    if (!(decided instanceof Promise)) return decided;
    const refused = "isRemote" in rule.orchestrator ? null : refuse(rule, task, role, decided);
    if (refused !== null) return new Failed(refused);
    return decided.catch((cause) => new Failed(ruleFailed(task, role, cause)));
  } catch (cause) {
    return new Failed(ruleFailed(task, role, cause));
  }
}

class Failed {
  readonly end: EndMessage;

  constructor(end: EndMessage) {
    this.end = end;
  }
}

function ruleFailed(task: Task, role: string | null, cause: unknown): EndMessage {
  const error =
    cause instanceof MatrixError
      ? cause
      : new MatrixError("orchestrator_failed", messageOf(cause), { cause });
  return failTask(task, {
    ...taskErrorOf(error, role, hopOf(task, role)),
    code: "orchestrator_failed",
  });
}

function hopOf(task: Task, role: string | null): number | null {
  return role === null ? null : hopCount(task) - 1;
}

/** The end of a task whose rule decided on something that is no decision; null where it is one. */
function refuse(rule: Rule, task: Task, role: string | null, decided: unknown): EndMessage | null {
  const message = problemOf(decided, role, {
    roles: rule.roles,
    canJoin: rule.orchestrator.join !== undefined,
    isBranch: task.branch !== undefined,
  });
  if (message === null) return null;
  return failTask(task, { code: "orchestrator_failed", message, role, hop: hopOf(task, role) });
}

/** Checks a decision and turns it into a message. */
function take(rule: Rule, task: Task, role: string | null, decided: Route | Failed): Message {
  if (decided instanceof Failed) return decided.end;
  const refused = refuse(rule, task, role, decided);
  if (refused !== null) return refused;
  const hop = hopOf(task, role);
  const unfit = unfitDecision(decided);
  if (unfit !== null) return failTask(task, { ...unfit, role, hop });
  if ("done" in decided) return finish(task, decided);
  const tooMany = tooManyHops(hopCount(task), rule.maxHops, decided);
  if (tooMany !== null) return failTask(task, { code: "max_hops", message: tooMany, role, hop });
  if ("fork" in decided) {
    const state: Forked = {
      branches: decided.fork.map(({ to, state }) => ({ to, state })),
      state: decided.state,
    };
    return { kind: "fork", task: moveTask(task, "", state) };
  }
  return { kind: "step", task: moveTask(task, decided.to, decided.state) };
}

/** The reason why a task may not take the steps of a decision; null when it may. */
function tooManyHops(used: number, most: number, decided: ToRole | Fork): string | null {
  if ("to" in decided)
    return used < most
      ? null
      : `the task has used its ${most} hops (run.max_hops) and would go to ${decided.to}`;
  const more = decided.fork.length;
  return used + more <= most
    ? null
    : `the task has used ${used} of its ${most} hops (run.max_hops) and would take ${more} at once`;
}

/** The reason why no message and no record can hold a decision; null when they can. */
function unfitDecision(decided: Route): Pick<TaskError, "code" | "message"> | null {
  const weight = weigh(decided);
  const what = "the state or outcome of the rule";
  if (weight === TOO_HEAVY_DEPTH) return { code: "task_too_deep", message: `${what} ${TOO_DEEP}` };
  if (!isStateTooLarge(decided, weight)) return null;
  const message = `${what} is larger than ${STATE_BYTES_MAX / 2 ** 20} MiB`;
  return { code: "task_too_large", message };
}

function finish(task: Task, { done: stopReason, score, outcome }: Done): EndMessage {
  return {
    kind: "end",
    task,
    ending: {
      status: "ok",
      stopReason,
      // A task without a whole answer has no score, even if the rule gives one. A score may be true
      // or false, and a decision made by hand may leave members out.
      score: isUnanswered(stopReason) || (score ?? null) === null ? null : Number(score),
      outcome: outcome ?? null,
      error: null,
    },
  };
}
