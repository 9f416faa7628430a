// Sums over a history. A task carries them, so that no hop has to read the history to know them.

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
  usage: { requests: 0, prompt_tokens: 0, completion_tokens: 0 },
  cost: null,
  models: [],
};

/** The sums with further hops. */
export function addHops(before: Totals, hops: readonly Hop[]): Totals {
  let { queueMs, runMs, cost, models } = before;
  let { requests, prompt_tokens, completion_tokens } = before.usage;
  for (const hop of hops) {
    queueMs += hop.queue_ms;
    runMs += hop.run_ms;
    if (hop.cost !== undefined) cost = (cost ?? 0) + hop.cost;
    if (hop.model !== undefined && !models.includes(hop.model)) models = [...models, hop.model];
    if (hop.usage === undefined) continue;
    requests += hop.usage.requests;
    prompt_tokens += hop.usage.prompt_tokens;
    completion_tokens += hop.usage.completion_tokens;
  }
  return {
    hops: before.hops + hops.length,
    queueMs,
    runMs,
    usage: { requests, prompt_tokens, completion_tokens },
    cost,
    models,
  };
}
