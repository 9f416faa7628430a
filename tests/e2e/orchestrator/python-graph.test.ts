// LangGraph for Python itself beside our rule: the same graph, row and answers of roles give the
// same state. The interpreter is that of scripts/python-env.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { createPythonGraph } from "../../../src/orchestrator/graph/python-graph.ts";
import { PythonFiles } from "../../../src/python/files.ts";
import type { Json, JsonObject } from "../../../src/task/json.ts";
import { plain, play } from "../../orchestrator/graph/play.ts";
import { langgraphPython } from "../../parts/langgraph-python.ts";

const DRAWN = Number(process.env["MATRIX_GRAPHS"] ?? 150);
const SEED = Number(process.env["MATRIX_GRAPH_SEED"] ?? 1);
const FILE = join(import.meta.dir, "../../orchestrator/graph/graphs.py");

interface Line {
  readonly row: JsonObject;
  readonly roles: readonly string[];
  readonly outputs: readonly string[];
  readonly state: JsonObject;
}

/** The final states by LangGraph itself. */
async function linesOf(python: string, seed: number, count: number): Promise<readonly Line[]> {
  const child = Bun.spawn([python, FILE, String(seed), String(count)], { stderr: "pipe" });
  const text = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error(await new Response(child.stderr).text());
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
}

test.if(langgraphPython !== null)(
  `LangGraph for Python and our rule end in the same state for each kind of graph, and for ${DRAWN} that are drawn (MATRIX_GRAPH_SEED=${SEED})`,
  async () => {
    const command = [langgraphPython ?? ""];
    let values: JsonObject = {};
    const files = new PythonFiles({ command, processes: 1, watchesAll: true });
    const opened = await files.open({ kind: "rule", path: FILE, settings: {} });
    const rule = createPythonGraph(opened, (variables) => {
      values = variables;
      return null;
    });
    const seen = { ended: 0, failed: 0, forks: 0, supersteps: 0 };
    for (const { row, roles, outputs, state } of await linesOf(command[0] ?? "", SEED, DRAWN)) {
      values = {};
      const { end, route } = await play(rule, roles, row);
      const { error } = end.ending;
      expect({ row, error: error !== null }).toEqual({ row, error: "error" in state });
      if (error !== null) {
        seen.failed++;
        continue;
      }
      seen.ended++;
      seen.supersteps += route.length;
      seen.forks += route.filter(({ length }) => length > 1).length;
      const ours = Object.fromEntries(
        outputs.flatMap((name) => (name in values ? [[name, values[name] as Json]] : [])),
      );
      expect({ row, state: plain(ours) }).toEqual({ row, state: plain(state) });
    }
    console.log(seen);
  },
  300_000,
);
