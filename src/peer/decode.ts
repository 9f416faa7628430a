// Batches and answers from bytes. A body comes from outside: nothing of it is believed before its
// shape was checked, and a body that is wrong in one place is refused whole, with `wire_invalid`.

import { MatrixError } from "../error.ts";
import { DEPTH_MAX, isTooDeep } from "../task/depth.ts";
import { EncodedTask, type Mark, type TaskHead } from "../task/encoded.ts";
import { parseMarked } from "../task/exact.ts";
import type { Json, JsonObject } from "../task/json.ts";
import { USAGE_DETAILS } from "../task/spent.ts";
import {
  type Branch,
  type Ending,
  type Message,
  STOP_REASONS,
  type TaskError,
  type TaskLimit,
  type Usage,
} from "../task/task.ts";
import type { Totals } from "../task/totals.ts";
import type { Load } from "./member.ts";
import { unpack } from "./msgpack.ts";
import {
  type Answer,
  type Batch,
  keyOf,
  type Parcel,
  type Starting,
  type TaskKey,
} from "./parcel.ts";
import type { Known } from "./store.ts";
import { PARCEL, PARCEL_FIELDS, TOTALS, TOTALS_FIELDS } from "./wire-format.ts";

const NEWLINE = 0x0a;
/** The state of a task that waits for its branches holds states of the rule. */
const STATE_DEPTH_MAX = DEPTH_MAX + 8;
const STATUSES = ["ok", "failed", "lost"] as const;

/**
 * Finds the part of a task that this process has seen, up to a mark; null when it has let go of it.
 */
export type FindKnown = (task: TaskKey, mark: number) => Known | null;

export interface Decoded {
  /** The batch without its incomplete parcels. */
  readonly batch: Batch;
  /** Parcels that rest on a first part which this process no longer has. */
  readonly incomplete: readonly number[];
}

/** `now`: milliseconds since the epoch, by the clock of this process. */
export function decodeBatch(body: Uint8Array, find: FindKnown, now: number): Decoded {
  const [parcels, released, starting] = list(unpack(body), 3);
  const incomplete: number[] = [];
  const complete: Parcel[] = [];
  for (const value of list(parcels)) {
    const fields = list(value, PARCEL_FIELDS);
    const parcel = decodeParcel(fields, find, now);
    if (parcel === null) incomplete.push(count(fields[PARCEL.seq]));
    else complete.push(parcel);
  }
  return {
    batch: {
      parcels: complete,
      released: list(released).map(count),
      starting: list(starting).map(decodeStarting),
    },
    incomplete,
  };
}

export function decodeAnswer(body: Uint8Array): Answer {
  const value = unpack(body);
  if (value === null) return null;
  const [refused, incomplete, load] = list(value, 3);
  return {
    refused: list(refused).map(count),
    incomplete: list(incomplete).map(count),
    load: decodeLoad(load),
  };
}

/** The message of a parcel; null when this process does not know the first part of the task. */
function decodeParcel(fields: readonly unknown[], find: FindKnown, now: number): Parcel | null {
  const seq = count(fields[PARCEL.seq]);
  const crashes = count(fields[PARCEL.crashes]);
  const strikes = count(fields[PARCEL.strikes]);
  const head = decodeHead(fields, now);
  const totals = decodeTotals(fields[PARCEL.totals]);
  const trail = list(fields[PARCEL.trail]).map(decodeMark);
  const pins = Object.fromEntries(list(fields[PARCEL.pins]).map(decodePin));
  const row = jsonBytes(fields[PARCEL.row]);
  const history = jsonBytes(fields[PARCEL.history]);
  const since = fields[PARCEL.since];
  const known = since === null ? null : find(keyOf(head), count(since));
  if (since !== null && known === null) return null;
  const task = new EncodedTask(
    head,
    // Copies: a view would keep the whole request alive.
    known === null ? row.slice() : known.row,
    known === null ? history.slice() : joined(known.history, history),
    totals,
    trail,
    pins,
  );
  const message = messageOf(fields[PARCEL.kind], task, fields[PARCEL.ending]);
  return { seq, message, crashes, strikes };
}

function decodeHead(fields: readonly unknown[], now: number): TaskHead {
  const trace = fields[PARCEL.trace];
  return {
    rowId: text(fields[PARCEL.rowId]),
    trial: count(fields[PARCEL.trial]),
    seed: count(fields[PARCEL.seed]),
    attempt: count(fields[PARCEL.attempt]),
    role: text(fields[PARCEL.role]),
    state: json(fields[PARCEL.state]),
    // The sender's clock may have gone back since the admission.
    admittedAt: now - amount(fields[PARCEL.ageMs], Number.NEGATIVE_INFINITY),
    trace: trace === null ? null : text(trace),
    ...decodeBranch(fields[PARCEL.branch]),
    mayRepeat: truth(fields[PARCEL.mayRepeat]),
  };
}

function decodeBranch(value: unknown): { readonly branch?: Branch } {
  if (value === null) return {};
  const [of, id, limit] = list(value, 3);
  const shared = limit === null ? {} : { limit: decodeLimit(limit) };
  return { branch: { of: text(of), id: count(id), ...shared } };
}

