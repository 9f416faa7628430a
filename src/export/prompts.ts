// Parts of a conversation that several formats divide it into, and the right answer of its row.

import type { TrajectoryRecord } from "../task/record.ts";
import type { Conversation, FormatOptions, Turn } from "./contract.ts";
import { evaluated } from "./evaluated.ts";

/** The turns before the first answer. */
export function promptOf({ turns }: Conversation): readonly Turn[] {
  const first = turns.findIndex(({ role }) => role === "assistant");
  return first === -1 ? turns : turns.slice(0, first);
}

/** Names of a row's field for its right answer, in the order in which they are looked for. */
const TRUTHS = ["ground_truth", "answer", "solution", "label", "target"];
const HINT = "has(row.name) ? row.name : null is null where a row lacks the field";

/** The right answer of a record as text; null when there is none. */
export function groundTruthOf(
  record: TrajectoryRecord,
  { groundTruth }: FormatOptions,
): string | null {
  const value =
    groundTruth === null
      ? (TRUTHS.map((name) => record.row[name]).find((found) => (found ?? null) !== null) ?? null)
      : evaluated({ flag: "--ground-truth", expression: groundTruth, hint: HINT }, record);
  return value === null || typeof value === "string" ? value : JSON.stringify(value);
}
