// A graph of LangGraph for Python as a rule. The interpreter walks it (sandboxes/matrix_graph.py);
// what the end of a graph means for its record is decided here, as for graphs in TypeScript.

import type { Opened } from "../../python/files.ts";
import type { Json, JsonObject } from "../../task/json.ts";
import type { RemoteOrchestrator, Route, RouteContext } from "../contract.ts";
import { createPythonRule } from "../python-rule.ts";
import type { Compiled } from "../results.ts";
import { endOf } from "./end.ts";

/** The end of a walk, in place of a route. */
interface Ended {
  readonly end: { readonly values: JsonObject; readonly result: Json };
}

/** The rule of a graph in an opened file. */
export function createPythonGraph(opened: Opened, score: Compiled): RemoteOrchestrator {
  const rule = createPythonRule(opened);
  const ended = <R extends Route | null>(decided: R | Ended, context: RouteContext): R | Route =>
    decided !== null && "end" in decided
      ? endOf(decided.end.values, decided.end.result, score, context)
      : decided;
  const { join } = rule;
  return {
    isRemote: true,
    start: async (row, context) => ended(await rule.start(row, context), context),
    next: async (state, result, context) => ended(await rule.next(state, result, context), context),
    ...(join !== undefined && {
      join: async (state: Json, branches: Parameters<typeof join>[1], context: RouteContext) =>
        ended(await join(state, branches, context), context),
    }),
  };
}
