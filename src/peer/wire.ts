// Batches as bytes: one MessagePack array a request (https://msgpack.org). Rows and histories are JSON bytes inside it, passed
// on as they came; states and endings are JSON text, so that no number changes its type on the way. What a receiver has seen
// of a task before is left out (src/store). Nothing of a body is believed before its shape was checked.
//
//     batch   = [parcels, [seq …], [[seq, position] …]]
//     parcel  = [seq, crashes, strikes, kind, rowId, trial, seed, attempt, role, state, age, trace, totals, trail, pins, since, row, history, ending,
//                branch]
//     totals  = [hops, queueMs, runMs, requests, promptTokens, completionTokens, cost, models]
//     trail   = [[host, id, bytes] …]
//     pins    = [[sandbox, host] …]
//     receipt = [[refused …], [incomplete …], load] or null

import { MatrixError } from "../error.ts";
import { EncodedTask, encodeTask, type Mark, type Totals } from "../task/encoded.ts";
import type { Branch, Ending, Message } from "../task/task.ts";
import type { HostId, Load } from "./member.ts";
import { pack, unpack } from "./msgpack.ts";
import { type Batch, keyOf, type Parcel, type Starting, type TaskKey } from "./parcel.ts";
import type { Known, Store } from "./store.ts";

const NEWLINE = 0x0a;
const NOTHING = new Uint8Array(0);

/** What a sender knows of its receiver and of time. */
export interface Encoding {
  readonly self: HostId;
  readonly to: HostId;
  /** Where to keep what the receiver then need not send back; null for nowhere. */
  readonly store: Store | null;
  /** Leave out what the receiver has seen, when that saves more than this many bytes. */
  readonly above: number;
  /** Milliseconds since the epoch, by this process's clock: ages travel, not times, since clocks differ. */
  readonly now: number;
}

/** `whole`: nothing is left out, for a receiver that no longer has its part. */
export function encodeBatch(
  { parcels, released, starting }: Batch,
  encoding: Encoding,
  whole: boolean,
): Uint8Array {
  return pack([parcels.map((parcel) => encodeParcel(parcel, encoding, whole)), released, starting]);
}

function encodeParcel(
  { seq, message, crashes, strikes }: Parcel,
  encoding: Encoding,
  whole: boolean,
): unknown[] {
  const task = encodeTask(message.task);
  const { self, to, store, above, now } = encoding;
  const mark = task.markOf(self);
  const { rowBytes: row, historyBytes: history } = task;
  // An end does not come back.
  if (message.kind === "end") store?.forget(keyOf(task));
  else store?.keep(keyOf(task), { mark: mark.id, row, history });
  const seen = whole || store === null ? undefined : task.trail.find(({ host }) => host === to);
  const since = seen !== undefined && row.length + seen.bytes > above ? seen : null;
  task.forgetParsed();
  return [
    seq,
    crashes,
    strikes,
    message.kind,
    task.rowId,
    task.trial,
    task.seed,
    task.attempt,
    task.role,
    JSON.stringify(task.state),
    now - task.admittedAt,
    task.trace,
    encodeTotals(task.totals),
    [...task.trail.filter(({ host }) => host !== self), mark].map(({ host, id, bytes }) => [
      host,
      id,
      bytes,
    ]),
    Object.entries(task.pins),
    since?.id ?? null,
    since === null ? row : NOTHING,
    since === null ? history : history.subarray(since.bytes),
    message.kind === "end" ? JSON.stringify(message.ending) : null,
    task.branch === undefined ? null : [task.branch.of, task.branch.id],
  ];
}

function encodeTotals({ hops, queueMs, runMs, usage, cost, models }: Totals): unknown[] {
  return [
    hops,
    queueMs,
    runMs,
    usage.requests,
    usage.prompt_tokens,
    usage.completion_tokens,
    cost,
    models,
  ];
}

export interface Decoded {
  /** Without the parcels that were left out of it. */
  readonly batch: Batch;
  /** Parcels of which this process no longer has its part. */
  readonly incomplete: readonly number[];
}

