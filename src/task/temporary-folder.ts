// A folder for temporary files of this process. Where the usual place is read-only, as in hardened
// containers, another one does.

import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MatrixError, messageOf } from "../error.ts";

/** Memory that every Linux process may use as files. */
const SHARED_MEMORY = "/dev/shm";

/**
 * Makes a folder whose name begins with `prefix`, in the first of these places that can be written
 * to: the folder for temporary files, XDG_RUNTIME_DIR, shared memory, and `others`.
 */
export async function makeTemporaryFolder(
  prefix: string,
  others: readonly string[] = [],
  usual = [tmpdir(), process.env["XDG_RUNTIME_DIR"] ?? "", SHARED_MEMORY],
): Promise<string> {
  const failures: string[] = [];
  for (const place of [...usual, ...others].filter((path) => path !== "")) {
    try {
      return await mkdtemp(join(place, prefix));
    } catch (cause) {
      failures.push(messageOf(cause));
    }
  }
  throw new MatrixError("usage", "there is no place for temporary files", {
    hint: "set TMPDIR to a folder that can be written to",
    problems: failures.map((message) => ({ message })),
  });
}
