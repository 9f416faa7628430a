// Tau2's rules as the paper's graph and as a module make the same requests, go the same way and end
// the same.

import { describe, expect, test } from "bun:test";
import { build } from "../../recipes/tau2/graph.ts";
import createRules from "../../recipes/tau2/orchestrator.ts";
import type { Orchestrator } from "../../src/orchestrator/contract.ts";
import { importMessages } from "../../src/orchestrator/graph/messages.ts";
import { createGraph } from "../../src/orchestrator/graph/rule.ts";
import { answersOf, ROLES, settingsOf, walk } from "./walk.ts";

const classes = await importMessages();

describe("tau2 as a graph", () => {
  test("tau2 as a graph asks the same, goes the same way and ends the same as the module, whatever is said", () => {
    const reasons = new Set<unknown>();
    for (let seed = 0; seed < 300; seed++) {
      const settings = settingsOf(seed);
      const module = createRules(settings) as unknown as Orchestrator;
      const graph = createGraph(build(settings), {
        path: "graph.ts",
        roles: ROLES,
        score: null,
        classes,
        canFork: true,
      }) as unknown as Orchestrator;
      const [byGraph, byModule] = [
        walk(graph, answersOf(seed, settings.solo)),
        walk(module, answersOf(seed, settings.solo)),
      ];
      // Stacks differ, as they should.
      expect({
        seed,
        ...byGraph,
        ending: { ...byGraph.ending, error: byGraph.ending.error?.message ?? null },
      }).toEqual({
        seed,
        ...byModule,
        ending: { ...byModule.ending, error: byModule.ending.error?.message ?? null },
      });
      reasons.add(byModule.ending.error?.code ?? byModule.ending.outcome?.["termination_reason"]);
    }
    expect(reasons).toEqual(
      new Set([
        "user_stop",
        "agent_stop",

        "max_steps",
        "too_many_errors",
        "orchestrator_failed",
      ]),
    );
  });
});