/** Fails with `wire_invalid`. `find`: what this process knows of a task. */
export function decodeBatch(
  body: Uint8Array,
  find: (task: TaskKey, mark: number) => Known | null,
  now: number,
): Decoded {
  const [parcels, released, starting] = list(unpack(body), 3);
  const incomplete: number[] = [];
  const complete: Parcel[] = [];
  for (const value of list(parcels)) {
    const parcel = decodeParcel(value, find, now);
    if (typeof parcel === "number") incomplete.push(parcel);
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

function decodeStarting(value: unknown): Starting {
  const [seq, position] = list(value, 2);
  return [count(seq), count(position)];
}

/** The parcel, or its number when its first part is not known here. */
function decodeParcel(
  value: unknown,
  find: (task: TaskKey, mark: number) => Known | null,
  now: number,
): Parcel | number {
  const fields = list(value, 20);
  const [seq, crashes, strikes] = [count(fields[0]), count(fields[1]), count(fields[2])];
  const head = {
    rowId: text(fields[4]),
    trial: count(fields[5]),
    seed: count(fields[6]),
    attempt: count(fields[7]),
    role: text(fields[8]),
    state: json(fields[9]),
    admittedAt: now - amount(fields[10], Number.NEGATIVE_INFINITY),
    trace: fields[11] === null ? null : text(fields[11]),
    ...decodeBranch(fields[19]),
  };
  const totals = decodeTotals(fields[12]);
  const trail = list(fields[13]).map(decodeMark);
  const pins = Object.fromEntries(list(fields[14]).map(decodePin));
  const [row, history] = [jsonBytes(fields[16]), jsonBytes(fields[17])];
  const since = fields[15] === null ? null : find(keyOf(head), count(fields[15]));
  if (since === null && fields[15] !== null) return seq;
  // Copies: a view would keep the whole request alive.
  const task = new EncodedTask(
    head,
    since === null ? row.slice() : since.row,
    since === null ? history.slice() : joined(since.history, history),
    totals,
    trail,
    pins,
  );
  return { seq, message: messageOf(fields[3], task, fields[18]), crashes, strikes };
}

function messageOf(kind: unknown, task: EncodedTask, ending: unknown): Message {
  if (kind === "step" || kind === "fork") return { kind, task };
  if (kind === "end") return { kind, task, ending: json(ending) as unknown as Ending };
  throw new MatrixError("wire_invalid", "no message has this kind");
}

function decodeTotals(value: unknown): Totals {
  const [hops, queueMs, runMs, requests, prompt, completion, cost, models] = list(value, 8);
  return {
    hops: count(hops),
    queueMs: amount(queueMs),
    runMs: amount(runMs),
    usage: {
      requests: count(requests),
      prompt_tokens: count(prompt),
      completion_tokens: count(completion),
    },
    cost: cost === null ? null : amount(cost),
    models: list(models).map(text),
  };
}

function decodeBranch(value: unknown): { readonly branch?: Branch } {
  if (value === null) return {};
  const [of, id] = list(value, 2);
  return { branch: { of: text(of), id: count(id) } };
}

function decodeMark(value: unknown): Mark {
  const [host, id, bytes] = list(value, 3);
  return { host: text(host), id: count(id), bytes: count(bytes) };
}

function decodePin(value: unknown): [sandbox: string, host: string] {
  const [sandbox, host] = list(value, 2);
  return [text(sandbox), text(host)];
}

function joined(before: Uint8Array, after: Uint8Array): Uint8Array {
  const whole = new Uint8Array(before.length + after.length);
  whole.set(before);
  whole.set(after, before.length);
  return whole;
}

/** A receiver's answer, with what it could not read and how busy it is. Null: it does not know the sender. */
export type Answer = {
  readonly refused: readonly number[];
  readonly incomplete: readonly number[];
  readonly load: Load;
} | null;

export function encodeAnswer(answer: Answer): Uint8Array {
  return pack(answer === null ? null : [answer.refused, answer.incomplete, answer.load]);
}

/** Fails with `wire_invalid`. */
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

function decodeLoad(value: unknown): Load {
  if (typeof value !== "object" || value === null)
    throw new MatrixError("wire_invalid", "a load is no map");
  return Object.fromEntries(
    Object.entries(value).map(([role, load]) => {
      const { busy, queued, slots } = load as Record<string, unknown>;
      return [role, { busy: count(busy), queued: count(queued), slots: count(slots) }];
    }),
  );
}

// — Parts —

function list(value: unknown, length?: number): readonly unknown[] {
  if (!Array.isArray(value) || (length !== undefined && value.length !== length))
    throw new MatrixError("wire_invalid", "a list is missing, or has another length");
  return value;
}

function count(value: unknown): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0)
    throw new MatrixError("wire_invalid", "a number is no count");
  return value;
}

function amount(value: unknown, min = 0): number {
  if (typeof value !== "number" || !Number.isFinite(value) || value < min)
    throw new MatrixError("wire_invalid", "a number is no amount");
  return value;
}

function text(value: unknown): string {
  if (typeof value !== "string") throw new MatrixError("wire_invalid", "a text is missing");
  return value;
}

function json(value: unknown) {
  try {
    return JSON.parse(text(value));
  } catch (cause) {
    throw new MatrixError("wire_invalid", "a text is no JSON", { cause });
  }
}

/** JSON as this program writes it, on one line: with a newline it would tear the record that it ends in. */
function jsonBytes(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array) || value.includes(NEWLINE))
    throw new MatrixError("wire_invalid", "bytes are missing, or more than one line");
  return value;
}
