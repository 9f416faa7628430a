// The operations on files that change which records a run has. They stand behind one contract, so
// that a test can end them at any step.

import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { syncFolder } from "../durable-file.ts";
import { openOwn } from "../task/own-files.ts";
import type { Confirm } from "./held-lock.ts";

export interface Disk {
  /** Appends bytes to a file, which is made when it is missing. */
  append(path: string, bytes: Uint8Array): Promise<void>;
  /** Cuts a file off after `bytes` bytes. */
  truncate(path: string, bytes: number): Promise<void>;
  /** Resolves when a power cut can no longer undo what was written to the file. */
  sync(path: string): Promise<void>;
  /** The same for the names in a folder. */
  syncFolder(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Removes a file; a missing file is no error. */
  remove(path: string): Promise<void>;
}

export const realDisk: Disk = {
  append: (path, bytes) =>
    withFile(openOwn(path, "a"), async (file) => {
      // A write may be short, for example on a nearly full disk.
      for (let written = 0; written < bytes.length; )
        written += (await file.write(bytes, written, bytes.length - written)).bytesWritten;
    }),
  truncate: (path, bytes) => withFile(openOwn(path, "r+"), (file) => file.truncate(bytes)),
  sync: (path) => withFile(open(path, "r"), (file) => file.sync()),
  syncFolder,
  rename: (from, to) => rename(from, to),
  remove: (path) => rm(path, { force: true }),
};

/** The same disk; `confirm` is called before each operation, and prevents it when it fails. */
export function guarded(disk: Disk, confirm: Confirm): Disk {
  const after = async (use: () => Promise<void>): Promise<void> => {
    await confirm();
    await use();
  };
  return {
    append: (path, bytes) => after(() => disk.append(path, bytes)),
    truncate: (path, bytes) => after(() => disk.truncate(path, bytes)),
    sync: (path) => after(() => disk.sync(path)),
    syncFolder: (path) => after(() => disk.syncFolder(path)),
    rename: (from, to) => after(() => disk.rename(from, to)),
    remove: (path) => after(() => disk.remove(path)),
  };
}

async function withFile(
  opening: Promise<FileHandle>,
  use: (file: FileHandle) => Promise<void>,
): Promise<void> {
  const file = await opening;
  try {
    await use(file);
  } finally {
    await file.close();
  }
}
