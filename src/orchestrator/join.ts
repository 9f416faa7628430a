// The join: the next message of a task when one of its branches has come back.

import type { ErrorCode } from "../error.ts";
import { appendHop, hopCount } from "../task/encoded.ts";
import { failTask } from "../task/failure.ts";
import { type Later, whenHere } from "../task/later.ts";
import { isJoinTooLarge, TASK_BYTES_MAX } from "../task/size.ts";
import type { Ending, Hop, Message, Task } from "../task/task.ts";
import { type Forked, type Rule, route, routeOrWait } from "./advance.ts";
import { type Done, done } from "./contract.ts";

/** A branch that has come back: the hops that it added to the history, and its ending. */
export interface Ended {
  readonly hops: readonly Hop[];
  readonly ending: Ending;
}

/** The first role of each branch, with its state. */
export function branchesOf({ state }: Task): Forked["branches"] {
  return (state as Forked).branches;
}

/**
 * The message of a task after one of its branches has ended; null while the task waits for more
 * branches. `all` has an entry for each branch, null while the branch is under way.
 */
export function joinMessage(
  rule: Rule,
  task: Task,
  all: readonly (Ended | null)[],
): Later<Message | null> {
  // A run records nothing of a branch that another one made idle. In a replay such a branch never
  // ends. A branch that has used up its share is missed only where the others do not suffice.
  const ended = all.map((branch) => (isMissing(branch) ? null : branch));
  const failed = ended.find((branch) => branch !== null && branch.ending.status !== "ok");
  let after = task;
  for (const [index, branch] of all.entries())
    for (const hop of codeOf(branch) === "not_recorded" ? [] : (branch?.hops ?? []))
      after = appendHop(after, { ...hop, hop: hopCount(after), branch: index });
  if (isJoinTooLarge(after)) {
    const message = `the branches make the task larger than ${TASK_BYTES_MAX / 2 ** 20} MiB`;
    return failTask(task, { code: "task_too_large", message, role: null, hop: null });
  }
  if (failed?.ending.error != null) return failTask(after, failed.ending.error);
  const results = ended.map((branch) => (branch === null ? null : doneOf(branch.ending)));
  const { state } = task.state as Forked;
  const decided = routeOrWait(
    rule,
    after,
    (context) => rule.orchestrator.join?.(state, results, context) ?? null,
  );
  return whenHere(decided, (message) => {
    if (message !== null || all.includes(null)) return message;
    // A rule that waits for branches when each has ended leaves the task to its end.
    const error = all.find(isMissing)?.ending.error;
    return error == null ? route(rule, after, null, () => done()) : failTask(after, error);
  });
}

function isMissing(branch: Ended | null): boolean {
  return MISSING.has(codeOf(branch) ?? "");
}

const MISSING: ReadonlySet<string> = new Set<ErrorCode>(["not_recorded", "task_limit"]);

function codeOf(branch: Ended | null): string | null {
  return branch?.ending.error?.code ?? null;
}

function doneOf({ stopReason, score, outcome }: Ending): Done {
  return { done: stopReason as Done["done"], score, outcome };
}
