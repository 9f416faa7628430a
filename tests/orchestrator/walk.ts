// Walks a task through a rule by hand: roles answer from a script, and the branches of a fork are
// walked one after the other. State travels as JSON, as it does between hosts.

import type { Rule } from "../../src/orchestrator/advance.ts";
import type { Orchestrator } from "../../src/orchestrator/contract.ts";
import { createOrchestrator } from "../../src/orchestrator/create.ts";
import { branchesOf, type Ended } from "../../src/orchestrator/join.ts";
import type { PatternConfig } from "../../src/recipe/schema/orchestrator-schema.ts";
import type { Json, JsonObject } from "../../src/task/json.ts";
import type { EndMessage, Hop, Message, Task, Unanswered } from "../../src/task/task.ts";
import { joinMessage, nextMessage, startTask } from "../parts/at-once.ts";

export const ADMITTED = {
  rowId: "7",
  trial: 2,
  row: { n: 3 },
  seed: 11,
  attempt: 1,
  admittedAt: 0,
  trace: null,
} as const;

export function hopOf(role: string, result: Json, hop = 0): Hop {
  return { hop, role, host: "h", at: "", queue_ms: 0, run_ms: 0, result };
}

/** The answers of each role by turn, from 0. A Cut stands for an answer that is not whole. */
export type Script = Readonly<Record<string, (turn: number) => Json | Cut>>;

export class Cut {
  readonly reason: Unanswered;
  constructor(reason: Unanswered = "cut") {
    this.reason = reason;
  }
}

export interface Walked extends EndMessage {
  /** The roles that acted, in order. */
  readonly route: readonly string[];
  /** The state that the last hop found. */
  readonly state: Json;
}

export async function ruleOf(config: PatternConfig, roles: readonly string[]): Promise<Rule> {
  const noModules = () => Promise.reject(new Error("a pattern loads no module"));
  const orchestrator = await createOrchestrator(config, noModules, roles);
  return { orchestrator, roles: new Set(roles), maxHops: 50 };
}

export async function walkPattern(config: PatternConfig, script: Script): Promise<Walked> {
  return walk(await ruleOf(config, Object.keys(script)), script);
}

export function walkOrchestrator(
  orchestrator: Orchestrator,
  script: Script,
  row: JsonObject = {},
): Walked {
  return walk({ orchestrator, roles: new Set(Object.keys(script)), maxHops: 50 }, script, row);
}

export function walk(rule: Rule, script: Script, row: JsonObject = ADMITTED.row): Walked {
  const route: string[] = [];
  const turns: Record<string, number> = {};
  let state: Json = null;

  const finish = (first: Message): EndMessage => {
    let message = first;
    while (message.kind !== "end") {
      const task = JSON.parse(JSON.stringify(message.task)) as Task;
      message = message.kind === "fork" ? join(task) : act(task);
    }
    return message;
  };
  const act = (task: Task): Message => {
    const turn = turns[task.role] ?? 0;
    turns[task.role] = turn + 1;
    route.push(task.role);
    state = task.state;
    const answer = script[task.role]?.(turn) ?? null;
    const stop = answer instanceof Cut ? answer.reason : null;
    const result = answer instanceof Cut ? null : answer;
    return nextMessage(rule, task, hopOf(task.role, result, task.history.length), stop);
  };
  const join = (task: Task): Message => {
    const branches = branchesOf(task);
    const ended: (Ended | null)[] = branches.map(() => null);
    for (const [index, { to, state }] of branches.entries()) {
      const branch = { ...task, role: to, state, branch: { of: "h", id: index } };
      const { task: last, ending } = finish({ kind: "step", task: branch });
      ended[index] = { hops: last.history.slice(task.history.length), ending };
      const message = joinMessage(rule, task, ended);
      if (message !== null) return message;
    }
    throw new Error("the task waits although every branch has ended");
  };
  const end = finish(startTask(rule, { ...ADMITTED, row }));
  return { ...end, route, state };
}
