// A file of lines as a table: records without a manifest, an export, or a run directory whose
// records are damaged. A line that is not JSON is left out and counted, and never stops the rest.

import { type FileHandle, open } from "node:fs/promises";
import { decodeFrame } from "../../dataset/zstd.ts";
import { shortMessage } from "../../records/index/short-message.ts";
import { type FileLine, isCompressed, openRecordFile } from "../../records/record-file.ts";
import { parseJson } from "../../task/exact.ts";
import { isJsonObject, type Json, type JsonObject } from "../../task/json.ts";
import { errorIn, numberIn, objectIn, textIn, usageIn } from "../record/loose.ts";
import type { ScanLine } from "../scan/scan.ts";
import { type Entry, MemoryTable } from "../table/memory-table.ts";
import { isRecord, recordOfExample } from "./example.ts";

/** Lines whose fault is told. */
const FAULTS_TOLD = 5;

interface Place {
  readonly start: number;
  readonly inFrame: number;
  readonly bytes: number;
  readonly frameBytes: number;
  readonly number: number;
}

export class LooseFile {
  readonly path: string;
  readonly table: MemoryTable;
  readonly #places: Place[] = [];
  readonly #faults: string[] = [];
  #broken = 0;
  #covered = { offset: 0, lines: 0 };

  constructor(path: string) {
    this.path = path;
    this.table = new MemoryTable([], (n) => this.#read(n));
  }

  /** Remarks on lines that are left out. */
  get notes(): readonly string[] {
    const more = this.#broken - this.#faults.length;
    return more > 0 ? [...this.#faults, `${more} more lines are not JSON`] : this.#faults;
  }

  /** Takes in what was appended. */
  async refresh(signal?: AbortSignal): Promise<void> {
    const { lines, close } = await openRecordFile(this.path, undefined, this.#covered);
    try {
      for await (const batch of lines) {
        signal?.throwIfAborted();
        for (const line of batch) {
          if (line.torn) this.#note(line, "it is torn");
          else this.#take(line);
        }
        const last = batch.findLast(({ torn }) => !torn);
        if (last !== undefined) this.#covered = { offset: last.end, lines: last.number };
      }
    } finally {
      await close();
    }
  }

  /** All rows as JSON of records, in batches. */
  async *lines(signal: AbortSignal): AsyncGenerator<readonly ScanLine[]> {
    const { lines, close } = await openRecordFile(this.path);
    let n = 0;
    try {
      for await (const batch of lines) {
        signal.throwIfAborted();
        const taken: ScanLine[] = [];
        for (const { number, text } of batch) {
          if (this.#places[n]?.number !== number) continue;
          taken.push({ n: n++, text: recordText(text, number - 1) });
        }
        yield taken;
      }
    } finally {
      await close();
    }
  }

  #note({ number }: FileLine, what: string): void {
    this.#broken++;
    if (this.#faults.length < FAULTS_TOLD) this.#faults.push(`line ${number} is left out: ${what}`);
  }

  #take(line: FileLine): void {
    if (line.text.trim() === "") return;
    if (line.overlong !== undefined) {
      this.#note(line, `it has ${line.overlong} bytes`);
      return;
    }
    const record = recordIn(line.text, line.number - 1);
    if (record === null) {
      this.#note(line, "it is not JSON");
      return;
    }
    const { start, inFrame, bytes, end, number } = line;
    const frameBytes = isCompressed(this.path) ? end - start : 0;
    this.#places.push({ start, inFrame, bytes, frameBytes, number });
    this.table.add(entryOf(record, bytes));
  }

  async #read(n: number): Promise<string> {
    const place = this.#places[n];
    if (place === undefined) throw new RangeError(`no line at place ${n}`);
    const file = await open(this.path, "r");
    try {
      return recordText(await textAt(file, place), place.number - 1);
    } finally {
      await file.close();
    }
  }
}

async function textAt(file: FileHandle, place: Place): Promise<string> {
  const { start, inFrame, bytes, frameBytes } = place;
  const read = Buffer.allocUnsafe(frameBytes === 0 ? bytes : frameBytes);
  await file.read(read, 0, read.length, start);
  const content = frameBytes === 0 ? read : (decodeFrame(read) ?? Buffer.alloc(0));
  return content.toString("utf8", inFrame, inFrame + bytes);
}

/** The JSON of a record: the line itself where it is one. */
function recordText(text: string, number: number): string {
  const value = parseJson(text) as Json;
  return isJsonObject(value) && isRecord(value)
    ? text
    : JSON.stringify(recordOfExample(value, number));
}

function recordIn(text: string, number: number): JsonObject | null {
  try {
    const value = JSON.parse(text) as Json;
    return isJsonObject(value) && isRecord(value) ? value : recordOfExample(value, number);
  } catch {
    return null;
  }
}

function entryOf(record: JsonObject, bytes: number): Entry {
  const timing = objectIn(record, "timing") ?? {};
  const usage = usageIn(record, "usage");
  const error = errorIn(record, "error");
  const history = Array.isArray(record["history"]) ? record["history"] : [];
  const models = new Set(
    history.flatMap((hop: Json) => (isJsonObject(hop) ? (textIn(hop, "model") ?? []) : [])),
  );
  const id = textIn(record, "id") ?? "";
  return {
    id,
    numbers: {
      trial: numberIn(record, "trial") ?? 0,
      attempt: numberIn(record, "attempt") ?? 1,
      score: numberIn(record, "score") ?? Number.NaN,
      turns: history.length,
      tokens: usage === null ? Number.NaN : usage.prompt_tokens + usage.completion_tokens,
      cost: numberIn(record, "cost") ?? Number.NaN,
      ms: numberIn(timing, "total_ms") ?? Number.NaN,
      admitted: Date.parse(textIn(timing, "admitted_at") ?? ""),
      ended: Date.parse(textIn(timing, "ended_at") ?? ""),
      bytes,
    },
    texts: {
      status: textIn(record, "status") ?? "ok",
      stop: textIn(record, "stop_reason") ?? "completed",
      error: error?.code ?? "",
      message: error === null ? "" : shortMessage(error.message, id),
      models: [...models].join("\n"),
    },
    cells: [],
  };
}
