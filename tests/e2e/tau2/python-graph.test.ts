// Tau2's rules as a graph of LangGraph for Python make the same requests as the module in
// TypeScript, go the same way and end the same.

import { expect, test } from "bun:test";
import { join } from "node:path";
import createRules from "../../../recipes/tau2/orchestrator.ts";
import type { Orchestrator } from "../../../src/orchestrator/contract.ts";
import { createPythonGraph } from "../../../src/orchestrator/graph/python-graph.ts";
import { PythonFiles } from "../../../src/python/files.ts";
import { langgraphPython } from "../../parts/langgraph-python.ts";
import { ROOT } from "../../parts/repository.ts";
import { answersOf, ROLES, settingsOf, walk, walkLater } from "../../tau2/walk.ts";

const SEEDS = Number(process.env["MATRIX_TAU2_SEEDS"] ?? 60);

test.if(langgraphPython !== null)(
  `tau2 as a graph in Python goes the way of the module for ${SEEDS} seeds, whatever is said`,
  async () => {
    const files = new PythonFiles({
      command: [langgraphPython ?? ""],
      processes: 1,
      watchesAll: true,
    });
    const path = join(ROOT, "recipes/tau2/graph.py");
    const told = { path, name: "build_tau2_graph", roles: ROLES, canFork: true };
    const ends = new Set<string>();
    // One interpreter has one graph, so seeds share their settings.
    for (let kind = 0; kind < 6; kind++) {
      const settings = settingsOf(kind * 7);
      const module = createRules(settings) as unknown as Orchestrator;
      const opened = await files.open({
        kind: "graph",
        path,
        settings: { ...settings },
        graph: told,
      });
      const graph = createPythonGraph(opened, null);
      for (let seed = 0; seed < SEEDS / 6; seed++) {
        const answers = answersOf(seed, settings.solo);
        const [ours, theirs] = [await walkLater(graph, answers), walk(module, answers)];
        expect({ kind, seed, steps: ours.steps }).toEqual({ kind, seed, steps: theirs.steps });
        const { error, ...ending } = ours.ending;
        const { error: failure, ...rest } = theirs.ending;
        expect(ending).toEqual(rest);
        expect(error?.message.replace("RuntimeError: ", "")).toEqual(failure?.message);
        ends.add(theirs.ending.stopReason);
      }
    }
    expect([...ends].sort()).toEqual(["error", "max_turns", "stopped"]);
  },
  120_000,
);
