// A seeded permutation of a whole dataset. An index with 22 bytes for each row says where the row
// is; the index is shuffled, and the rows are read by position. Plain JSONL without chosen columns
// is read in place. Any other dataset is first written to a temporary file as JSONL.

import { once } from "node:events";
import { createWriteStream, existsSync, unlinkSync } from "node:fs";
import { type FileHandle, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JsonObject } from "../task/json.ts";
import { createRandom, deriveSeed } from "../task/seed.ts";
import { type DatasetRow, type DatasetSource, datasetGone, drawAll, isInShard } from "./source.ts";

const READ_AHEAD_ROWS = 64;
const INITIAL_ROWS = 1024;

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

/**
 * The places of rows, in columns that grow: an object for each row would take several times the
 * memory.
 */
class RowIndex {
  #offsets = new Float64Array(INITIAL_ROWS);
  #numbers = new Float64Array(INITIAL_ROWS);
  #bytes = new Uint32Array(INITIAL_ROWS);
  #files = new Uint16Array(INITIAL_ROWS);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(file: number, offset: number, bytes: number, number: number): void {
    if (this.#size === this.#offsets.length) this.#grow();
    this.#files[this.#size] = file;
    this.#offsets[this.#size] = offset;
    this.#bytes[this.#size] = bytes;
    this.#numbers[this.#size] = number;
    this.#size++;
  }

  at(i: number): { file: number; offset: number; bytes: number; number: number } {
    return {
      file: this.#files[i] ?? 0,
      offset: this.#offsets[i] ?? 0,
      bytes: this.#bytes[i] ?? 0,
      number: this.#numbers[i] ?? 0,
    };
  }

  /** All positions in an order that the seed decides (Fisher and Yates). */
  permutation(seed: number): Uint32Array {
    const order = new Uint32Array(this.#size).map((_, i) => i);
    const random = createRandom(deriveSeed(seed, "shuffle"));
    for (let i = order.length - 1; i > 0; i--) {
      const j = Math.floor(random() * (i + 1));
      const [a, b] = [order[i] as number, order[j] as number];
      order[i] = b;
      order[j] = a;
    }
    return order;
  }

  #grow(): void {
    const double = <T extends Float64Array | Uint32Array | Uint16Array>(old: T, fresh: T): T => {
      fresh.set(old);
      return fresh;
    };
    const length = this.#size * 2;
    this.#offsets = double(this.#offsets, new Float64Array(length));
    this.#numbers = double(this.#numbers, new Float64Array(length));
    this.#bytes = double(this.#bytes, new Uint32Array(length));
    this.#files = double(this.#files, new Uint16Array(length));
  }
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
  const row = JSON.parse(text.replace(/^\ufeff/, "")) as JsonObject;
  return { id: String(idField === null ? number : row[idField]), number, row };
}

/** A temporary JSONL file for the rows of a dataset in another format. */
class Spool {
  readonly path: string;
  readonly #stream: ReturnType<typeof createWriteStream>;
  #offset = 0;
  #full = false;
  /** Removes the file when the process exits before `remove` was called. */
  readonly #onExit = (): void => {
    if (existsSync(this.path)) unlinkSync(this.path);
  };

  private constructor(path: string) {
    this.path = path;
    this.#stream = createWriteStream(path);
    process.once("exit", this.#onExit);
  }

  static async create(): Promise<Spool> {
    return new Spool(join(await mkdtemp(join(tmpdir(), "matrix-shuffle-")), "rows.jsonl"));
  }

  write(text: string): readonly [offset: number, bytes: number] {
    const bytes = Buffer.byteLength(text);
    const offset = this.#offset;
    this.#offset += bytes + 1;
    this.#full = !this.#stream.write(`${text}\n`) || this.#full;
    return [offset, bytes];
  }

  async drained(): Promise<void> {
    if (this.#full) await once(this.#stream, "drain");
    this.#full = false;
  }

  async finish(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#stream.once("error", reject);
      this.#stream.end(() => resolve());
    });
  }

  async remove(): Promise<void> {
    process.off("exit", this.#onExit);
    await rm(join(this.path, ".."), { recursive: true, force: true });
  }
}
