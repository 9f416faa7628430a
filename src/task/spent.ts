// Spending on models: requests, tokens and money, and the sums of them. Sums are exact: money is
// rounded to a fixed unit, so that the same answers add up to the same sum in any order.

import type { Usage } from "./task.ts";

export interface Spent extends Usage {
  /** In the currency of the recipe's prices; 0 without a price. */
  readonly cost: number;
}

export const NO_USAGE: Usage = { requests: 0, prompt_tokens: 0, completion_tokens: 0 };
export const NOTHING_SPENT: Spent = { ...NO_USAGE, cost: 0 };

/** The members of a usage that are left out while they are 0. */
export const USAGE_DETAILS = [
  "cached_tokens",
  "cache_write_tokens",
  "reasoning_tokens",
  "failed_requests",
  "estimated_requests",
  "stated_cost",
] as const;

/** The units of money in one of its currency. A cent for a million tokens is 100 units a token. */
const UNITS = 1e10;

/** The amount in whole units. A double holds them exactly up to 900,000 of the currency. */
export function roundMoney(amount: number): number {
  return Math.round(amount * UNITS) / UNITS;
}

export function addUsage(a: Usage, b: Usage): Usage {
  return combineUsage(a, b, (x, y) => x + y);
}

export function addSpent(a: Spent, b: Spent): Spent {
  return combineSpent(a, b, (x, y) => x + y);
}

/** The sum of answers. It has a cost where one of them has. */
export function sumPaid(answers: readonly { readonly usage?: Usage; readonly cost?: number }[]): {
  readonly usage: Usage;
  readonly cost?: number;
} {
  const usage = answers.reduce((sum, { usage: own = NO_USAGE }) => addUsage(sum, own), NO_USAGE);
  const costs = answers.flatMap(({ cost }) => cost ?? []);
  if (costs.length === 0) return { usage };
  return { usage, cost: roundMoney(costs.reduce((sum, cost) => sum + cost, 0)) };
}

/** Combines two sums, member by member. */
export function combineSpent(a: Spent, b: Spent, combine: (a: number, b: number) => number): Spent {
  return { ...combineUsage(a, b, combine), cost: roundMoney(combine(a.cost, b.cost)) };
}

function combineUsage(a: Usage, b: Usage, combine: (a: number, b: number) => number): Usage {
  const details: Partial<Record<(typeof USAGE_DETAILS)[number], number>> = {};
  for (const name of USAGE_DETAILS) {
    if (a[name] === undefined && b[name] === undefined) continue;
    const value = combine(a[name] ?? 0, b[name] ?? 0);
    const rounded = name === "stated_cost" ? roundMoney(value) : value;
    if (rounded !== 0) details[name] = rounded;
  }
  return {
    requests: combine(a.requests, b.requests),
    prompt_tokens: combine(a.prompt_tokens, b.prompt_tokens),
    completion_tokens: combine(a.completion_tokens, b.completion_tokens),
    ...details,
  };
}

/** A sum as the manifest keeps it, with the part of it that each process has reported. */
export interface SpentByHosts extends Spent {
  readonly hosts: Readonly<Record<string, Spent>>;
}

export const NOTHING_SPENT_BY_HOSTS: SpentByHosts = { ...NOTHING_SPENT, hosts: {} };
