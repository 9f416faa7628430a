// The value of an expression of a flag, over a record.

import { MatrixError, messageOf } from "../error.ts";
import type { Expression } from "../recipe/expression/expression.ts";
import type { Json, JsonObject } from "../task/json.ts";
import type { TrajectoryRecord } from "../task/record.ts";

/** An expression that a flag gave. */
export interface FlagExpression {
  /** The flag as it stands on the command line, such as `--filter`. */
  readonly flag: string;
  readonly expression: Expression;
  /** Advice on rows that lack a field. */
  readonly hint: string;
}

/** Fails with `usage`, and names the record, where the expression has no value. */
export function evaluated(
  { flag, expression, hint }: FlagExpression,
  record: TrajectoryRecord,
): Json {
  try {
    return expression(record as unknown as JsonObject);
  } catch (cause) {
    const where = `row ${record.id}, trial ${record.trial}`;
    throw new MatrixError(
      "usage",
      `${flag} cannot be evaluated for ${where}: ${messageOf(cause)}`,
      { cause, hint },
    );
  }
}
