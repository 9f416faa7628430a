// The task as prompts see it: what its row, its seed and its steps' results decide, and nothing
// else. Hosts, times, attempts and costs differ from one execution to the next. In a prompt they
// would make each request a new one, which neither the journal nor a cache knows.

import type { Hop, Task } from "../task/task.ts";

/** A finished step, as prompts see it. */
export type PromptHop = Pick<Hop, "hop" | "role" | "branch" | "model" | "result">;

export interface PromptTask
  extends Pick<Task, "rowId" | "trial" | "row" | "seed" | "role" | "state"> {
  readonly history: readonly PromptHop[];
}

export function promptTask({ rowId, trial, row, seed, role, state, history }: Task): PromptTask {
  return { rowId, trial, row, seed, role, state, history: history.map(promptHop) };
}

function promptHop({ hop, role, branch, model, result }: Hop): PromptHop {
  return {
    hop,
    role,
    ...(branch === undefined ? {} : { branch }),
    ...(model === undefined ? {} : { model }),
    result,
  };
}
