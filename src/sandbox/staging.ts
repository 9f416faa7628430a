// Copies of files that sandboxes see. A sandbox mounts a copy read-only, so that it sees nothing
// that lies beside a file, and no change while a run goes on.

import { chmod, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { MatrixError, messageOf } from "../error.ts";
import type { Mount } from "./contract.ts";

/** Files for one folder of a sandbox. */
export interface Brought {
  /** The folder's path in the sandbox. */
  readonly target: string;
  /** Contents by path from that folder. */
  readonly contents: ReadonlyMap<string, Uint8Array>;
}

/**
 * Writes each set of files into an own folder below `root`. Fails with `sandbox_unavailable` when
 * they cannot be written.
 */
export async function stage(brought: readonly Brought[], root: string): Promise<readonly Mount[]> {
  try {
    return await Promise.all(
      brought.map(async ({ target, contents }, index) => {
        const source = join(root, String(index));
        await write(source, contents);
        return { source, target, writable: false };
      }),
    );
  } catch (cause) {
    throw new MatrixError(
      "sandbox_unavailable",
      `cannot copy the files of roles for their sandbox: ${messageOf(cause)}`,
      { cause, hint: "set TMPDIR to a folder of this machine with more room" },
    );
  }
}

async function write(folder: string, contents: Brought["contents"]): Promise<void> {
  for (const [name, bytes] of contents) {
    const path = join(folder, name);
    await makeFolders(folder, dirname(name));
    await writeFile(path, bytes);
    // Set against the umask, because a program may run as any user. A bundle has no modes, so every
    // file may be a program.
    await chmod(path, 0o755);
  }
}

async function makeFolders(folder: string, below: string): Promise<void> {
  await mkdir(join(folder, below), { recursive: true });
  const parts = below === "." ? [] : below.split("/");
  for (let depth = 0; depth <= parts.length; depth++)
    await chmod(join(folder, ...parts.slice(0, depth)), 0o755);
}
