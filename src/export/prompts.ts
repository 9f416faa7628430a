// Parts of a conversation that several formats divide it into, and the right answer of its row.

import { MatrixError, messageOf } from "../error.ts";
import type { Expression } from "../recipe/expression/expression.ts";
import type { Json, JsonObject } from "../task/json.ts";
import type { TrajectoryRecord } from "../task/record.ts";
import type { Conversation, FormatOptions, Turn } from "./contract.ts";

/** The turns before the first answer. */
export function promptOf({ turns }: Conversation): readonly Turn[] {
  const first = turns.findIndex(({ role }) => role === "assistant");
  return first === -1 ? turns : turns.slice(0, first);
}

/** Names of a row's field for its right answer, in the order in which they are looked for. */
const TRUTHS = ["ground_truth", "answer", "solution", "label", "target"];

/** The right answer of a record as text; null when there is none. */
export function groundTruthOf(
  record: TrajectoryRecord,
  { groundTruth }: FormatOptions,
): string | null {
  const value =
    groundTruth === null
      ? (TRUTHS.map((name) => record.row[name]).find((found) => (found ?? null) !== null) ?? null)
      : evaluated(groundTruth, record);
  return value === null || typeof value === "string" ? value : JSON.stringify(value);
}

function evaluated(expression: Expression, record: TrajectoryRecord): Json {
  try {
    return expression(record as unknown as JsonObject);
  } catch (cause) {
    const where = `row ${record.id}, trial ${record.trial}`;
    throw new MatrixError(
      "usage",
      `--ground-truth cannot be evaluated for ${where}: ${messageOf(cause)}`,
      { cause, hint: "has(row.name) ? row.name : null is null where a row lacks the field" },
    );
  }
}
