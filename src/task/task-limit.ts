// The limit of one task (run.task_limit): what it may use before its next request to a model. It is
// a pure function of the history, so a task that starts again, or is replayed, ends at the same
// place. Branches share what their task has left in equal parts, and need not know of each other.

import { totalsOf } from "./encoded.ts";
import { roundMoney, type Spent } from "./spent.ts";
import type { Task, TaskLimit } from "./task.ts";

export function spentBy(task: Task): Spent {
  const { usage, cost } = totalsOf(task);
  return { ...usage, cost: cost ?? 0 };
}

/** The part of the limit that is used up, in words; null while another request may be sent. */
export function limitReached(spent: Spent, limit: TaskLimit): string | null {
  const used = amountsOf(spent);
  for (const name of ["calls", "tokens", "cost"] as const) {
    const most = limit[name];
    if (most !== undefined && used[name] >= most)
      return name === "cost"
        ? `a cost of ${used.cost} of ${most}`
        : `${used[name].toLocaleString("en-US")} of ${most.toLocaleString("en-US")} ${name}`;
  }
  return null;
}

/** The limit of one of `count` branches, the `index`-th, of a task that has spent so much. */
export function shareOf(limit: TaskLimit, spent: Spent, index: number, count: number): TaskLimit {
  const used = amountsOf(spent);
  const whole = (name: "tokens" | "calls") => {
    const most = limit[name];
    if (most === undefined) return undefined;
    const left = Math.max(0, most - used[name]);
    return used[name] + Math.floor(left / count) + (index < left % count ? 1 : 0);
  };
  const left = Math.max(0, (limit.cost ?? 0) - used.cost);
  return {
    tokens: whole("tokens"),
    cost: limit.cost === undefined ? undefined : roundMoney(used.cost + left / count),
    calls: whole("calls"),
  };
}

function amountsOf(spent: Spent): Readonly<Record<"tokens" | "cost" | "calls", number>> {
  return {
    tokens: spent.prompt_tokens + spent.completion_tokens,
    cost: spent.cost,
    calls: spent.requests - (spent.failed_requests ?? 0),
  };
}
