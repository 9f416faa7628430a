// Fences off a driver that was taken for dead and may still run. A driver looks at its lock before
// it writes, but it may be stopped between the look and the write. So the driver that takes over
// goes on in a copy of the file. A late write of the other reaches the old file, which has no name
// any more. File systems that share blocks make the copy without copying.

import { constants } from "node:fs";
import { copyFile, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { syncFolder } from "../durable-file.ts";
import { messageOf } from "../error.ts";

/** Removes a copy that a killed driver did not finish. */
export async function removeUnfinishedCopy(path: string): Promise<void> {
  await rm(copyOf(path), { force: true });
}

/** Puts a copy in the place of the records. Returns remarks for the log. */
export async function fenceRecords(path: string): Promise<readonly string[]> {
  const copy = copyOf(path);
  try {
    await copyFile(path, copy, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
    const file = await open(copy, "r+");
    try {
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(copy, path);
    await syncFolder(dirname(path));
    return [];
  } catch (cause) {
    await rm(copy, { force: true }).catch(() => undefined);
    if ((cause as { code?: unknown }).code === "ENOENT") return [];
    return [
      `the records could not be copied (${messageOf(cause)}): a driver that comes to life again may write a few of them twice`,
    ];
  }
}

function copyOf(path: string): string {
  return `${path}.copy`;
}
