// The choice of records that a retry runs again: by status, by error code, or by stop reason.

import { ERROR_CODES, MatrixError } from "../error.ts";
import { nearestWord } from "../recipe/complaint.ts";
import type { TrajectoryRecord } from "../task/record.ts";
import { STOP_REASONS } from "../task/task.ts";

/** Statuses, error codes and stop reasons; a record that has any of them is chosen. */
export type RetryChoice = ReadonlySet<string>;

/** The members of a record that a choice looks at. */
export type Choosable = Pick<TrajectoryRecord, "status"> &
  Partial<Pick<TrajectoryRecord, "stop_reason" | "error">>;

/** Records with the status "ok" are chosen by their stop reason alone. */
const STATUSES = ["failed", "lost"] as const;
const WORDS: readonly string[] = [...new Set([...STATUSES, ...STOP_REASONS, ...ERROR_CODES])];

/** Reads words with commas between them. Fails with `usage` and the nearest word. */
export function parseRetryChoice(text: string): RetryChoice {
  const words = text.split(",").map((word) => word.trim());
  for (const word of words) {
    if (WORDS.includes(word)) continue;
    const near = nearestWord(word, WORDS);
    throw new MatrixError(
      "usage",
      `--retry ${text}: "${word}" is not a status, an error code or a stop reason`,
      {
        hint:
          near === undefined
            ? `failed, lost, a stop reason (${STOP_REASONS.join(", ")}), or an error code such as model_failed`
            : `did you mean "${near}"?`,
      },
    );
  }
  return new Set(words);
}

export function isChosen(choice: RetryChoice, { status, stop_reason, error }: Choosable): boolean {
  return (
    choice.has(status) ||
    (stop_reason !== undefined && choice.has(stop_reason)) ||
    (error != null && choice.has(error.code))
  );
}
