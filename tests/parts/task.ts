// Tasks that a test writes by hand.

import type { Json } from "../../src/task/json.ts";
import type { Hop, Task } from "../../src/task/task.ts";

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

/** A hop of a role with its result, and nothing else that matters. */
export function hopOf(role: string, result: Json, more: Partial<Hop> = {}): Hop {
  return { hop: 0, role, host: "h", at: "", queue_ms: 0, run_ms: 0, result, ...more };
}
