// The spending of a run on models, over all its starts and hosts, and the room that is left in its
// budget (run.budget). Each process reports what it has spent since it began. The last
// report of a process that died stands.

import type { Recipe } from "../recipe/schema/schema.ts";
import type { RecordHead } from "../task/record.ts";
import {
  addSpent,
  combineSpent,
  NOTHING_SPENT,
  type Spent,
  type SpentByHosts,
} from "../task/spent.ts";

/** Hosts report their spending within this time: twice the pause between beats, and a little. */
const TOLD_MS = 600;
/** Most tasks in flight before the first one has ended and shown what a task takes. */
const UNKNOWN_TASKS_MAX = 4;

export type Budget = NonNullable<Recipe["run"]["budget"]>;

/** Number of tasks that have ended, over all starts, and the sum of their records. */
export interface Finished {
  readonly tasks: number;
  readonly used: Spent;
}

export class Ledger {
  readonly #budget: Budget;
  readonly #hosts: Map<string, Spent>;
  /** Spending of hosts that are no longer known by name. */
  readonly #before: Spent;
  readonly #spentUp = new AbortController();
  /**
   * Spending in recent records, which hosts may not have reported yet: that of the current period
   * of TOLD_MS, and that of the period before.
   */
  #untold = { since: 0, now: NOTHING_SPENT, before: NOTHING_SPENT };
  #held: Promise<void> | null = null;

  /** `earlier` is the spending of the starts before this one. */
  constructor(earlier: SpentByHosts, budget: Budget = {}) {
    this.#budget = budget;
    this.#hosts = new Map(Object.entries(earlier.hosts));
    this.#before = [...this.#hosts.values()].reduce(
      (rest, spent) => addSpent(rest, times(spent, -1)),
      withoutHosts(earlier),
    );
    this.#look();
  }

  /** Takes a report of what a process has spent since it began. */
  report(host: string, spent: Spent): void {
    if (spent.requests === (this.#hosts.get(host)?.requests ?? 0)) return;
    this.#hosts.set(host, spent);
    this.#look();
  }

  /** Notes the record of a task that has ended. `now` is in milliseconds of a steady clock. */
  record({ usage, cost }: Pick<RecordHead, "usage" | "cost">, now: number): void {
    this.#forget(now);
    this.#untold.now = addSpent(this.#untold.now, { ...usage, cost: cost ?? 0 });
  }

  /**
   * True when the budget has room for one more task beside those in flight. Each of them is taken
   * to need as much again as the ended ones took on average. The average counts everything that was
   * spent, because the first tasks to end are the short ones. Records count even where hosts have
   * not reported their spending yet.
   */
  hasRoom(inFlight: number, { tasks, used }: Finished): boolean {
    // The rest of a budget is spent by one task at a time.
    if (inFlight === 0) return true;
    if (tasks === 0) return inFlight < UNKNOWN_TASKS_MAX;
    return usedUp(times(atLeast(this.spent, used), 1 + inFlight / tasks), this.#budget) === null;
  }

  /**
   * Resolves when the hosts have reported, if recent records may have used up the budget; no task
   * may begin until then. Null when the budget has room in any case.
   */
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

/** The part of the budget that this spending exceeds, in words; null when the budget is enough. */
export function usedUp(spent: Spent, { money, tokens }: Budget): string | null {
  if (money !== undefined && spent.cost >= money)
    return `${spent.cost.toFixed(4)} of ${money} in money`;
  if (tokens === undefined || tokensOf(spent) < tokens) return null;
  return `${tokensOf(spent).toLocaleString("en-US")} of ${tokens.toLocaleString("en-US")} tokens`;
}

/** The larger of two sums. A killed driver may not have noted what its last records cost. */
export function atLeast(noted: Spent, used: Spent): Spent {
  return combineSpent(noted, used, Math.max);
}

function withoutHosts({ hosts: _, ...spent }: SpentByHosts): Spent {
  return spent;
}

function times(spent: Spent, factor: number): Spent {
  return combineSpent(spent, NOTHING_SPENT, (amount) => factor * amount);
}
