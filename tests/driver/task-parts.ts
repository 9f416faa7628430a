// Shared by tests of the driver's parts: a rule of one role, and tasks of it.

import type { Rule } from "../../src/orchestrator/advance.ts";
import { done, to } from "../../src/orchestrator/contract.ts";
import type { EndMessage, Task } from "../../src/task/task.ts";

/** A task visits role `a` once. */
export const ONE_STEP: Rule = {
  orchestrator: { start: () => to("a"), next: () => done() },
  roles: new Set(["a"]),
  maxHops: 10,
};

export interface AdmittedParts {
  readonly trial?: number;
  readonly attempt?: number;
  readonly admittedAt?: number;
}

export function admitted(rowId: string, parts: AdmittedParts = {}) {
  const { trial = 0, attempt = 1, admittedAt = 5 } = parts;
  return { rowId, trial, row: { q: rowId }, seed: 7, attempt, admittedAt, trace: null };
}

/** The end of a task; `code` makes it a failed one. */
export function endOf(
  rowId: string,
  parts: AdmittedParts & { readonly code?: string } = {},
): EndMessage {
  const { code = null } = parts;
  const task: Task = { ...admitted(rowId, parts), role: "a", state: null, history: [] };
  const error = code === null ? null : { code, message: "it broke", role: "a", hop: 0 };
  const status = error === null ? "ok" : "failed";
  const stopReason = error === null ? "completed" : "error";
  return { kind: "end", task, ending: { status, stopReason, score: null, outcome: null, error } };
}
