// The records that are byte for byte as the sink wrote them, from the beginning of the file. Their
// checksums show it, so a reader need not parse them again to know what the sink accounted for.

import { type FileHandle, open } from "node:fs/promises";
import { BEGINNING, type From } from "../record-file.ts";
import { lineSum } from "./entry-table.ts";
import { ROW_WORDS, STATUSES, WORD } from "./layout.ts";
import { placeOf, type StoredIndex } from "./stored-index.ts";

/** Records are read in pieces of this length. */
const PIECE_BYTES = 8 * 2 ** 20;
const NEWLINE = 0x0a;
const SEED = Buffer.from(',"seed":');

export interface WrittenRecord {
  readonly id: string;
  readonly trial: number;
  readonly attempt: number;
  readonly seed: number;
  readonly status: (typeof STATUSES)[number];
}

/**
 * Calls `take` with each of these records and the number of its line. Returns the place of the
 * first line that is another.
 */
export async function takeWrittenLines(
  index: StoredIndex,
  path: string,
  take: (record: WrittenRecord, line: number) => void,
): Promise<From> {
  const file = await open(path, "r");
  const lines = new Lines(file);
  let end: From = BEGINNING;
  try {
    for (const rows of index.chunks()) {
      const texts = index.textsOf(rows);
      for (let n = 0; n < rows.count; n++) {
        const place = placeOf(rows, n);
        const follows = place.frameBytes === 0 && place.offset === end.offset;
        if (!follows || !place.written) return end;
        const line = await lines.at(place.offset, place.bytes);
        if (line === null || lineSum(line) !== place.sum) return end;
        const seed = seedIn(line);
        if (seed === null) return end;
        const word = (name: keyof typeof WORD) => rows.words[n * ROW_WORDS + WORD[name]] ?? 0;
        const id = texts.bytes.toString(
          "utf8",
          place.idStart - texts.from,
          place.idEnd - texts.from,
        );
        const status = STATUSES[word("kinds") & 0xff] ?? "lost";
        const record = { id, trial: word("trial"), attempt: word("attempt"), seed, status };
        end = { offset: place.offset + place.bytes + 1, lines: end.lines + 1 };
        take(record, end.lines);
      }
    }
    return end;
  } finally {
    await file.close();
  }
}

/** The first member of this name. Within a text its quotes would be escaped. */
function seedIn(line: Buffer): number | null {
  const at = line.indexOf(SEED);
  if (at === -1) return null;
  const digits = line.toString("latin1", at + SEED.length, at + SEED.length + 20);
  const seed = Number.parseInt(digits, 10);
  return Number.isSafeInteger(seed) ? seed : null;
}

/** Lines that are read in the order of the file. */
class Lines {
  readonly #file: FileHandle;
  #piece: Buffer = Buffer.alloc(0);
  #from = 0;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  /** The line at a position; null where it does not end with a newline. */
  async at(position: number, bytes: number): Promise<Buffer | null> {
    if (position + bytes + 1 > this.#from + this.#piece.length) {
      const piece = Buffer.allocUnsafe(Math.max(PIECE_BYTES, bytes + 1));
      const { bytesRead } = await this.#file.read(piece, 0, piece.length, position);
      this.#piece = piece.subarray(0, bytesRead);
      this.#from = position;
    }
    const start = position - this.#from;
    if (this.#piece[start + bytes] !== NEWLINE) return null;
    return this.#piece.subarray(start, start + bytes);
  }
}
