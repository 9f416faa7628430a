// Replaces a small file: whole or not at all, whatever is killed, and still
// there after a power cut. The new content and the name in its folder reach the disk before the
// call returns.

import { randomUUID } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

export interface ReplaceOptions {
  readonly mode?: number;
  /** Fails when this process may no longer change the folder; the file then stays as it is. */
  readonly confirm?: () => Promise<void>;
}

/** Other users of the machine may not read records, recipes and tokens. */
const OWNER_ONLY = 0o600;

export async function replaceFile(
  path: string,
  content: string,
  { mode = OWNER_ONLY, confirm }: ReplaceOptions = {},
): Promise<void> {
  const temporary = `${path}.${randomUUID()}.tmp`;
  await confirm?.();
  try {
    const file = await open(temporary, "wx", mode);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    // A process that stood still since the first look may have lost the folder meanwhile.
    await confirm?.();
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw cause;
  }
  await syncFolder(dirname(path));
}

/** Makes the names in a folder durable. File systems that cannot sync a folder are left alone. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } catch (cause) {
    const { code } = cause as { code?: unknown };
    if (code !== "EINVAL" && code !== "ENOTSUP" && code !== "EBADF") throw cause;
  } finally {
    await handle.close();
  }
}

/** Tells whether `name` is a temporary file that `replaceFile` makes for `path`. */
export function isTemporaryOf(path: string, name: string): boolean {
  return name.startsWith(`${basename(path)}.`) && name.endsWith(".tmp");
}

/** Removes temporary files that killed or frozen processes left for `path`. */
export async function removeTemporaries(path: string, names: readonly string[]): Promise<void> {
  for (const name of names)
    if (isTemporaryOf(path, name)) await rm(join(dirname(path), name), { force: true });
}
