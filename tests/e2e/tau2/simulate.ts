// One simulation by our rules with scripted speakers against the real bridge, step by step, without
// a host and without models.

import { join } from "node:path";
import createRules from "../../../recipes/tau2/orchestrator.ts";
import writeRequest from "../../../recipes/tau2/request.ts";
import type { Settings } from "../../../recipes/tau2/simulation.ts";
import {
  createPythonRequestWriter,
  createRequestWriter,
  type ModelRequest,
  type RequestWriter,
} from "../../../src/agent/request.ts";
import { nextMessage, type Rule, startTask } from "../../../src/orchestrator/advance.ts";
import type { Orchestrator, RemoteOrchestrator } from "../../../src/orchestrator/contract.ts";
import { createPythonGraph } from "../../../src/orchestrator/graph/python-graph.ts";
import { createPythonRule } from "../../../src/orchestrator/python-rule.ts";
import { PythonFiles } from "../../../src/python/files.ts";
import type { Json, JsonObject } from "../../../src/task/json.ts";
import { isoTime } from "../../../src/task/record.ts";
import type { Ending, Hop } from "../../../src/task/task.ts";
import { ROOT } from "../../parts/repository.ts";
import type { Bridge } from "./bridge.ts";

const ROLES = ["assistant", "user-simulator", "tool-executor", "reward-calculator"];

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

/** The rules of a recipe in one language. */
export interface Rules {
  create(settings: Settings): Promise<Orchestrator | RemoteOrchestrator>;
  readonly write: RequestWriter;
}

export const IN_TYPESCRIPT: Rules = {
  create: async (settings) => createRules(settings) as unknown as Orchestrator,
  write: createRequestWriter("request.ts", writeRequest, {}),
};

/** The files of recipes/tau2-python.toml. Every answer is watched for purity. */
export async function rulesInPython(): Promise<Rules> {
  const files = new PythonFiles({ processes: 1, watchesAll: true });
  const at = (name: string) => join(ROOT, "recipes/tau2", name);
  const request = { kind: "request", path: at("request.py"), settings: null } as const;
  return {
    create: async (settings) => {
      const rule = { kind: "rule", path: at("rule.py"), settings: { ...settings } } as const;
      return createPythonRule(await files.open(rule));
    },
    write: createPythonRequestWriter("request.py", await files.open(request), {}),
  };
}

/** The graph and the requests of recipes/tau2-python-graph.toml. */
export async function graphInPython(python: string): Promise<Rules> {
  const files = new PythonFiles({ command: [python], processes: 1, watchesAll: true });
  const path = join(ROOT, "recipes/tau2/graph.py");
  const graph = { path, name: "build_tau2_graph", roles: ROLES, canFork: true };
  return {
    create: async (settings) => {
      const opened = await files.open({ kind: "graph", path, settings: { ...settings }, graph });
      return createPythonGraph(opened, null);
    },
    write: (await rulesInPython()).write,
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
  rules: Rules = IN_TYPESCRIPT,
): Promise<Simulated> {
  const { max_steps, max_errors } = one;
  const rule: Rule = {
    orchestrator: await rules.create({ solo, max_steps, max_errors, restarts: 0, ...more }),
    roles: new Set(ROLES),
    maxHops: 2000,
  };
  const row = { domain: one.domain, task_id: one.task_id };
  const left: Record<string, Reply[]> = {
    assistant: [...replies.assistant],
    "user-simulator": [...replies["user-simulator"]],
  };
  const requests: (ModelRequest & { side: string })[] = [];
  const id = crypto.randomUUID();
  let message = await startTask(rule, {
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
        ...(await rules.write(task)),
      });
      const reply = queue.shift();
      if (reply === undefined) throw new Error(`the script has no further reply of the ${role}`);
      result =
        typeof reply === "string"
          ? { role: "assistant", content: reply }
          : { role: "assistant", content: null, ...reply };
    }
    const at = isoTime(Date.now());
    message = await nextMessage(rule, task, {
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
