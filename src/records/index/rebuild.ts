// Makes the index of a run that has none, or one that does not agree with its records. The new one
// is written beside its place and then put there whole. A driver keeps the index of its own run, so
// a reader leaves a directory alone that has a driver.

import { statSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { randomId } from "../../random-id.ts";
import { isHeld } from "../lock.ts";
import { BEGINNING } from "../record-file.ts";
import { IndexWriter } from "./index-writer.ts";
import { INDEX_FOLDER } from "./layout.ts";
import { type ScanOptions, scanRecords } from "./scan-records.ts";

/** Bytes of records that are worth an index. Fewer are read faster than its files are opened. */
const WORTH_BYTES = 2 ** 20;

/** Returns false when this process may not write there, or there is too little to index. */
export async function rebuildIndex(
  directory: string,
  path: string,
  options: ScanOptions,
): Promise<boolean> {
  const { size = 0 } = statSync(path, { throwIfNoEntry: false }) ?? {};
  if (size < WORTH_BYTES || (await isHeld(directory))) return false;
  const folder = join(directory, `${INDEX_FOLDER}.${randomId(21)}.tmp`);
  const writer = await IndexWriter.create(folder).catch(() => null);
  if (writer === null) return false;
  try {
    await scanRecords(path, BEGINNING, writer, options);
    await writer.close();
    if (writer.hasFailed || (await isHeld(directory))) return false;
    await replaceIndex(directory, folder);
    return true;
  } catch (thrown) {
    await writer.abandon();
    throw thrown;
  } finally {
    await rm(folder, { recursive: true, force: true }).catch(() => undefined);
  }
}

/** Puts a finished index in the place of the one that is there. */
export async function replaceIndex(directory: string, folder: string): Promise<void> {
  const place = join(directory, INDEX_FOLDER);
  await rm(place, { recursive: true, force: true });
  await rename(folder, place);
}
