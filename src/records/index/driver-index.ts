// The index of a run while its driver has the directory. A stored index that agrees with the
// records goes on; any other one is made anew while the driver reads its records. A run goes on
// without an index where none can be written.

import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fenceRecords } from "../fence-records.ts";
import type { Confirm } from "../held-lock.ts";
import type { Place, Recorded } from "./entry-table.ts";
import { IndexWriter } from "./index-writer.ts";
import { FILES, INDEX_FOLDER } from "./layout.ts";
import { StoredIndex } from "./stored-index.ts";

export class DriverIndex {
  /** The rows that were there before; null when none of them counts. */
  readonly stored: StoredIndex | null;
  readonly #directory: string;
  readonly #confirm: Confirm;
  #writer: IndexWriter | null = null;
  #isClosed = false;

  private constructor(directory: string, stored: StoredIndex | null, confirm: Confirm) {
    this.#directory = directory;
    this.stored = stored;
    this.#confirm = confirm;
  }

  /**
   * Opens the index beside the file of records at `path`. A directory without records stays as it
   * is.
   */
  static async open(path: string, confirm: Confirm): Promise<DriverIndex> {
    const directory = dirname(path);
    const index = new DriverIndex(directory, await openTrusted(directory, path), confirm);
    if (existsSync(path)) await index.begin();
    return index;
  }

  /** Gets ready for rows, unless that is done. */
  async begin(): Promise<void> {
    if (this.#writer !== null) return;
    const writer =
      this.stored === null
        ? IndexWriter.create(join(this.#directory, INDEX_FOLDER), this.#confirm)
        : IndexWriter.append(this.stored, this.#confirm);
    this.#writer = await writer.catch(() => null);
  }

  add(record: Recorded, place: Place, flags?: number): void {
    this.#writer?.add(record, place, flags);
  }

  async flush(): Promise<void> {
    await this.#writer?.flush();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.stored?.close();
    await this.#writer?.close();
  }
}

/** A driver believes its index for long, so it looks at more of it than readers do. */
async function openTrusted(directory: string, path: string): Promise<StoredIndex | null> {
  const stored = await StoredIndex.open(directory, path);
  if (stored === null) return null;
  const isTrusted = (stored.end.inFrame ?? 0) === 0 && stored.isSound() && stored.agreesAtEnd(path);
  if (isTrusted) return stored;
  stored.close();
  return null;
}

/** Keeps a driver that may come to life again from writing into the index of its successor. */
export async function fenceIndex(directory: string): Promise<void> {
  for (const name of Object.values(FILES)) {
    const remarks = await fenceRecords(join(directory, INDEX_FOLDER, name));
    if (remarks.length > 0)
      await rm(join(directory, INDEX_FOLDER), { recursive: true, force: true });
  }
}
