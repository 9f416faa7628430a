// What cannot be written, in our words.

import { MatrixError, messageOf } from "../error.ts";

/** For `.catch()`: fails with `storage_failed`. */
export function storageFailed(path: string): (cause: unknown) => never {
  return (cause) => {
    throw new MatrixError("storage_failed", `cannot write ${path}: ${messageOf(cause)}`, { cause });
  };
}
