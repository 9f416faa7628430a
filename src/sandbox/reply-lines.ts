// Reads the lines of JSON that an agent writes to its stdout, from chunks of any size. The reader
// breaks off at the first line that is too long or is not a reply, because an agent that breaks the
// protocol once may also have torn other replies.

import { parseJson } from "../task/exact.ts";
import { isJsonObject, type Json } from "../task/json.ts";

/** The agent's answer to a request. A failure of the agent's own is an outcome of the request. */
export type Reply = { readonly ok: true; readonly result: Json } | Failure;

/** `fatal`: a further try would fail, too. `retryAfterMs`: a further try should wait this long. */
export interface Failure {
  readonly ok: false;
  readonly kind: string;
  readonly message: string;
  readonly stack?: string;
  readonly fatal?: true;
  readonly retryAfterMs?: number;
}

export interface ReplyLinesOptions {
  /** Upper bound of a line in bytes, without its newline. */
  readonly lineBytesMax: number;
  /** Answers false when the reply belongs to no open request, which breaks the reader off. */
  readonly onReply: (id: string, reply: Reply) => boolean;
  /** Called once, with what was wrong and the beginning of the line. */
  readonly onBreak: (what: string, line: Buffer) => void;
}

const NEWLINE = 0x0a;
/** Blank lines in a row that are accepted. */
const BLANKS_MAX = 100_000;
/** A line longer than this is parsed without a test for a blank line. */
const BLANK_BYTES_MAX = 100;

export class ReplyLines {
  readonly #options: ReplyLinesOptions;
  /** Parts of a line whose end has not arrived yet. */
  #parts: Buffer[] = [];
  #partsBytes = 0;
  /** Blank lines in a row. */
  #blanks = 0;
  #stopped = false;

  constructor(options: ReplyLinesOptions) {
    this.#options = options;
  }

  push(chunk: Buffer): void {
    let from = 0;
    for (
      let end = chunk.indexOf(NEWLINE);
      end !== -1 && !this.#stopped;
      end = chunk.indexOf(NEWLINE, from)
    ) {
      this.#line(chunk.subarray(from, end));
      from = end + 1;
    }
    if (from < chunk.length && !this.#stopped) this.#keep(chunk.subarray(from));
  }

  /** Drops what has come and ignores what follows. */
  stop(): void {
    this.#stopped = true;
    this.#parts = [];
  }

  #keep(part: Buffer): void {
    this.#parts.push(part);
    this.#partsBytes += part.length;
    if (this.#partsBytes > this.#options.lineBytesMax) this.#tooLong(this.#parts[0] ?? part);
  }

  #line(end: Buffer): void {
    const line = this.#parts.length === 0 ? end : Buffer.concat([...this.#parts, end]);
    this.#parts = [];
    this.#partsBytes = 0;
    if (line.length > this.#options.lineBytesMax) this.#tooLong(line);
    else if (isBlank(line)) this.#blank(line);
    else this.#reply(line);
  }

  /** Blank lines do no harm, unless they never end. */
  #blank(line: Buffer): void {
    if (++this.#blanks > BLANKS_MAX) this.#break("writes nothing but blank lines", line);
  }

  #reply(line: Buffer): void {
    this.#blanks = 0;
    const parsed = parse(line);
    if (parsed === null) this.#break("wrote a line that is not a reply", line);
    else if (!this.#options.onReply(parsed.id, parsed.reply))
      this.#break("replied to no open request", line);
  }

  #tooLong(line: Buffer): void {
    this.#break(`wrote a line longer than ${this.#options.lineBytesMax} bytes`, line);
  }

  #break(what: string, line: Buffer): void {
    this.stop();
    this.#options.onBreak(what, line);
  }
}

function isBlank(line: Buffer): boolean {
  return line.length < BLANK_BYTES_MAX && line.toString("latin1").trim() === "";
}

function parse(line: Buffer): { readonly id: string; readonly reply: Reply } | null {
  let value: unknown;
  try {
    value = parseJson(line.toString("utf8"));
  } catch {
    return null;
  }
  if (!isJsonObject(value) || typeof value["ok"] !== "boolean") return null;
  const { ok, result = null, error } = value;
  // An agent that could not read a request answers without its id. No request has an empty id.
  const id = typeof value["id"] === "string" ? value["id"] : "";
  if (ok) return { id, reply: { ok, result } };
  return { id, reply: failureFrom(error) };
}

function failureFrom(error: Json | undefined): Failure {
  const { kind, message, stack, fatal, retry_after: seconds } = isJsonObject(error) ? error : {};
  return {
    ok: false,
    kind: typeof kind === "string" ? kind : "error",
    message: typeof message === "string" ? message : JSON.stringify(error ?? null),
    ...(typeof stack === "string" ? { stack } : {}),
    ...(fatal === true ? { fatal } : {}),
    ...(typeof seconds === "number" && seconds >= 0 ? { retryAfterMs: seconds * 1000 } : {}),
  };
}
