// A folder for temporary files of this process. Where the usual place is read-only, as in hardened
// containers, another one does. The name of the folder tells its process, so that the folders of
// processes that were killed are removed when the next one makes its own there.

import { lstat, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MatrixError, messageOf } from "../error.ts";
import { isRunning, machineId, startTimeOf } from "../process.ts";

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
      const folder = await mkdtemp(join(place, `${prefix}${ownerOf(process.pid)}`));
      await sweep(place);
      return folder;
    } catch (cause) {
      failures.push(messageOf(cause));
    }
  }
  throw new MatrixError("usage", "there is no place for temporary files", {
    hint: "set TMPDIR to a folder that can be written to",
    problems: failures.map((message) => ({ message })),
  });
}

/**
 * The machine and process of a folder, as a part of its name. A pid goes to another process one
 * day, so the start time of the process stands beside it. Empty where the platform has none.
 */
function ownerOf(pid: number): string {
  const startTime = startTimeOf(pid);
  return startTime === null ? "" : `${machine()}-${pid}-${startTime}-`;
}

const OWNED = /^matrix-[a-z-]+-([0-9a-f]{8})-(\d+)-(\d+)-[A-Za-z0-9]{6}$/;

function machine(): string {
  return machineId().slice(0, 8);
}

/** Removes the folders of this user whose processes ran on this machine and are gone. */
async function sweep(place: string): Promise<void> {
  const names = await readdir(place).catch(() => []);
  const here = machine();
  for (const name of names) {
    const [, where, pid, startTime = ""] = OWNED.exec(name) ?? [];
    if (where !== here || isRunning({ pid: Number(pid), startTime })) continue;
    const path = join(place, name);
    const found = await lstat(path).catch(() => null);
    if (found?.isDirectory() !== true || found.uid !== process.getuid?.()) continue;
    await rm(path, { recursive: true, force: true }).catch(() => undefined);
  }
}
