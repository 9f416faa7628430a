// Sums up what this process has spent on models since it began.

import { addSpent, NOTHING_SPENT, type Spent } from "../task/spent.ts";
import type { Usage } from "../task/task.ts";

export class Spending {
  readonly #onSpent: (total: Spent) => void;
  #total: Spent = NOTHING_SPENT;

  /** `onSpent` is called after each answer that was paid for. */
  constructor(onSpent: (total: Spent) => void = () => undefined) {
    this.#onSpent = onSpent;
  }

  get total(): Spent {
    return this.#total;
  }

  readonly add = (usage: Usage, cost: number): void => {
    this.#total = addSpent(this.#total, { ...usage, cost });
    this.#onSpent(this.#total);
  };
}
