// The facts that superseded.jsonl tells a later start of the run: which rows began before, and what
// they cost. A row that runs again goes on with the next attempt. So nothing that a host still
// holds of an earlier attempt is taken for its end.
//
// It keeps its seed where the server, the sandbox, the host or the time was to blame: the same
// requests can succeed now, and their earlier answers are in the journal or the cache. Otherwise an
// answer was to blame, and with the same seed the same answer would come again. The row draws
// another seed then.

import type { ErrorCode } from "../error.ts";
import { addSpent, NOTHING_SPENT, type Spent } from "../task/spent.ts";
import { parseHead } from "./read-records.ts";
import { openRecordFile, supersededPath } from "./record-file.ts";
import { costOf, type PaidFor } from "./recorded-tasks.ts";
import type { Choosable } from "./retry-choice.ts";
import { countedBytes } from "./supersede.ts";

/** The beginning of a (row, trial). */
export interface Beginning {
  /** The number of its first attempt, from 1. */
  readonly attempt: number;
  /** The number of its seeds that were given up. */
  readonly redraws: number;
}

export interface Superseded {
  /** Number of superseded records. */
  readonly count: number;
  /** Sum over them. */
  readonly used: Spent;
  /** The beginnings of the tasks that have superseded records, by `taskName`. */
  readonly beginnings: ReadonlyMap<string, Beginning>;
}

export const FIRST_BEGINNING: Beginning = { attempt: 1, redraws: 0 };

const NO_ANSWER_TO_BLAME: ReadonlySet<string> = new Set<ErrorCode>([
  "storage_failed",
  "dataset_gone",
  "peer_failed",
  "wire_invalid",
  "agent_timeout",
  "task_timeout",
  "model_unavailable",
  "model_overloaded",
  "model_lost",
  "model_failed",
  "model_timeout",
  "model_denied",
  "sandbox_invalid",
  "sandbox_unavailable",
  "sandbox_lost",
  "program_failed",
  "sandbox_fenced",
  "host_lost",
  "not_recorded",
]);

export function taskName(rowId: string, trial: number): string {
  return `${trial}:${rowId}`;
}

export function parseTaskName(name: string): { readonly rowId: string; readonly trial: number } {
  const colon = name.indexOf(":");
  return { trial: Number(name.slice(0, colon)), rowId: name.slice(colon + 1) };
}

/** The beginning after one more superseded record. */
export function nextBeginning(
  before: Beginning,
  { attempt = 1, error = null }: Choosable & { readonly attempt?: number },
): Beginning {
  const keepsSeed = error !== null && NO_ANSWER_TO_BLAME.has(error.code);
  return {
    attempt: Math.max(before.attempt, attempt + 1),
    redraws: before.redraws + (keepsSeed ? 0 : 1),
  };
}

/** Fails with `run_refused` on a line that is not a record. */
export async function readSuperseded(
  trajectories: string,
  paidFor: PaidFor = costOf,
): Promise<Superseded> {
  const path = supersededPath(trajectories);
  const { lines, close } = await openRecordFile(path, await countedBytes(trajectories));
  const beginnings = new Map<string, Beginning>();
  let count = 0;
  let used = NOTHING_SPENT;
  try {
    for await (const batch of lines) {
      for (const line of batch) {
        if (line.torn) continue;
        const head = parseHead(line, path);
        const name = taskName(head.id, head.trial);
        beginnings.set(name, nextBeginning(beginnings.get(name) ?? FIRST_BEGINNING, head));
        used = addSpent(used, paidFor(head));
        count++;
      }
    }
  } finally {
    await close();
  }
  return { count, used, beginnings };
}
