// A look at what a host hands over as a record. Hosts pass row and history on as the bytes that
// they got, and the sink writes them as they are. So a host that errs, or means harm, could have
// bytes counted as ok that no reader takes. The look is fast for a sound record, and slow and exact
// for any other.

import { isUtf8 } from "node:buffer";
import { contradictionsIn, parseRecord } from "../records/check-record.ts";
import { isTooDeep } from "../task/depth.ts";
import { EncodedTask } from "../task/encoded.ts";
import { failTask } from "../task/failure.ts";
import {
  createHead,
  encodeRecord,
  type RecordHead,
  type TrajectoryRecord,
} from "../task/record.ts";
import type { EndMessage, Hop } from "../task/task.ts";

/**
 * The end of a task as it may be recorded. A spoilt one becomes a failure of its place, so that the
 * row starts again elsewhere. It keeps its task, by which the processes that hold it know it.
 */
export function checkedEnd(
  end: EndMessage,
  endedAt: number,
  onSpoilt: (task: EncodedTask, problem: string, host: string | null) => void,
): EndMessage {
  const { task, ending } = end;
  if (!(task instanceof EncodedTask)) return end;
  const head = createHead(task, ending, { admittedAt: task.admittedAt, endedAt });
  const problem = problemOfArrived(head, task);
  if (problem === null) return end;
  onSpoilt(task, problem, hostToBlame(head, task));
  const message = `a host handed over something that is not a record: ${problem}`;
  return { ...end, ending: failTask(task, { ...SPOILT, message }).ending };
}

const SPOILT = { code: "wire_invalid", role: null, hop: null } as const;

/** Tells whether `checkedEnd` has made this end: its row and its history are not recorded. */
export function isSpoilt({ task, ending }: EndMessage): boolean {
  return task instanceof EncodedTask && ending.error?.code === SPOILT.code;
}

/**
 * The process whose part of the history is spoilt: the first to pass it on. Where all of the
 * history is sound, the process that ended the task. A process may lie about the others, but they
 * only begin another life.
 */
export function hostToBlame(head: RecordHead, task: EncodedTask): string | null {
  const { trail, historyBytes, totals } = task;
  const first = trail
    .toSorted((a, b) => a.bytes - b.bytes)
    .find(({ bytes }) => {
      const part = new EncodedTask(task, NO_ROW, historyBytes.subarray(0, bytes), totals, [], {});
      return problemOfHistory(head, part) !== null;
    });
  return first?.host ?? trail.at(-1)?.host ?? null;
}

const NO_ROW = Buffer.from("{}");

function problemOfHistory(head: RecordHead, task: EncodedTask): string | null {
  try {
    const history: unknown = JSON.parse(`[${Buffer.from(task.historyBytes).toString("latin1")}]`);
    if (isUtf8(task.historyBytes) && !isTooDeep(history) && isHistory(history)) return null;
  } catch {
    return "its history is not JSON";
  }
  const record = parseRecord(lineOf(head, task));
  return typeof record === "string" ? record : null;
}

/** Returns a sentence that says why a reader would not take this record; null for a sound one. */
export function problemOfArrived(head: RecordHead, task: EncodedTask): string | null {
  const { rowBytes, historyBytes } = task;
  if (!isUtf8(rowBytes) || !isUtf8(historyBytes)) return "it is not UTF-8";
  let row: unknown;
  let history: unknown;
  try {
    row = parse("", rowBytes, "");
    history = parse("[", historyBytes, "]");
  } catch {
    return "its row or its history is not JSON";
  }
  if (isTooDeep(row) || isTooDeep(history)) return "it is nested too deeply";
  if (isObject(row) && isHistory(history)) {
    const record = { ...head, row, history } as unknown as TrajectoryRecord;
    if (contradictionsIn(record).length === 0) return null;
  }
  return problemOfLine(head, task);
}

/** The judgement of `matrix verify`. */
function problemOfLine(head: RecordHead, task: EncodedTask): string | null {
  const record = parseRecord(lineOf(head, task));
  if (typeof record === "string") return record;
  return contradictionsIn(record)[0] ?? null;
}

function lineOf(head: RecordHead, task: EncodedTask): string {
  return encodeRecord(head, task)
    .map((part) => (typeof part === "string" ? part : Buffer.from(part).toString()))
    .join("");
}

/**
 * Bytes that are UTF-8 are parsed as Latin-1, which is faster. That spoils texts and changes
 * neither the shape nor any number.
 */
function parse(before: string, bytes: Uint8Array, after: string): unknown {
  const { buffer, byteOffset, length } = bytes;
  return JSON.parse(before + Buffer.from(buffer, byteOffset, length).toString("latin1") + after);
}

function isHistory(value: unknown): value is readonly Hop[] {
  return Array.isArray(value) && value.every(isPlainHop);
}

/** True for a hop that certainly has the shape of one. A rare kind of hop is judged by its line. */
function isPlainHop(hop: unknown): boolean {
  if (!isObject(hop)) return false;
  let needed = 0;
  for (const key in hop) {
    const value = hop[key];
    switch (key) {
      case "hop":
      case "queue_ms":
      case "run_ms":
        if (typeof value !== "number" || !(value >= 0)) return false;
        needed++;
        break;
      case "role":
      case "host":
      case "at":
        if (typeof value !== "string") return false;
        needed++;
        break;
      case "result":
        needed++;
        break;
      case "model":
        if (typeof value !== "string") return false;
        break;
      case "cost":
        if (typeof value !== "number" || !(value >= 0)) return false;
        break;
      case "usage":
        if (!isPlainUsage(value)) return false;
        break;
      default:
        return false;
    }
  }
  return needed === NEEDED;
}

/** hop, queue_ms, run_ms, role, host, at, result. */
const NEEDED = 7;
const USAGE: ReadonlySet<string> = new Set([
  "requests",
  "prompt_tokens",
  "completion_tokens",
  "cached_tokens",
  "reasoning_tokens",
]);

function isPlainUsage(usage: unknown): boolean {
  if (!isObject(usage)) return false;
  for (const key in usage) if (!USAGE.has(key) || !isCount(usage[key])) return false;
  return "requests" in usage && "prompt_tokens" in usage && "completion_tokens" in usage;
}

function isCount(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
