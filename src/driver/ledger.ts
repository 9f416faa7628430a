// What a run has spent on models, over all its starts and hosts, and whether that is all it may (run.budget). Each process says
// what it has spent since it began; the last word of one that died stands.

import type { Recipe } from "../recipe/schema.ts";
import type { RecordHead } from "../task/record.ts";
import { addSpent, NOTHING_SPENT, type Spent, type SpentByHosts } from "../task/spent.ts";

/** Within this hosts have told what they spent: twice the time between their beats, and a little. */
const TOLD_MS = 600;
/** Tasks in flight while no task has shown what it takes. */
const UNKNOWN_TASKS_MAX = 4;

export type Budget = NonNullable<Recipe["run"]["budget"]>;

/** Tasks that are over, of all starts, and what their records come to. */
export interface Finished {
  readonly tasks: number;
  readonly used: Spent;
}

export class Ledger {
  readonly #budget: Budget;
  readonly #hosts: Map<string, Spent>;
  /** Of all hosts that are no longer known by name. */
  readonly #before: Spent;
  readonly #spentUp = new AbortController();
  /** Of the records of the last moments, of which hosts may not have told yet: of this one, and of the one before. */
  #untold = { since: 0, now: NOTHING_SPENT, before: NOTHING_SPENT };
  #held: Promise<void> | null = null;

  /** `earlier`: of the starts before this one. */
  constructor(earlier: SpentByHosts, budget: Budget = {}) {
    this.#budget = budget;
    this.#hosts = new Map(Object.entries(earlier.hosts));
    this.#before = [...this.#hosts.values()].reduce(
      (rest, spent) => addSpent(rest, times(spent, -1)),
      withoutHosts(earlier),
    );
    this.#look();
  }

  /** Of a process, since it began. */
  report(host: string, spent: Spent): void {
    if (spent.requests === (this.#hosts.get(host)?.requests ?? 0)) return;
    this.#hosts.set(host, spent);
    this.#look();
  }

  /** A task is over. `now`: milliseconds of a steady clock. */
  record({ usage, cost }: Pick<RecordHead, "usage" | "cost">, now: number): void {
    this.#forget(now);
    this.#untold.now = addSpent(this.#untold.now, { ...usage, cost: cost ?? 0 });
  }

  /**
   * Whether the budget has room for one more task beside so many, if each of them yet takes what finished ones took. All that was
   * spent is put down to those: the first to finish are the short ones. Hosts may not have told yet what records say.
   */
  hasRoom(inFlight: number, { tasks, used }: Finished): boolean {
    // The last of a budget is spent by one task after the other.
    if (inFlight === 0) return true;
    if (tasks === 0) return inFlight < UNKNOWN_TASKS_MAX;
    return usedUp(times(atLeast(this.spent, used), 1 + inFlight / tasks), this.#budget) === null;
  }

  /** Where that may have been the last of the budget: resolves when the hosts have told. No task may begin until then. */
  hold(now: number): Promise<void> | null {
    this.#forget(now);
    const all = [this.#untold.now, this.#untold.before].reduce(addSpent, this.spent);
    if (this.#spentUp.signal.aborted || usedUp(all, this.#budget) === null) return null;
    this.#held ??= new Promise<void>((resolve) => setTimeout(resolve, TOLD_MS)).then(() => {
      this.#held = null;
    });
    return this.#held;
  }

  get spent(): Spent {
    return [...this.#hosts.values()].reduce(addSpent, this.#before);
  }

  get recorded(): SpentByHosts {
    return { ...this.spent, hosts: Object.fromEntries(this.#hosts) };
  }

  /** Aborts when the budget is used up: no further task may begin. */
  get spentUp(): AbortSignal {
    return this.#spentUp.signal;
  }

  #forget(now: number): void {
    const { since } = this.#untold;
    if (now - since < TOLD_MS) return;
    this.#untold = {
      since: now,
      now: NOTHING_SPENT,
      before: now - since < 2 * TOLD_MS ? this.#untold.now : NOTHING_SPENT,
    };
  }

  #look(): void {
    if (!this.#spentUp.signal.aborted && usedUp(this.spent, this.#budget) !== null)
      this.#spentUp.abort();
  }
}

export function tokensOf({ prompt_tokens, completion_tokens }: Spent): number {
  return prompt_tokens + completion_tokens;
}

/** What the budget has too little of for that, in words; null where it is enough. */
export function usedUp(spent: Spent, { money, tokens }: Budget): string | null {
  if (money !== undefined && spent.cost >= money)
    return `${spent.cost.toFixed(4)} of ${money} in money`;
  if (tokens === undefined || tokensOf(spent) < tokens) return null;
  return `${tokensOf(spent).toLocaleString("en-US")} of ${tokens.toLocaleString("en-US")} tokens`;
}

/** A driver that was killed may not have noted down what its last records cost. */
export function atLeast(noted: Spent, used: Spent): Spent {
  return {
    requests: Math.max(noted.requests, used.requests),
    prompt_tokens: Math.max(noted.prompt_tokens, used.prompt_tokens),
    completion_tokens: Math.max(noted.completion_tokens, used.completion_tokens),
    cost: Math.max(noted.cost, used.cost),
  };
}

function withoutHosts({ hosts: _, ...spent }: SpentByHosts): Spent {
  return spent;
}

function times({ requests, prompt_tokens, completion_tokens, cost }: Spent, factor: number): Spent {
  return {
    requests: factor * requests,
    prompt_tokens: factor * prompt_tokens,
    completion_tokens: factor * completion_tokens,
    cost: factor * cost,
  };
}
