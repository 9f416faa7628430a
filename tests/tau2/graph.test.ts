// Tau2's rules as the paper's graph and as a module make the same requests, go the same way and end
// the same.

import { describe, expect, test } from "bun:test";
import { build } from "../../recipes/tau2/graph.ts";
import createRules from "../../recipes/tau2/orchestrator.ts";
import type { Rule } from "../../src/orchestrator/advance.ts";
import type { Orchestrator } from "../../src/orchestrator/contract.ts";
import { importMessages } from "../../src/orchestrator/graph/messages.ts";
import { createGraph } from "../../src/orchestrator/graph/rule.ts";
import type { Json, JsonObject } from "../../src/task/json.ts";
import { createRandom } from "../../src/task/seed.ts";
import type { Ending, Task } from "../../src/task/task.ts";
import { nextMessage, startTask } from "../parts/at-once.ts";

const classes = await importMessages();
const ROLES = ["user-simulator", "assistant", "tool-executor", "reward-calculator"];
const _MINUTES = 60_000;

interface Walked {
  /** Each step's role, and what the bridge was asked in it. */
  readonly steps: readonly (readonly [role: string, request: Json])[];
  readonly ending: Ending;
}

function walk(orchestrator: Orchestrator, answer: (task: Task) => Json): Walked {
  const rule: Rule = { orchestrator, roles: new Set(ROLES), maxHops: 400 };
  const steps: [string, Json][] = [];
  const row = { domain: "mock", task_id: "t", other: 1 };
  let message = startTask(rule, {
    rowId: "1",
    trial: 0,
    row,
    seed: 1,
    attempt: 1,
    admittedAt: 0,
    trace: null,
  });
  while (message.kind === "step") {
    const task = JSON.parse(JSON.stringify(message.task)) as Task;
    steps.push([task.role, (task.state as JsonObject)["request"] ?? null]);
    const hop = {
      hop: steps.length - 1,
      role: task.role,
      host: "h",
      at: "2026-01-01T00:00:00.000Z",
      queue_ms: 0,
      run_ms: 0,
    };
    message = nextMessage(rule, task, { ...hop, result: answer(task) });
  }
  if (message.kind === "fork") throw new Error("the task went several ways at once");
  return { steps, ending: message.ending };
}

/**
 * Speakers, an environment and an evaluator that follow from the seed and the step alone,
 * well-behaved or not.
 */
function answersOf(seed: number, solo: boolean): (task: Task) => Json {
  return ({ role, state, history }) => {
    const random = createRandom(seed * 1000 + history.length);
    const request = (state as JsonObject)["request"] as {
      readonly op: string;
      readonly calls: readonly { id: string }[];
    } | null;
    if (role === "reward-calculator") return { reward: Math.round(random()), why: history.length };
    if (role !== "tool-executor") return speech(role, random, solo);
    if (request?.op === "load") return loaded(random, solo);
    if (request?.op === "close") return null;
    return (request?.calls ?? []).map(({ id }) => ({
      role: "tool",
      id,
      content: "x",
      requestor: "assistant",
      error: random() < 0.3,
    }));
  };
}

function speech(role: string, random: () => number, solo: boolean): Json {
  const draw = random();
  if (draw < 0.04) return { role: "assistant", content: " " };
  if (draw < 0.5) {
    const text = draw < 0.08 ? "{" : "{}";
    return {
      role: "assistant",
      content: null,
      tool_calls: [call(draw < 0.12 ? "done" : "look", text), call("note", "{}")],
    };
  }
  const stops = draw < 0.6 && (role === "user-simulator" || solo);
  return { role: "assistant", content: stops ? "###STOP###" : "well" };
}

function call(name: string, text: string): JsonObject {
  return { id: name, type: "function", function: { name, arguments: text } };
}

function loaded(random: () => number, solo: boolean): Json {
  const greeting = { role: "assistant", content: "Hi!", tool_calls: null };
  const asked = {
    role: "assistant",
    content: null,
    tool_calls: [{ id: "0", name: "look", arguments: "{}", requestor: "assistant" }],
  };
  const parts = {
    task: "{}",
    tools: [],
    user_tools: null,
    termination_reason: null,
    system: { assistant: "", user: solo ? null : "" },
  };
  if (solo && random() < 0.7) return { ...parts, messages: [], next: "assistant" };
  const draw = random();
  if (draw < 0.1)
    return { ...parts, messages: [greeting], next: null, termination_reason: "user_stop" };
  if (draw < 0.3) return { ...parts, messages: [asked], next: "environment" };
  return { ...parts, messages: [greeting], next: solo ? "assistant" : "user" };
}

describe("tau2 as a graph", () => {
  test("tau2 as a graph asks the same, goes the same way and ends the same as the module, whatever is said", () => {
    const reasons = new Set<unknown>();
    for (let seed = 0; seed < 300; seed++) {
      const settings = {
        solo: seed % 3 === 0,
        max_steps: 5 + (seed % 30),
        max_errors: 1 + (seed % 5),
        restarts: seed % 3,
        malformed: seed % 4 === 0 ? "feed-back" : "restart",
      } as const;
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
