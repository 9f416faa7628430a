// Keeps a role that asks a model from asking once more for a task that has reached its limit.

import { MatrixError } from "../error.ts";
import type { Spent } from "../task/spent.ts";
import type { Task, TaskLimit } from "../task/task.ts";
import { limitReached, spentBy } from "../task/task-limit.ts";
import type { Agent } from "./contract.ts";

/** The same agent, which fails with `task_limit` for a task that has reached its limit. */
export function withTaskLimit(agent: Agent, limit: TaskLimit): Agent {
  return {
    run: (task, context) => {
      requireRoom(limit, task, spentBy(task));
      return agent.run(task, context);
    },
  };
}

/** Fails with `task_limit`. A branch has its share of the limit. */
export function requireRoom(limit: TaskLimit, { branch }: Task, spent: Spent): void {
  const reached = limitReached(spent, branch?.limit ?? limit);
  if (reached === null) return;
  const whose = branch?.limit === undefined ? "task" : "branch, with its share,";
  throw new MatrixError(
    "task_limit",
    `the ${whose} has used ${reached} (run.task_limit) and would ask a model again`,
  );
}
