// One simulation by our rules with scripted speakers against the real bridge, step by step, without
// a host and without models.

import createRules from "../../../recipes/tau2/orchestrator.ts";
import writeRequest from "../../../recipes/tau2/request.ts";
import type { Settings } from "../../../recipes/tau2/simulation.ts";
import type { ModelRequest } from "../../../src/agent/request.ts";
import type { Rule } from "../../../src/orchestrator/advance.ts";
import type { Orchestrator } from "../../../src/orchestrator/contract.ts";
import type { Json, JsonObject } from "../../../src/task/json.ts";
import { isoTime } from "../../../src/task/record.ts";
import type { Ending, Hop } from "../../../src/task/task.ts";
import { nextMessage, startTask } from "../../parts/at-once.ts";
import type { Bridge } from "./bridge.ts";

export type Reply = string | JsonObject;

export interface Case {
  readonly domain: string;
  readonly task_id: string;
  readonly solo: boolean;
  readonly max_steps: number;
  readonly max_errors: number;
  readonly replies: {
    readonly assistant: readonly Reply[];
    readonly "user-simulator": readonly Reply[];
  };
}

export interface Simulated {
  readonly ending: Ending;
  readonly requests: readonly (ModelRequest & { readonly side: string })[];
  readonly history: readonly Hop[];
}

export async function simulate(
  bridge: Bridge,
  { replies, solo, ...one }: Case,
  more: Settings = {},
): Promise<Simulated> {
  const { max_steps, max_errors } = one;
  const rule: Rule = {
    orchestrator: createRules({
      solo,
      max_steps,
      max_errors,
      restarts: 0,
      ...more,
    }) as unknown as Orchestrator,
    roles: new Set(["assistant", "user-simulator", "tool-executor", "reward-calculator"]),
    maxHops: 2000,
  };
  const row = { domain: one.domain, task_id: one.task_id };
  const left: Record<string, Reply[]> = {
    assistant: [...replies.assistant],
    "user-simulator": [...replies["user-simulator"]],
  };
  const requests: (ModelRequest & { side: string })[] = [];
  const id = crypto.randomUUID();
  let message = startTask(rule, {
    rowId: id,
    trial: 0,
    row,
    seed: 1,
    attempt: 1,
    admittedAt: 0,
    trace: null,
  });
  while (message.kind === "step") {
    const { task } = message;
    const { role, state, history } = task;
    const queue = left[role];
    let result: Json;
    if (queue === undefined)
      result = await bridge.request<Json>("step", {
        task: { id, trial: 0, hop: history.length, row, state },
      });
    else {
      requests.push({
        side: role === "assistant" ? "assistant" : "user",
        ...writeRequest(task, { settings: {} }),
      });
      const reply = queue.shift();
      if (reply === undefined) throw new Error(`the script has no further reply of the ${role}`);
      result =
        typeof reply === "string"
          ? { role: "assistant", content: reply }
          : { role: "assistant", content: null, ...reply };
    }
    const at = isoTime(Date.now());
    message = nextMessage(rule, task, {
      hop: history.length,
      role,
      host: "test",
      at,
      queue_ms: 0,
      run_ms: 0,
      result,
    });
  }
  if (message.kind === "fork") throw new Error("the task went several ways at once");
  return { ending: message.ending, requests, history: message.task.history };
}
