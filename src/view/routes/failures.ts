// The answers to requests that fail.

import { MatrixError, messageOf } from "../../error.ts";
import { masked } from "../../known-secrets.ts";
import type { Failure, Opening } from "../api.ts";
import { StillOpening } from "../library/shown-run.ts";
import { BadQuery } from "../table/filter.ts";

/** A request for what is not there. */
export class NotFound extends Error {
  readonly code: "no_run" | "no_record" | "no_part";

  constructor(code: NotFound["code"], message: string) {
    super(message);
    this.code = code;
  }
}

export interface Failed {
  readonly status: 202 | 400 | 404 | 409 | 500;
  readonly failure: Failure | Opening;
}

export function failureOf(thrown: unknown): Failed {
  if (thrown instanceof StillOpening)
    return { status: 202, failure: { opening: { read: thrown.read, total: thrown.total } } };
  const message = masked(messageOf(thrown));
  if (thrown instanceof BadQuery) return { status: 400, failure: { code: "bad_query", message } };
  if (thrown instanceof NotFound) return { status: 404, failure: { code: thrown.code, message } };
  if (thrown instanceof MatrixError)
    return { status: 409, failure: { code: thrown.code, message } };
  return { status: 500, failure: { code: "internal", message } };
}
