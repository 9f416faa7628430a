// A plan whose llm roles take their answers from records, except where they are asked.

import { createReplayAgent, type RecordedTasks } from "../../agent/recorded.ts";
import type { ReplayWish } from "../../agent/replay-wish.ts";
import type { Plan } from "../plan.ts";

export function recordedPlan(plan: Plan, wish: ReplayWish, recorded: RecordedTasks): Plan {
  const agents = [...plan.agents].map(([name, agent]) => {
    if (!wish.roles.includes(name)) return [name, agent] as const;
    const accepts = new Set<string>(plan.recipe.roles[name]?.accepts);
    const open: typeof agent.open = (live) =>
      createReplayAgent({ name, accepts, wish, recorded, asking: agent.open(live) });
    return [name, { ...agent, open }] as const;
  });
  return plan.withAgents(new Map(agents));
}
