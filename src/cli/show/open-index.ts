// Opens the index of a run for a command. A run without one is read once, which a large run makes
// long: the terminal then shows how far it is.

import { RunIndex } from "../../records/index/run-index.ts";

/** The part of a file after which a new line is printed on a terminal. */
const STEP = 0.01;
/** Files that are read at once show no progress. */
const SILENT_BYTES = 256 * 2 ** 20;

export async function openIndex(directory: string): Promise<RunIndex> {
  const { stderr } = process;
  let shown = 0;
  const onProgress = (read: number, size: number): void => {
    if (!stderr.isTTY || size < SILENT_BYTES || read / size < shown + STEP) return;
    shown = read / size;
    stderr.write(`\rreading the records once, for their index: ${Math.floor(shown * 100)} %`);
  };
  const index = await RunIndex.open(directory, { onProgress });
  if (shown > 0) stderr.write("\r\u001b[K");
  return index;
}
