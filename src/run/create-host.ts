// The host of one process: its roles with their agents, as the recipe configures them.

import type { Agent } from "../agent/contract.ts";
import { Host } from "../host/host.ts";
import { Role } from "../host/role.ts";
import type { HostTransport } from "../peer/transport.ts";
import type { Recipe } from "../recipe/schema/schema.ts";
import { systemClock } from "../task/clock.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import type { Plan } from "./plan.ts";

export interface HostParts {
  readonly plan: Plan;
  /** Name in records and logs. */
  readonly name: string;
  readonly roles: readonly Role[];
  readonly transport: HostTransport;
  readonly tracing: Tracing | null;
}

export function createHost({ plan, name, roles, transport, tracing }: HostParts): Host {
  return new Host({
    id: name,
    roles,
    rule: plan.rule,
    taskTimeoutMs: plan.recipe.run.timeout,
    transport,
    clock: systemClock,
    tracing,
  });
}

export function createRoles({ roles }: Recipe, agents: ReadonlyMap<string, Agent>): Role[] {
  return [...agents].map(([name, agent]) => {
    const config = roles[name];
    if (config === undefined) throw new Error(`bug: the recipe has no role ${name}`);
    return new Role({ name, agent, concurrency: config.concurrency, timeoutMs: config.timeout });
  });
}
