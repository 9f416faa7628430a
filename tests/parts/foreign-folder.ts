// A folder of another user. Root makes one. For any other user, /proc/1 is one: it is root's, and
// no process can make a file there.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runChild } from "../../src/sandbox/spawn.ts";

const NOBODY = 65_534;

export async function withForeignFolder<T>(
  use: (folder: string, uid: number) => Promise<T>,
): Promise<T> {
  if (process.getuid?.() !== 0) return use("/proc/1", 0);
  const folder = await mkdtemp(join(tmpdir(), "matrix-test-"));
  try {
    await runChild("chown", [String(NOBODY), folder]);
    return await use(folder, NOBODY);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
