// The agent of an llm role in a replay: it repeats the answers of a record in their order, and asks
// the model where the user wishes so. Which answer comes next follows from the task alone, so every
// host finds the same one, and so does a driver that goes on after another.

import { type ErrorCode, MatrixError } from "../error.ts";
import { unansweredResult } from "../model/endpoint/stops.ts";
import { withSeed } from "../task/encoded.ts";
import type { TrajectoryRecord } from "../task/record.ts";
import { branchSeed, deriveSeed } from "../task/seed.ts";
import type { Hop, Task } from "../task/task.ts";
import type { Agent, AgentAnswer, AgentContext } from "./contract.ts";
import { isAnew, isAsked, type ReplayWish } from "./replay-wish.ts";

/** The parts of a record that a replay needs. */
export interface Recorded extends Pick<TrajectoryRecord, "seed" | "history"> {
  /** The message of the error with which the task failed; null for one that did not. */
  readonly error: string | null;
}

/** Finds records and what a retry of the replay needs. Null for a task without a record. */
export interface RecordedTasks {
  find(task: Task, signal: AbortSignal): Recorded | null | Promise<Recorded | null>;
  /** The number of the task's seeds that retries have given up (src/records/superseded.ts). */
  redraws(task: Task, signal: AbortSignal): Promise<number>;
}

export interface ReplayRole {
  readonly name: string;
  /** Incomplete answers with which the task goes on. */
  readonly accepts: ReadonlySet<string>;
  readonly wish: ReplayWish;
  readonly recorded: RecordedTasks;
  /** Asks the model. */
  readonly asking: Agent;
}

/** The agent fails with `not_recorded` when the record has no further answer of the role. */
export function createReplayAgent(role: ReplayRole): Agent {
  return {
    run: (task, context) => {
      if (isAsked(role.wish, role.name, task)) return askAnew(role, task, context);
      const found = role.recorded.find(task, context.signal);
      return found instanceof Promise
        ? found.then((recorded) => answerFrom(role, task, recorded, context))
        : answerFrom(role, task, found, context);
    },
  };
}

/**
 * Asks the model with a seed of its own where the same seed would bring the same answer: in the
 * steps that are made anew, and in a retry after a bad answer.
 */
async function askAnew(role: ReplayRole, task: Task, context: AgentContext): Promise<AgentAnswer> {
  const { name, wish, recorded, asking } = role;
  let { seed } = task;
  if (isAnew(wish, name, task)) seed = deriveSeed(seed, "from", wish.salt);
  const redraws = task.attempt > 1 ? await recorded.redraws(task, context.signal) : 0;
  if (redraws > 0) seed = deriveSeed(seed, "redraw", redraws);
  return asking.run(seed === task.seed ? task : withSeed(task, seed), context);
}

function answerFrom(
  { name, accepts }: ReplayRole,
  task: Task,
  recorded: Recorded | null,
  context: AgentContext,
): AgentAnswer {
  const hop = recorded === null ? null : nextHop(recorded, name, task);
  if (hop === null)
    throw new MatrixError(
      "not_recorded",
      `the record has no further answer of ${name}: the task went on past the record`,
    );
  const { model, usage, cost, result, missed = [], error } = hop;
  for (const { problem, ...answer } of missed)
    context.missed(model === undefined ? answer : { ...answer, model }, problem);
  if (error !== undefined)
    throw new MatrixError(error as ErrorCode, recorded?.error ?? "the recorded step failed");
  const stop = unansweredResult(result);
  return {
    ...(stop === null || accepts.has(stop) ? {} : { stop }),
    ...(model === undefined ? {} : { model }),
    ...(usage === undefined ? {} : { usage }),
    ...(cost === undefined ? {} : { cost }),
    result,
  };
}

/** The answer after as many as the role has given in this task, or in this branch of it. */
function nextHop(recorded: Recorded, role: string, task: Task): Hop | null {
  const isOfTrunk = (hop: Hop) => hop.role === role && hop.branch === undefined;
  if (task.branch === undefined)
    return at(recorded.history, isOfTrunk, count(task.history, isOfTrunk));
  const joined = groupsOf(task.history);
  const groups = groupsOf(recorded.history);
  const group = groups[joined.length];
  if (group === undefined) return null;
  // The hops of a branch have no number before it ends: they follow those of the trunk.
  const inTask = count(task.history.slice(joined.at(-1)?.end ?? 0), isOfTrunk);
  const trunk = recorded.history.slice(groups[joined.length - 1]?.end ?? 0, group.start);
  const branch = branchOf(recorded, group, task);
  return at(
    recorded.history.slice(group.start, group.end),
    (hop) => hop.role === role && hop.branch === branch,
    inTask - count(trunk, isOfTrunk),
  );
}

interface Group {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

/** The hops of each fork's branches. Branches stand in their order, one after the other. */
function groupsOf(history: readonly Hop[]): Group[] {
  const groups: Group[] = [];
  let start: number | null = null;
  for (const [index, { branch }] of history.entries()) {
    const before = history[index - 1]?.branch;
    const isNext = branch !== undefined && before !== undefined && branch < before;
    if (start !== null && (branch === undefined || isNext)) {
      groups.push({ start, end: index });
      start = null;
    }
    if (branch !== undefined) start ??= index;
  }
  return start === null ? groups : [...groups, { start, end: history.length }];
}

/** The number of the task's branch, found by its seed; null for one that the record lacks. */
function branchOf({ history, seed }: Recorded, { start, end }: Group, task: Task): number | null {
  const last = Math.max(-1, ...history.slice(start, end).map(({ branch = -1 }) => branch));
  for (let index = 0; index <= last; index++)
    if (branchSeed(seed, index) === task.seed) return index;
  return null;
}

function count(history: readonly Hop[], isCounted: (hop: Hop) => boolean): number {
  return history.reduce((sum, hop) => sum + (isCounted(hop) ? 1 : 0), 0);
}

/** The hop before which `index` others are counted. */
function at(history: readonly Hop[], isCounted: (hop: Hop) => boolean, index: number): Hop | null {
  let left = index;
  for (const hop of history) if (isCounted(hop) && left-- === 0) return hop;
  return null;
}
