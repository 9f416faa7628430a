// Recorded answers of models, given in order to the roles that asked for them. A task finds its
// record by its row, which is one object for as long as the task stays in this process. A branch
// finds the answers of the same branch.

import { type ErrorCode, MatrixError } from "../error.ts";
import { unansweredResult } from "../model/endpoint/stops.ts";
import type { JsonObject } from "../task/json.ts";
import type { TrajectoryRecord } from "../task/record.ts";
import { branchSeed } from "../task/seed.ts";
import type { Hop, Task } from "../task/task.ts";
import type { Agent, AgentAnswer, AgentContext } from "./contract.ts";

type Recorded = Pick<TrajectoryRecord, "row" | "seed" | "history"> &
  Partial<Pick<TrajectoryRecord, "error">>;

export class Recordings {
  readonly #byRow = new WeakMap<JsonObject, Recording>();

  /** `record.row` must be the very object that is the task's row. */
  add(record: Recorded): void {
    this.#byRow.set(record.row, new Recording(record));
  }

  /**
   * Makes an agent that repeats the answers of a role's model, and fails with `not_recorded` when
   * the record has no further answer. An incomplete answer ends the task, unless the role now
   * `accepts` it.
   */
  createAgent(role: string, accepts: ReadonlySet<string>): Agent {
    return { run: (task, context) => this.#answer(role, accepts, task, context) };
  }

  #answer(
    role: string,
    accepts: ReadonlySet<string>,
    task: Task,
    context: AgentContext,
  ): AgentAnswer {
    const recording = this.#byRow.get(task.row);
    const hop = recording?.next(role, task) ?? null;
    if (hop === null)
      throw new MatrixError(
        "not_recorded",
        `the record has no further answer of ${role}: the task went on past the record`,
      );
    const { model, usage, cost, result, missed = [], error } = hop;
    for (const { problem, ...answer } of missed)
      context.missed(model === undefined ? answer : { ...answer, model }, problem);
    if (error !== undefined)
      throw new MatrixError(error as ErrorCode, recording?.error ?? "the recorded step failed");
    const stop = unansweredResult(result);
    return {
      ...(stop === null || accepts.has(stop) ? {} : { stop }),
      ...(model === undefined ? {} : { model }),
      ...(usage === undefined ? {} : { usage }),
      ...(cost === undefined ? {} : { cost }),
      result,
    };
  }
}

class Recording {
  readonly #history: readonly Hop[];
  readonly #seed: number;
  /** The message of the error with which the recorded task failed; null for one that did not. */
  readonly error: string | null;
  /**
   * Index at which the search for the next answer begins, by branch and role. A new attempt of the
   * row starts again.
   */
  #next = new Map<string, number>();
  #attempt = 1;

  constructor({ history, seed, error }: Recorded) {
    this.#history = history;
    this.#seed = seed;
    this.error = error?.message ?? null;
  }

  next(role: string, task: Task): Hop | null {
    if (task.attempt !== this.#attempt) this.#next = new Map();
    this.#attempt = task.attempt;
    const branch = task.branch === undefined ? undefined : this.#branchOf(task);
    const place = `${branch ?? ""}/${role}`;
    const isNext = (hop: Hop, index: number) =>
      index >= (this.#next.get(place) ?? 0) && hop.role === role && hop.branch === branch;
    const index = this.#history.findIndex(isNext);
    if (index === -1) return null;
    this.#next.set(place, index + 1);
    return this.#history[index] ?? null;
  }

  /**
   * The number of the task's branch, found by its seed. It is -1 for a branch that the record does
   * not have, and no hop has that number.
   */
  #branchOf({ seed }: Task): number {
    const last = Math.max(-1, ...this.#history.map(({ branch = -1 }) => branch));
    for (let index = 0; index <= last; index++)
      if (branchSeed(this.#seed, index) === seed) return index;
    return -1;
  }
}
