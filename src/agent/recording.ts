// Recorded answers of models, given again to the roles that asked for them, in order. Each task finds its own by its row, which
// is one object as long as the task stays in this process; a branch finds those of its place.

import { MatrixError } from "../error.ts";
import type { ChatAnswer } from "../model/contract.ts";
import { unansweredOf } from "../model/endpoint/stops.ts";
import { isJsonObject, type Json, type JsonObject } from "../task/json.ts";
import type { TrajectoryRecord } from "../task/record.ts";
import { branchSeed } from "../task/seed.ts";
import type { Hop, Task, Unanswered } from "../task/task.ts";
import type { Agent, AgentAnswer } from "./contract.ts";

type Recorded = Pick<TrajectoryRecord, "row" | "seed" | "history">;

export class Recordings {
  readonly #byRow = new WeakMap<JsonObject, Recording>();

  /** The task's row must be the record's, the very object. */
  add(record: Recorded): void {
    this.#byRow.set(record.row, new Recording(record));
  }

  /**
   * An llm role that says what it said. Fails with `not_recorded` where it said no more. What is no whole answer ends the task,
   * as it did, unless the role `accepts` it now.
   */
  createAgent(role: string, accepts: ReadonlySet<string>): Agent {
    return { run: (task) => this.#answer(role, accepts, task) };
  }

  #answer(role: string, accepts: ReadonlySet<string>, task: Task): AgentAnswer {
    const hop = this.#byRow.get(task.row)?.next(role, task) ?? null;
    if (hop === null)
      throw new MatrixError(
        "not_recorded",
        `the record has no further answer of ${role}: the task went on past it`,
      );
    const { model, usage, cost, result } = hop;
    const stop = unansweredIn(result);
    return {
      ...(stop === null || accepts.has(stop) ? {} : { stop }),
      ...(model === undefined ? {} : { model }),
      ...(usage === undefined ? {} : { usage }),
      ...(cost === undefined ? {} : { cost }),
      result,
    };
  }
}

/** A message says of itself what it is not. */
function unansweredIn(result: Json): Unanswered | null {
  if (!isJsonObject(result)) return null;
  const { finish_reason: finishReason } = result;
  return unansweredOf({
    message: result as ChatAnswer["message"],
    finishReason: typeof finishReason === "string" ? finishReason : "stop",
  });
}

class Recording {
  readonly #history: readonly Hop[];
  readonly #seed: number;
  /** By role and branch, where to look for the next answer; of the latest start of the row. */
  #next = new Map<string, number>();
  #attempt = 1;

  constructor({ history, seed }: Recorded) {
    this.#history = history;
    this.#seed = seed;
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

  /** A branch is known by its seed. Of one that is not in the record there is no hop. */
  #branchOf({ seed }: Task): number {
    const last = Math.max(-1, ...this.#history.map(({ branch = -1 }) => branch));
    for (let index = 0; index <= last; index++)
      if (branchSeed(this.#seed, index) === seed) return index;
    return -1;
  }
}