function decodeLimit(value: unknown): TaskLimit {
  const [tokens, cost, calls] = list(value, 3).map((limit) =>
    limit === null ? undefined : amount(limit),
  );
  return { tokens, cost, calls };
}

function decodeTotals(value: unknown): Totals {
  const fields = list(value, TOTALS_FIELDS);
  const cost = fields[TOTALS.cost];
  return {
    hops: count(fields[TOTALS.hops]),
    queueMs: amount(fields[TOTALS.queueMs]),
    runMs: amount(fields[TOTALS.runMs]),
    usage: {
      requests: count(fields[TOTALS.requests]),
      prompt_tokens: count(fields[TOTALS.promptTokens]),
      completion_tokens: count(fields[TOTALS.completionTokens]),
      ...decodeDetails(fields[TOTALS.details]),
    },
    cost: cost === null ? null : amount(cost),
    models: list(fields[TOTALS.models]).map(text),
  };
}

function decodeDetails(value: unknown): Partial<Usage> {
  const amounts = list(value, USAGE_DETAILS.length);
  return Object.fromEntries(
    USAGE_DETAILS.map((name, index) => {
      const read = name === "stated_cost" ? amount : count;
      return [name, read(amounts[index])] as const;
    }).filter(([, value]) => value > 0),
  );
}

function decodeMark(value: unknown): Mark {
  const [host, id, bytes] = list(value, 3);
  return { host: text(host), id: count(id), bytes: count(bytes) };
}

function decodePin(value: unknown): [sandbox: string, host: string] {
  const [sandbox, host] = list(value, 2);
  return [text(sandbox), text(host)];
}

function messageOf(kind: unknown, task: EncodedTask, ending: unknown): Message {
  if (kind === "step" || kind === "fork") return { kind, task };
  if (kind === "end") return { kind, task, ending: decodeEnding(ending) };
  throw invalid("no message has this kind");
}

function decodeEnding(value: unknown): Ending {
  const { status, stopReason, score, outcome, error } = map(json(value));
  return {
    status: oneOf(STATUSES, status),
    stopReason: oneOf(STOP_REASONS, stopReason),
    score: score === null ? null : amount(score, Number.NEGATIVE_INFINITY),
    outcome: outcome === null ? null : (map(outcome) as JsonObject),
    error: error === null ? null : decodeError(map(error)),
  };
}

function decodeError({
  code,
  message,
  role,
  hop,
  stack,
}: Readonly<Record<string, unknown>>): TaskError {
  return {
    code: text(code),
    message: text(message),
    role: role === null ? null : text(role),
    hop: hop === null ? null : count(hop),
    ...(stack === undefined ? {} : { stack: text(stack) }),
  };
}

function decodeStarting(value: unknown): Starting {
  const [seq, position] = list(value, 2);
  return [count(seq), count(position)];
}

function decodeLoad(value: unknown): Load {
  return Object.fromEntries(
    Object.entries(map(value)).map(([role, load]) => {
      const { busy, queued, slots } = map(load);
      return [role, { busy: count(busy), queued: count(queued), slots: count(slots) }];
    }),
  );
}

function joined(before: Uint8Array, after: Uint8Array): Uint8Array {
  const whole = new Uint8Array(before.length + after.length);
  whole.set(before);
  whole.set(after, before.length);
  return whole;
}

// — Parts of a body, each of its type or an error —

function list(value: unknown, length?: number): readonly unknown[] {
  if (!Array.isArray(value) || (length !== undefined && value.length !== length))
    throw invalid("a list is missing, or has another length");
  return value;
}

function map(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw invalid("a map is missing");
  return value as Record<string, unknown>;
}

function count(value: unknown): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0)
    throw invalid("a number is not a count");
  return value;
}

function amount(value: unknown, min = 0): number {
  if (typeof value !== "number" || !Number.isFinite(value) || value < min)
    throw invalid("a number is not an amount");
  return value;
}

function truth(value: unknown): boolean {
  if (typeof value !== "boolean") throw invalid("a value is neither true nor false");
  return value;
}

function oneOf<T extends string>(names: readonly T[], value: unknown): T {
  const name = names.find((one) => one === value);
  if (name === undefined) throw invalid("a text is not one of its allowed values");
  return name;
}

function text(value: unknown): string {
  if (typeof value !== "string") throw invalid("a text is missing");
  return value;
}

function json(value: unknown) {
  const source = text(value);
  const parsed = parseJson(source);
  if (isTooDeep(parsed, STATE_DEPTH_MAX)) throw invalid("a text is nested too deeply");
  return parsed;
}

function parseJson(source: string) {
  try {
    return parseMarked(source) as Json;
  } catch (cause) {
    throw invalid("a text is not JSON", cause);
  }
}

/**
 * JSON as this program writes it, on one line: a newline would tear the record that the bytes end
 * in.
 */
function jsonBytes(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array) || value.includes(NEWLINE))
    throw invalid("bytes are missing, or more than one line");
  return value;
}

function invalid(message: string, cause?: unknown): MatrixError {
  return new MatrixError("wire_invalid", message, { cause });
}
