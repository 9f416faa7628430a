// Sums over a history. A task carries them, so that no hop has to read the history to know them.

import { addUsage, NO_USAGE, roundMoney } from "./spent.ts";
import type { Hop, Usage } from "./task.ts";

export interface Totals {
  /** The length of the history. */
  readonly hops: number;
  readonly queueMs: number;
  readonly runMs: number;
  readonly usage: Usage;
  /** In the currency of the recipe's prices; null when no hop had a price. */
  readonly cost: number | null;
  /** Names of the models that answered, each once, in the order in which they first did. */
  readonly models: readonly string[];
}

/** The sums of an empty history. */
export const NO_TOTALS: Totals = {
  hops: 0,
  queueMs: 0,
  runMs: 0,
  usage: NO_USAGE,
  cost: null,
  models: [],
};

/** The sums with further hops. */
export function addHops(before: Totals, hops: readonly Hop[]): Totals {
  let { queueMs, runMs, usage, cost, models } = before;
  for (const hop of hops) {
    queueMs += hop.queue_ms;
    runMs += hop.run_ms;
    if (hop.cost !== undefined) cost = roundMoney((cost ?? 0) + hop.cost);
    if (hop.model !== undefined && !models.includes(hop.model)) models = [...models, hop.model];
    if (hop.usage !== undefined) usage = addUsage(usage, hop.usage);
  }
  return {
    hops: before.hops + hops.length,
    queueMs,
    runMs,
    usage,
    cost,
    models,
  };
}

/** The names of models in these hops, as `models` of a total has them. */
export function modelsIn(hops: readonly Hop[]): readonly string[] {
  let models = NO_TOTALS.models;
  for (const { model } of hops)
    if (model !== undefined && !models.includes(model)) models = [...models, model];
  return models;
}
