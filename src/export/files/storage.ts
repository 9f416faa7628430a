// The error of a file that cannot be written.

import { MatrixError, messageOf } from "../../error.ts";

/** A handler for `.catch()` that throws `storage_failed` with the path that cannot be written. */
export function storageFailed(path: string): (cause: unknown) => never {
  return (cause) => {
    throw new MatrixError("storage_failed", `cannot write ${path}: ${messageOf(cause)}`, { cause });
  };
}
