// A parcel: a message on its way between two processes, with what custody needs to know of it.

import { hopCount } from "../task/encoded.ts";
import type { Message, Task } from "../task/task.ts";
import type { Load } from "./member.ts";

export interface Parcel {
  /** Names the parcel between its sender and its receiver. */
  readonly seq: number;
  readonly message: Message;
  /**
   * How many hosts died with it. Above 0 it is a suspect: its receiver says so before it starts.
   */
  readonly crashes: number;
  /**
   * Number of hosts in a row that died at one step, after they had declared its start.
   */
  readonly strikes: number;
}

/** One request between peers. */
export interface Batch {
  readonly parcels: readonly Parcel[];
  /** Parcels of the addressee that were handed on: it may forget them. */
  readonly released: readonly number[];
  /** Suspects of the addressee that are about to start, and at which position. */
  readonly starting: readonly Starting[];
}

export type Starting = readonly [seq: number, position: number];

/**
 * The receipt for a batch: each of its parcels that is not refused is in the receiver's custody.
 * Null when the receiver does not know the sender.
 */
export type Receipt = {
  /** Parcels that the receiver has no room for, or does not take because it leaves. */
  readonly refused: readonly number[];
} | null;

/** The answer to a batch: the receipt and further news for the sender. */
export type Answer = {
  readonly refused: readonly number[];
  /** Parcels to send again, whole: the receiver no longer has the part that was left out. */
  readonly incomplete: readonly number[];
  readonly load: Load;
} | null;

/** A task's identity in the run. */
export type TaskKey = string;

/**
 * The key of a task or of a branch, which is delivered like a task of its own. A task's key begins
 * with a digit and a branch's key does not, so the two never collide.
 */
export function keyOf({ rowId, trial, branch }: Pick<Task, "rowId" | "trial" | "branch">): TaskKey {
  return branch === undefined ? `${trial}:${rowId}` : `@${branch.of}:${branch.id}`;
}

/** The row and the trial of a task that is not a branch. */
export function parseKey(key: TaskKey): { readonly rowId: string; readonly trial: number } {
  const colon = key.indexOf(":");
  return { trial: Number(key.slice(0, colon)), rowId: key.slice(colon + 1) };
}

const HOPS_MAX = 1_000_000;

/**
 * The position (attempt, hop) as one number, which grows during a task's life. An end comes after
 * every hop of its attempt.
 */
export function positionOf({ kind, task }: Message): number {
  return kind === "end" ? task.attempt * HOPS_MAX + HOPS_MAX - 1 : positionOfStep(task);
}

/** The position of a task that was delivered for a step or a fork. */
export function positionOfStep(task: Task): number {
  return task.attempt * HOPS_MAX + hopCount(task);
}

export function attemptOf(position: number): number {
  return Math.floor(position / HOPS_MAX);
}
