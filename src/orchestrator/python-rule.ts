// A rule in Python. Each question carries only the parts of the task that the rule reads after a
// role: when it reads another one, it is asked again with it, and that part is sent from then on.

import { failureOf, type Opened } from "../python/files.ts";
import type { Json, JsonObject } from "../task/json.ts";
import type { Unanswered } from "../task/task.ts";
import type { Done, RemoteOrchestrator, Route, RouteContext } from "./contract.ts";

type Operation = "start" | "next" | "unanswered" | "join";
type Part = "row" | "history";

/** The rule of an opened file. */
export function createPythonRule({ pool, about }: Opened): RemoteOrchestrator {
  const read = new Map<string, Set<Part>>();
  const decide = async <R>(op: Operation, given: object, context: RouteContext): Promise<R> => {
    // A rule often reads the history after one role and not after the others.
    const after = `${op} ${context.role}`;
    const parts = read.get(after) ?? new Set(op === "start" ? ["row"] : []);
    read.set(after, parts);
    for (;;) {
      const answer = await pool.ask(questionOf(op, given, context, parts));
      const { missing, error } = answer;
      if (Array.isArray(missing)) for (const part of missing) parts.add(part as Part);
      else if (error !== undefined)
        throw failureOf("orchestrator_failed", null, error as JsonObject);
      else return answer["decided"] as R;
    }
  };
  const rule: RemoteOrchestrator = {
    isRemote: true,
    start: (_row: JsonObject, context) => decide<Route>("start", {}, context),
    next: (state: Json, result: Json, context) => decide<Route>("next", { state, result }, context),
  };
  return {
    ...rule,
    ...(about.operations.has("unanswered") && {
      unanswered: (state: Json, reason: Unanswered, context: RouteContext) =>
        decide<Route>("unanswered", { state, reason }, context),
    }),
    ...(about.operations.has("join") && {
      join: (state: Json, ended: readonly (Done | null)[], context: RouteContext) =>
        decide<Route | null>("join", { state, ended }, context),
    }),
  };
}

function questionOf(
  op: Operation,
  given: object,
  context: RouteContext,
  parts: ReadonlySet<Part>,
): string {
  const { id, trial, seed, role } = context;
  const sent: Record<string, unknown> = { id, trial, seed, role };
  for (const part of parts) sent[part] = context[part];
  return JSON.stringify({ op, ...given, context: sent });
}
