// Rows of the index in memory: those that a writer has not written yet, or those of records that no
// stored index covers. They grow at the end and can be cleared.

import { crc32 } from "node:zlib";
import { masked } from "../../known-secrets.ts";
import { fingerprint } from "../../task/id-set.ts";
import type { RecordHead } from "../../task/record.ts";
import {
  DOUBLE,
  ERROR_HOP_MAX,
  FLAG_SIMULATED,
  KEY_WORDS,
  ROW_BYTES,
  ROW_DOUBLES,
  ROW_WORDS,
  STATUSES,
  WORD,
} from "./layout.ts";
import { shortMessage } from "./short-message.ts";
import type { StringTable } from "./string-table.ts";

/** The members of a record that the index keeps. */
export type IndexedHead = Pick<RecordHead, "id" | "trial" | "status"> &
  Partial<
    Pick<
      RecordHead,
      "attempt" | "stop_reason" | "score" | "error" | "simulated" | "usage" | "cost" | "timing"
    >
  >;

/** The place of a line in the file of the records. */
export interface Place {
  /** Byte offset of the line, or of its frame in a compressed file. */
  readonly offset: number;
  /** Bytes of that frame; 0 in a plain file. */
  readonly frameBytes: number;
  /** The offset of the line in the content of its frame. */
  readonly inFrame: number;
  /** Bytes of the line without its newline. */
  readonly bytes: number;
  /** `lineSum` of the line, or 0 where it is not known. */
  readonly sum: number;
}

/** A record without its content, and what the index needs of its content. */
export interface Recorded {
  readonly head: IndexedHead;
  readonly hops: number;
  /** Names of the models that answered. */
  readonly models: readonly string[];
}

const INITIAL_ROWS = 256;
const INITIAL_TEXT_BYTES = 16 * 1024;
const ASCII_MAX = 0x7f;
const LONG_TEXT = 64;
const UINT32_MAX = 0xffff_ffff;
/** UTF-8 takes at most three bytes for a UTF-16 code unit. */
const BYTES_PER_UNIT_MAX = 3;

export class EntryTable {
  readonly strings: StringTable;
  #doubles = new Float64Array(INITIAL_ROWS * ROW_DOUBLES);
  #words = new Uint32Array(this.#doubles.buffer);
  #keys = new Uint32Array(INITIAL_ROWS * KEY_WORDS);
  #texts = Buffer.allocUnsafe(INITIAL_TEXT_BYTES);
  #textBytes = 0;
  /** The position in the file of texts of the first byte that is held here. */
  #textsFrom: number;
  #size = 0;
  readonly #admitted = new LastTime();
  readonly #ended = new LastTime();

  constructor(strings: StringTable, textsFrom = 0) {
    this.strings = strings;
    this.#textsFrom = textsFrom;
  }

  get size(): number {
    return this.#size;
  }

  /** The rows, valid until the next change. */
  get doubles(): Float64Array {
    return this.#doubles.subarray(0, this.#size * ROW_DOUBLES);
  }

  get words(): Uint32Array {
    return this.#words.subarray(0, this.#size * ROW_WORDS);
  }

  get keys(): Uint32Array {
    return this.#keys.subarray(0, this.#size * KEY_WORDS);
  }

  get texts(): Buffer {
    return this.#texts.subarray(0, this.#textBytes);
  }

  /** The text at a position in the file of texts. */
  textAt(position: number, bytes: number): string {
    const at = position - this.#textsFrom;
    return this.#texts.toString("utf8", at, at + bytes);
  }

