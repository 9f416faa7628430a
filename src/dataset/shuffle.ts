// A whole dataset in the order of a seed. An index says where each row is, and the rows are read by
// position. Plain JSONL without chosen columns is read in place. Any other dataset is first written
// to a temporary file as JSONL.

import { type FileHandle, open } from "node:fs/promises";
import { parseJson } from "../task/exact.ts";
import type { JsonObject } from "../task/json.ts";
import { RowIndex } from "./row-index.ts";
import { type DatasetRow, type DatasetSource, datasetGone, drawAll, isInShard } from "./source.ts";
import { Spool } from "./spool.ts";

/** The number of rows that are read at once. */
const READ_AHEAD_ROWS = 64;

export interface SelectedRows {
  readonly rows: AsyncGenerator<readonly DatasetRow[]>;
  /** Removes the temporary file, if there is one. */
  readonly close: () => Promise<void>;
}

/** The rows of a run in the order of `seed`. */
export async function shuffleRows(source: DatasetSource, seed: number): Promise<SelectedRows> {
  const plain =
    source.columns === null &&
    source.files.every(({ format, compression }) => format === "jsonl" && compression === null);
  const spool = plain ? null : await Spool.create();
  const index = new RowIndex();
  for await (const batch of drawAll(source)) {
    for (const { row, item, problem } of batch) {
      if (row === null) throw datasetGone(problem?.message ?? "a row cannot be read");
      if (spool === null)
        index.add(
          source.files.findIndex(({ path }) => path === item.file),
          item.offset,
          item.bytes,
          row.number,
        );
      else index.add(0, ...spool.write(item.text), row.number);
    }
    await spool?.drained();
  }
  await spool?.finish();
  const paths = spool === null ? source.files.map(({ path }) => path) : [spool.path];
  return {
    rows: readInOrder(paths, index, orderOf(index, seed, source), source.idField),
    close: async () => spool?.remove(),
  };
}

/** The positions in the index of the run's rows, in the order of the run. */
function orderOf(index: RowIndex, seed: number, source: DatasetSource): Uint32Array {
  const order = index.permutation(seed).subarray(0, source.limit ?? index.size);
  return source.shard === null ? order : order.filter((i) => isInShard(source, index.at(i).number));
}

async function* readInOrder(
  paths: readonly string[],
  index: RowIndex,
  order: Uint32Array,
  idField: string | null,
): AsyncGenerator<readonly DatasetRow[]> {
  const handles: FileHandle[] = await Promise.all(paths.map((path) => open(path)));
  try {
    for (let from = 0; from < order.length; from += READ_AHEAD_ROWS) {
      const wanted = [...order.subarray(from, from + READ_AHEAD_ROWS)].map((i) => index.at(i));
      yield await Promise.all(
        wanted.map(async ({ file, offset, bytes, number }) =>
          rowOf(await readAt(handles[file], offset, bytes), number, idField),
        ),
      );
    }
  } finally {
    for (const handle of handles) await handle.close();
  }
}

async function readAt(
  handle: FileHandle | undefined,
  offset: number,
  bytes: number,
): Promise<string> {
  const buffer = Buffer.alloc(bytes);
  const { bytesRead } = (await handle?.read(buffer, 0, bytes, offset)) ?? { bytesRead: 0 };
  if (bytesRead < bytes) throw new Error("a file is shorter than it was");
  return buffer.toString("utf8");
}

function rowOf(text: string, number: number, idField: string | null): DatasetRow {
  const row = parseJson(text.replace(/^\ufeff/, "")) as JsonObject;
  return { id: String(idField === null ? number : row[idField]), number, row };
}
