// Spending on models: requests, tokens and money, and the sums of them.

import type { Usage } from "./task.ts";

export interface Spent extends Usage {
  /** In the currency of the recipe's prices; 0 without a price. */
  readonly cost: number;
}

export const NOTHING_SPENT: Spent = {
  requests: 0,
  prompt_tokens: 0,
  completion_tokens: 0,
  cost: 0,
};

export function addUsage(a: Usage, b: Usage): Usage {
  return {
    requests: a.requests + b.requests,
    prompt_tokens: a.prompt_tokens + b.prompt_tokens,
    completion_tokens: a.completion_tokens + b.completion_tokens,
  };
}

export function addSpent(a: Spent, b: Spent): Spent {
  return { ...addUsage(a, b), cost: a.cost + b.cost };
}

/** A sum as the manifest keeps it, with the part of it that each process has reported. */
export interface SpentByHosts extends Spent {
  readonly hosts: Readonly<Record<string, Spent>>;
}

export const NOTHING_SPENT_BY_HOSTS: SpentByHosts = { ...NOTHING_SPENT, hosts: {} };