  /** `flags`: FLAG_OVERLONG and FLAG_WRITTEN. */
  add(record: Recorded, place: Place, flags = 0): void {
    if ((this.#size + 1) * ROW_DOUBLES > this.#doubles.length) this.#grow();
    const { head } = record;
    const [low, high] = fingerprint(head.id, head.trial);
    this.#keys[this.#size * KEY_WORDS] = low;
    this.#keys[this.#size * KEY_WORDS + 1] = high;
    this.#setDoubles(this.#size * ROW_DOUBLES, head, place);
    const at = this.#size * ROW_WORDS;
    const words = this.#words;
    words[at + WORD.frame_bytes] = place.frameBytes;
    words[at + WORD.in_frame] = place.inFrame;
    words[at + WORD.bytes] = place.bytes;
    words[at + WORD.id_bytes] = this.#addText(head.id);
    words[at + WORD.line_sum] = place.sum;
    this.#setCounts(at, record);
    this.#setStrings(at, record, flags);
    words[at + WORD.row_sum] = rowSum(words, at);
    this.#size++;
  }

  /** The position in the file of texts after those that are held. */
  get textsEnd(): number {
    return this.#textsFrom + this.#textBytes;
  }

  /** Forgets the rows. Further texts begin at this position. */
  clear(textsFrom: number): void {
    this.#size = 0;
    this.#textsFrom = textsFrom;
    this.#textBytes = 0;
  }

  #setDoubles(at: number, { score, cost, timing, usage }: IndexedHead, place: Place): void {
    const doubles = this.#doubles;
    doubles[at + DOUBLE.offset] = place.offset;
    doubles[at + DOUBLE.id_offset] = this.#textsFrom + this.#textBytes;
    doubles[at + DOUBLE.score] = score ?? Number.NaN;
    doubles[at + DOUBLE.cost] = cost ?? Number.NaN;
    doubles[at + DOUBLE.admitted_at] = this.#admitted.timeOf(timing?.admitted_at);
    doubles[at + DOUBLE.ended_at] = this.#ended.timeOf(timing?.ended_at);
    doubles[at + DOUBLE.total_ms] = timing?.total_ms ?? Number.NaN;
    doubles[at + DOUBLE.queue_ms] = timing?.queue_ms ?? Number.NaN;
    doubles[at + DOUBLE.run_ms] = timing?.run_ms ?? Number.NaN;
    doubles[at + DOUBLE.stated_cost] = usage?.stated_cost ?? 0;
  }

  #setCounts(at: number, { head: { trial, attempt = 1, usage }, hops }: Recorded): void {
    const words = this.#words;
    words[at + WORD.trial] = trial;
    words[at + WORD.attempt] = attempt;
    words[at + WORD.hops] = hops;
    words[at + WORD.requests] = countOf(usage?.requests);
    words[at + WORD.prompt_tokens] = countOf(usage?.prompt_tokens);
    words[at + WORD.completion_tokens] = countOf(usage?.completion_tokens);
    words[at + WORD.cached_tokens] = countOf(usage?.cached_tokens);
    words[at + WORD.cache_write_tokens] = countOf(usage?.cache_write_tokens);
    words[at + WORD.reasoning_tokens] = countOf(usage?.reasoning_tokens);
    words[at + WORD.failed_requests] = countOf(usage?.failed_requests);
    words[at + WORD.estimated_requests] = countOf(usage?.estimated_requests);
  }

  #setStrings(at: number, { head, models }: Recorded, given: number): void {
    const words = this.#words;
    const { strings } = this;
    const { error = null } = head;
    words[at + WORD.error] = error === null ? 0 : strings.codeOf(error.code);
    words[at + WORD.role] = error === null ? 0 : strings.codeOf(error.role ?? "");
    words[at + WORD.message] =
      error === null ? 0 : strings.codeOf(shortMessage(masked(error.message), head.id));
    words[at + WORD.models] = models.length === 0 ? 0 : strings.codeOf(models.join("\n"));
    words[at + WORD.stop_reason] = strings.codeOf(head.stop_reason ?? "completed");
    const flags = (head.simulated === true ? FLAG_SIMULATED : 0) | given;
    const hop = error?.hop == null ? 0 : Math.min(error.hop, ERROR_HOP_MAX) + 1;
    words[at + WORD.kinds] = STATUSES.indexOf(head.status) | (flags << 8) | (hop << 16);
    words[at + WORD.strings] = strings.all.length;
  }

  /** Appends a text and returns its bytes. */
  #addText(text: string): number {
    const most = text.length * BYTES_PER_UNIT_MAX;
    if (this.#textBytes + most > this.#texts.length) {
      const larger = Buffer.allocUnsafe((this.#texts.length + most) * 2);
      this.#texts.copy(larger, 0, 0, this.#textBytes);
      this.#texts = larger;
    }
    const bytes = writeText(this.#texts, text, this.#textBytes);
    this.#textBytes += bytes;
    return bytes;
  }

  #grow(): void {
    const doubles = new Float64Array(this.#doubles.length * 2);
    doubles.set(this.#doubles);
    this.#doubles = doubles;
    this.#words = new Uint32Array(doubles.buffer);
    const keys = new Uint32Array(this.#keys.length * 2);
    keys.set(this.#keys);
    this.#keys = keys;
  }
}

export function bytesOf(rows: Float64Array | Uint32Array): Uint8Array {
  return new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength);
}

/** The sum of a row that begins at a word. It is never 0, so a row of zeros does not have it. */
export function rowSum(words: Uint32Array, at: number): number {
  let sum = ROW_BYTES;
  for (let place = 0; place < WORD.row_sum; place++)
    sum = Math.imul(sum ^ (words[at + place] ?? 0), 0x9e3779b1) + 1;
  return sum === 0 ? 1 : sum >>> 0;
}

function countOf(count = 0): number {
  return Math.min(count, UINT32_MAX);
}

/** Writes a text and returns its bytes. A call into the runtime takes longer than a short text. */
function writeText(buffer: Buffer, text: string, from: number): number {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > ASCII_MAX || i === LONG_TEXT) return buffer.write(text, from, "utf8");
    buffer[from + i] = unit;
  }
  return text.length;
}

/** Parses times. Texts repeat, because many records end in one millisecond. */
class LastTime {
  #iso = "";
  #ms = Number.NaN;

  timeOf(iso: string | undefined): number {
    if (iso === undefined) return Number.NaN;
    if (iso !== this.#iso) {
      this.#iso = iso;
      this.#ms = Date.parse(iso);
    }
    return this.#ms;
  }
}

/** CRC-32 of a line. 0 means that no sum is known, so a line never has it. */
export function lineSum(line: Uint8Array): number {
  return crc32(line) || 1;
}
