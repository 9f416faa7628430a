// Tasks on a host that have forked and wait for their branches. Each branch is a task with its own
// identity: it travels and is delivered like any task, and its end comes back here. When the rule
// has enough ends, the waiting task goes on, and the ends of branches that are still under way are
// dropped.

import type { Rule } from "../orchestrator/advance.ts";
import { branchesOf, type Ended, joinMessage } from "../orchestrator/join.ts";
import type { HostTransport } from "../peer/transport.ts";
import { branchTask, hopCount } from "../task/encoded.ts";
import { branchSeed } from "../task/seed.ts";
import type { EndMessage, Message, Task } from "../task/task.ts";
import { shareOf, spentBy } from "../task/task-limit.ts";

/** A task that waits for its branches. */
export interface Waiting {
  readonly task: Task;
  readonly branches: readonly Task[];
  readonly ended: (Ended | null)[];
  /** The questions to a rule that decides later: one after another, as the branches ended. */
  deciding: Promise<void> | null;
}

export class Forks {
  readonly #rule: Rule;
  readonly #transport: HostTransport;
  /** Open branches, by number. */
  readonly #branches = new Map<number, { readonly waiting: Waiting; readonly index: number }>();
  readonly #waiting = new Set<Waiting>();
  #next = 1;

  constructor(rule: Rule, transport: HostTransport) {
    this.#rule = rule;
    this.#transport = transport;
  }

  get waiting(): Iterable<Waiting> {
    return this.#waiting;
  }

  get size(): number {
    return this.#waiting.size;
  }

  begin(task: Task): void {
    const { limit } = this.#rule;
    const spent = spentBy(task);
    const branches = branchesOf(task).map(({ to, state }, index, { length }) =>
      branchTask(task, {
        branch: {
          of: this.#transport.self,
          id: this.#next++,
          ...(limit === undefined ? {} : { limit: shareOf(limit, spent, index, length) }),
        },
        role: to,
        state,
        seed: branchSeed(task.seed, index),
      }),
    );
    const waiting: Waiting = { task, branches, ended: branches.map(() => null), deciding: null };
    this.#waiting.add(waiting);
    for (const [index, { branch }] of branches.entries())
      this.#branches.set(branch?.id ?? 0, { waiting, index });
    for (const branch of branches) this.#transport.submit({ kind: "step", task: branch });
  }

  /** Takes the end of a branch. */
  end({ task, ending }: EndMessage): void {
    this.#transport.settle(task);
    const id = task.branch?.id ?? 0;
    const known = this.#branches.get(id);
    if (known === undefined) return;
    this.#branches.delete(id);
    const { waiting, index } = known;
    waiting.ended[index] = { hops: task.history.slice(hopCount(waiting.task)), ending };
    // More branches may end while the rule decides about these.
    const ended = [...waiting.ended];
    if (waiting.deciding === null) this.#decide(waiting, ended);
    else waiting.deciding = waiting.deciding.then(() => this.#decide(waiting, ended));
  }

  #decide(waiting: Waiting, ended: Waiting["ended"]): Promise<void> | undefined {
    if (!this.#waiting.has(waiting)) return undefined;
    const decided = joinMessage(this.#rule, waiting.task, ended);
    if (decided instanceof Promise) {
      const taken = decided.then((message) => this.#take(waiting, message));
      waiting.deciding ??= taken;
      return taken;
    }
    this.#take(waiting, decided);
    return undefined;
  }

  #take(waiting: Waiting, message: Message | null): void {
    if (message !== null && this.#waiting.has(waiting)) this.finish(waiting, message);
  }

  /** Sends a task on, and gives up its branches that have not come back. */
  finish(waiting: Waiting, message: Message): void {
    this.#waiting.delete(waiting);
    for (const branch of waiting.branches) {
      if (!this.#branches.delete(branch.branch?.id ?? 0)) continue;
      this.#transport.settle(branch);
    }
    this.#transport.handOn(waiting.task, message);
  }
}
