// One try of a step: a task in a slot of a role, from the start of the agent until it is settled,
// exactly once. A step that is tried again is a new Step with the same task, slot and arrival.

import type { AgentAnswer, AgentContext } from "../agent/contract.ts";
import { NO_USAGE, sumPaid } from "../task/spent.ts";
import type { Hop, MissedAnswer, Task } from "../task/task.ts";
import type { Role } from "./role.ts";

export class Step implements AgentContext {
  readonly task: Task;
  readonly role: Role;
  readonly arrivedAt: number;
  /** The start of the first try. */
  readonly begunAt: number;
  /** The start of this try. */
  readonly startedAt: number;
  readonly tries: number;
  settled = false;
  readonly #missed: { readonly answer: AgentAnswer; readonly problem: string }[] = [];
  #controller: AbortController | null = null;
  #abortReason: Error | null = null;

  constructor(task: Task, role: Role, arrivedAt: number, startedAt: number, earlier?: Step) {
    this.task = task;
    this.role = role;
    this.arrivedAt = arrivedAt;
    this.begunAt = earlier?.begunAt ?? startedAt;
    this.startedAt = startedAt;
    this.tries = (earlier?.tries ?? 0) + 1;
  }

  /** Created when an agent first asks for the signal; most agents never do. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#abortReason !== null) this.#controller.abort(this.#abortReason);
    return this.#controller.signal;
  }

  missed(answer: AgentAnswer, problem: string): void {
    if (!this.settled) this.#missed.push({ answer, problem });
  }

  /** Members of the hop that tell of more than one try, or of answers that were not used. */
  get history(): Pick<Hop, "tries" | "missed"> | null {
    if (this.tries === 1 && this.#missed.length === 0) return null;
    return {
      ...(this.tries === 1 ? {} : { tries: this.tries }),
      ...(this.#missed.length === 0 ? {} : { missed: this.#missed.map(missedOf) }),
    };
  }

  /** The model's part of the hop when the step failed: only answers that were missed were paid. */
  get paid(): Pick<Hop, "model" | "usage" | "cost"> {
    const answers = this.#missed.map(({ answer }) => answer);
    const model = answers.at(-1)?.model;
    return model === undefined ? {} : { model, ...sumPaid(answers) };
  }

  abort(reason: Error): void {
    this.#abortReason = reason;
    this.#controller?.abort(reason);
  }
}

function missedOf({
  answer,
  problem,
}: {
  readonly answer: AgentAnswer;
  readonly problem: string;
}): MissedAnswer {
  const { result, usage = NO_USAGE, cost } = answer;
  return { problem, usage, ...(cost === undefined ? {} : { cost }), result };
}
