// Tasks that a test writes by hand.

import type { Task } from "../../src/task/task.ts";

/** A task of row 1, trial 0, that is at its first step, in role a. */
export function taskOf(more: Partial<Task> = {}): Task {
  return {
    rowId: "1",
    trial: 0,
    row: {},
    seed: 1,
    attempt: 1,
    role: "a",
    state: null,
    history: [],
    admittedAt: 0,
    trace: null,
    ...more,
  };
}
