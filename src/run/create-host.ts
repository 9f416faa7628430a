// The host of one process: its roles with their agents, as the recipe configures them.

import type { Agent } from "../agent/contract.ts";
import { withTaskLimit } from "../agent/task-limit.ts";
import { HopMeter } from "../host/hop-meter.ts";
import { type AskedModel, Host } from "../host/host.ts";
import { Role } from "../host/role.ts";
import type { Watchdog } from "../host/watch/watchdog.ts";
import type { HostTransport } from "../peer/transport.ts";
import type { Recipe } from "../recipe/schema/schema.ts";
import { systemClock } from "../task/clock.ts";
import type { Recorder } from "../telemetry/recorder.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import type { Plan } from "./plan.ts";

export interface HostParts {
  readonly plan: Plan;
  /** Name in records and logs. */
  readonly name: string;
  readonly roles: readonly Role[];
  readonly transport: HostTransport;
  readonly tracing: Tracing | null;
  readonly recorder: Recorder;
  readonly watchdog?: Watchdog | undefined;
}

export function createHost(parts: HostParts): Host {
  const { plan, name, roles, transport, tracing, recorder, watchdog } = parts;
  return new Host({
    id: name,
    roles,
    rule: plan.rule,
    taskTimeoutMs: plan.recipe.run.timeout,
    transport,
    clock: systemClock,
    tracing,
    meter: new HopMeter(recorder),
    watchdog,
    models: modelsOf(plan),
  });
}

/** The models of the roles that ask one. */
function modelsOf({ recipe, models }: Plan): ReadonlyMap<string, AskedModel> {
  const asked = Object.entries(recipe.roles).flatMap(([role, { model }]) => {
    const plan = models.get(model ?? "");
    return plan === undefined ? [] : [[role, plan] as const];
  });
  return new Map(asked);
}

export function createRoles(recipe: Recipe, agents: ReadonlyMap<string, Agent>): Role[] {
  return [...agents].map(([name, agent]) => {
    const config = recipe.roles[name];
    if (config === undefined) throw new Error(`bug: the recipe has no role ${name}`);
    const { concurrency, timeout: timeoutMs, retries } = config;
    const limited = limitAgent(recipe, name, agent);
    return new Role({ name, agent: limited, concurrency, timeoutMs, retries });
  });
}

/** The agent of a role, which heeds `run.task_limit` where the role asks a model. */
export function limitAgent({ run, roles }: Recipe, role: string, agent: Agent): Agent {
  const asksModel = roles[role]?.model !== undefined;
  return asksModel && run.task_limit !== undefined ? withTaskLimit(agent, run.task_limit) : agent;
}
