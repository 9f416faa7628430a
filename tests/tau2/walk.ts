// Walks of tau2's rules with speakers, an environment and an evaluator that follow from a seed.

import { nextMessage, type Rule, startTask } from "../../src/orchestrator/advance.ts";
import type { Orchestrator, RemoteOrchestrator } from "../../src/orchestrator/contract.ts";
import type { Json, JsonObject } from "../../src/task/json.ts";
import { createRandom } from "../../src/task/seed.ts";
import type { Ending, Hop, Message, Task } from "../../src/task/task.ts";
import * as atOnce from "../parts/at-once.ts";

export const ROLES = ["user-simulator", "assistant", "tool-executor", "reward-calculator"];

export interface Walked {
  /** Each step's role, and what the bridge was asked in it. */
  readonly steps: readonly (readonly [role: string, request: Json])[];
  readonly ending: Ending;
}

/** Walks a task through a rule that decides at once. */
export function walk(orchestrator: Orchestrator, answer: (task: Task) => Json): Walked {
  const rule: Rule = { orchestrator, roles: new Set(ROLES), maxHops: 400 };
  const walked = new Steps(answer);
  let message = atOnce.startTask(rule, ADMITTED);
  while (message.kind === "step") {
    const { task, hop } = walked.step(message.task);
    message = atOnce.nextMessage(rule, task, hop);
  }
  return walked.end(message);
}

/** Walks a task through a rule that may decide later. */
export async function walkLater(
  orchestrator: Orchestrator | RemoteOrchestrator,
  answer: (task: Task) => Json,
): Promise<Walked> {
  const rule: Rule = { orchestrator, roles: new Set(ROLES), maxHops: 400 };
  const walked = new Steps(answer);
  let message = await startTask(rule, ADMITTED);
  while (message.kind === "step") {
    const { task, hop } = walked.step(message.task);
    message = await nextMessage(rule, task, hop);
  }
  return walked.end(message);
}

const ADMITTED = {
  rowId: "1",
  trial: 0,
  row: { domain: "mock", task_id: "t", other: 1 },
  seed: 1,
  attempt: 1,
  admittedAt: 0,
  trace: null,
} as const;

class Steps {
  readonly #answer: (task: Task) => Json;
  readonly #steps: [string, Json][] = [];

  constructor(answer: (task: Task) => Json) {
    this.#answer = answer;
  }

  step(message: Task): { readonly task: Task; readonly hop: Hop } {
    const task = JSON.parse(JSON.stringify(message)) as Task;
    const { role } = task;
    this.#steps.push([role, (task.state as JsonObject)["request"] ?? null]);
    const at = "2026-01-01T00:00:00.000Z";
    const hop = { hop: this.#steps.length - 1, role, host: "h", at, queue_ms: 0, run_ms: 0 };
    return { task, hop: { ...hop, result: this.#answer(task) } };
  }

  end(message: Message): Walked {
    if (message.kind !== "end") throw new Error("the task went several ways at once");
    return { steps: this.#steps, ending: message.ending };
  }
}

/** Settings of each kind. */
export function settingsOf(seed: number) {
  return {
    solo: seed % 3 === 0,
    max_steps: 5 + (seed % 30),
    max_errors: 1 + (seed % 5),
    restarts: seed % 3,
    malformed: seed % 4 === 0 ? "feed-back" : "restart",
  } as const;
}

/**
 * Speakers, an environment and an evaluator that follow from the seed and the step alone,
 * well-behaved or not.
 */
export function answersOf(seed: number, solo: boolean): (task: Task) => Json {
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
