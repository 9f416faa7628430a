// The layout of the index: one row of ROW_BYTES for each record, in the order of the file, and one
// key of KEY_BYTES for look-ups by id. All numbers are little-endian. Ids stand one after the other
// in a file of texts; error codes, roles, messages and models are numbers of strings in a table.
// docs/decisions/index-of-records.md says why.

export const INDEX_FOLDER = "index";
/** Files of the folder, in the order in which they are written: a row comes after its parts. */
export const FILES = {
  texts: "texts",
  strings: "strings.jsonl",
  keys: "keys",
  rows: "rows",
} as const;

/** The file of rows begins with a header that has the length of a row. */
const MAGIC = "matrix-index";
const VERSION = 1;

export const ROW_BYTES = 176;
export const ROW_DOUBLES = ROW_BYTES / 8;
export const ROW_WORDS = ROW_BYTES / 4;
export const KEY_BYTES = 8;
export const KEY_WORDS = KEY_BYTES / 4;

/** Places of the 64-bit floating-point numbers in a row, in units of 8 bytes. NaN is null. */
export const DOUBLE = {
  /** Byte offset in the file of the records: of the line, or of its frame in a compressed file. */
  offset: 0,
  /** Byte offset of the id in the file of texts. */
  id_offset: 1,
  score: 2,
  cost: 3,
  /** Milliseconds since the epoch. */
  admitted_at: 4,
  ended_at: 5,
  total_ms: 6,
  queue_ms: 7,
  run_ms: 8,
  stated_cost: 9,
} as const;

/** Places of the unsigned 32-bit numbers in a row, in units of 4 bytes. */
export const WORD = {
  /** Bytes of the frame that has the line; 0 in a plain file. */
  frame_bytes: 20,
  /** The offset of the line in the content of its frame. */
  in_frame: 21,
  /** Bytes of the line without its newline. */
  bytes: 22,
  id_bytes: 23,
  trial: 24,
  attempt: 25,
  hops: 26,
  requests: 27,
  prompt_tokens: 28,
  completion_tokens: 29,
  cached_tokens: 30,
  cache_write_tokens: 31,
  reasoning_tokens: 32,
  failed_requests: 33,
  estimated_requests: 34,
  /** Numbers of strings; 0 for none. */
  error: 35,
  role: 36,
  message: 37,
  models: 38,
  /** Number of strings in the table when the row was made; it never shrinks from row to row. */
  strings: 39,
  stop_reason: 40,
  /**
   * The place of the status in STATUSES in the lowest byte, flags in the next, and above them the
   * hop of the error plus 1, or 0.
   */
  kinds: 41,
  /** Hash of the line: see lineSum. */
  line_sum: 42,
  /** Sum of the words before it, so that a row that a power cut damaged is noticed. */
  row_sum: 43,
} as const;

export const ERROR_HOP_MAX = 0xfffe;
export const FLAG_SIMULATED = 1;
/** The line is too long to be read. */
export const FLAG_OVERLONG = 2;
/** The sink wrote the line, from the record that it had accounted for. */
export const FLAG_WRITTEN = 4;

export const STATUSES = ["ok", "failed", "lost"] as const;

export const DOUBLE_COLUMNS = [
  "score",
  "cost",
  "admitted_at",
  "ended_at",
  "total_ms",
  "queue_ms",
  "run_ms",
] as const satisfies readonly (keyof typeof DOUBLE)[];
/** Words that sums over rows add up. Those from `cached_tokens` on may be left out of a usage. */
export const SUMMED_WORDS = [
  "hops",
  "requests",
  "prompt_tokens",
  "completion_tokens",
  "cached_tokens",
  "cache_write_tokens",
  "reasoning_tokens",
  "failed_requests",
  "estimated_requests",
] as const;
export const WORD_COLUMNS = [
  "trial",
  "attempt",
  ...SUMMED_WORDS,
  "bytes",
] as const satisfies readonly (keyof typeof WORD)[];

/** Columns of numbers. */
export type NumberColumn = (typeof DOUBLE_COLUMNS)[number] | (typeof WORD_COLUMNS)[number];

/** Columns of few different values. */
export const CODE_COLUMNS = [
  "status",
  "stop_reason",
  "error",
  "role",
  "message",
  "models",
  "simulated",
] as const;
export type CodeColumn = (typeof CODE_COLUMNS)[number];

/** The header: the name of the format, its version, and the length of a row, in ASCII. */
export function headerOf(): Uint8Array {
  const header = new Uint8Array(ROW_BYTES);
  header.set(Buffer.from(`${MAGIC} ${VERSION} ${ROW_BYTES}\n`, "latin1"));
  return header;
}
