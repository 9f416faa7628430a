// What a run has spent on models, over all its starts and hosts, and whether that is all it may (run.budget). Each process says
// what it has spent since it began; the last word of one that died stands.

import { addSpent, NOTHING_SPENT, type Spent } from "../model/site.ts";
import type { Recipe } from "../recipe/schema.ts";

export type Budget = NonNullable<Recipe["run"]["budget"]>;

/** As the manifest keeps it: the sum, and how much of it each process has said. */
export interface RecordedSpent extends Spent {
  readonly hosts: Readonly<Record<string, Spent>>;
}

export class Ledger {
  readonly #budget: Budget;
  readonly #hosts: Map<string, Spent>;
  /** Of all hosts that are no longer known by name. */
  readonly #before: Spent;
  readonly #spentUp = new AbortController();

  /** `earlier`: of the starts before this one. */
  constructor(earlier: RecordedSpent, budget: Budget = {}) {
    this.#budget = budget;
    this.#hosts = new Map(Object.entries(earlier.hosts));
    this.#before = [...this.#hosts.values()].reduce((rest, spent) => addSpent(rest, negative(spent)), withoutHosts(earlier));
    this.#look();
  }

  /** Of a process, since it began. */
  report(host: string, spent: Spent): void {
    if (spent.requests === (this.#hosts.get(host)?.requests ?? 0)) return;
    this.#hosts.set(host, spent);
    this.#look();
  }

  get spent(): Spent {
    return [...this.#hosts.values()].reduce(addSpent, this.#before);
  }

  get recorded(): RecordedSpent {
    return { ...this.spent, hosts: Object.fromEntries(this.#hosts) };
  }

  /** Aborts when the budget is used up: no further task may begin. */
  get spentUp(): AbortSignal {
    return this.#spentUp.signal;
  }

  #look(): void {
    if (!this.#spentUp.signal.aborted && usedUp(this.spent, this.#budget) !== null) this.#spentUp.abort();
  }
}

export function tokensOf({ prompt_tokens, completion_tokens }: Spent): number {
  return prompt_tokens + completion_tokens;
}

/** What the budget has too little of for that, in words; null where it is enough. */
export function usedUp(spent: Spent, { money, tokens }: Budget): string | null {
  if (money !== undefined && spent.cost >= money) return `${spent.cost.toFixed(4)} of ${money} in money`;
  if (tokens === undefined || tokensOf(spent) < tokens) return null;
  return `${tokensOf(spent).toLocaleString("en-US")} of ${tokens.toLocaleString("en-US")} tokens`;
}

export const NOTHING_RECORDED: RecordedSpent = { ...NOTHING_SPENT, hosts: {} };

function withoutHosts({ hosts: _, ...spent }: RecordedSpent): Spent {
  return spent;
}

function negative({ requests, prompt_tokens, completion_tokens, cost }: Spent): Spent {
  return { requests: -requests, prompt_tokens: -prompt_tokens, completion_tokens: -completion_tokens, cost: -cost };
}
