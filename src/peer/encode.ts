// Batches and answers as bytes. Encoding changes nothing: links.ts notes what the store keeps of
// the tasks that are sent.

import { type EncodedTask, encodeTask, type Mark } from "../task/encoded.ts";
import { markedJson } from "../task/exact.ts";
import { USAGE_DETAILS } from "../task/spent.ts";
import type { Branch } from "../task/task.ts";
import type { Totals } from "../task/totals.ts";
import type { HostId } from "./member.ts";
import { pack } from "./msgpack.ts";
import type { Answer, Batch, Parcel } from "./parcel.ts";
import { PARCEL, PARCEL_FIELDS, TOTALS, TOTALS_FIELDS } from "./wire-format.ts";

const NOTHING = new Uint8Array(0);

export interface Encoding {
  readonly self: HostId;
  readonly to: HostId;
  /**
   * Parts of a task that the receiver has seen are left out when that saves more bytes than this.
   * With infinity nothing is left out.
   */
  readonly above: number;
  /** Milliseconds since the epoch, by the clock of this process. */
  readonly now: number;
}

export function encodeBatch(
  { parcels, released, starting }: Batch,
  encoding: Encoding,
): Uint8Array {
  return pack([parcels.map((parcel) => encodeParcel(parcel, encoding)), released, starting]);
}

export function encodeAnswer(answer: Answer): Uint8Array {
  return pack(answer === null ? null : [answer.refused, answer.incomplete, answer.load]);
}

function encodeParcel(
  { seq, message, crashes, strikes }: Parcel,
  { self, to, above, now }: Encoding,
): unknown[] {
  const task = encodeTask(message.task);
  const since = seenBy(to, task, above);
  const fields = new Array<unknown>(PARCEL_FIELDS);
  fields[PARCEL.seq] = seq;
  fields[PARCEL.crashes] = crashes;
  fields[PARCEL.strikes] = strikes;
  fields[PARCEL.kind] = message.kind;
  fields[PARCEL.rowId] = task.rowId;
  fields[PARCEL.trial] = task.trial;
  fields[PARCEL.seed] = task.seed;
  fields[PARCEL.attempt] = task.attempt;
  fields[PARCEL.role] = task.role;
  fields[PARCEL.state] = markedJson(task.state);
  fields[PARCEL.ageMs] = now - task.admittedAt;
  fields[PARCEL.trace] = task.trace;
  fields[PARCEL.totals] = encodeTotals(task.totals);
  fields[PARCEL.trail] = encodeTrail(task, self);
  fields[PARCEL.pins] = Object.entries(task.pins);
  fields[PARCEL.since] = since === null ? null : since.id;
  fields[PARCEL.row] = since === null ? task.rowBytes : NOTHING;
  fields[PARCEL.history] =
    since === null ? task.historyBytes : task.historyBytes.subarray(since.bytes);
  fields[PARCEL.ending] = message.kind === "end" ? markedJson(message.ending) : null;
  fields[PARCEL.branch] = task.branch === undefined ? null : encodeBranch(task.branch);
  fields[PARCEL.mayRepeat] = task.mayRepeat;
  return fields;
}

function encodeBranch({ of, id, limit }: Branch): unknown[] {
  const amounts = limit && [limit.tokens ?? null, limit.cost ?? null, limit.calls ?? null];
  return [of, id, amounts ?? null];
}

/** The receiver's mark in the task; null where leaving out what it has seen saves too little. */
function seenBy(to: HostId, { trail, rowBytes }: EncodedTask, above: number): Mark | null {
  const seen = trail.find(({ host }) => host === to);
  return seen !== undefined && rowBytes.length + seen.bytes > above ? seen : null;
}

function encodeTrail(task: EncodedTask, self: HostId): unknown[] {
  return [...task.trail.filter(({ host }) => host !== self), task.markOf(self)].map(
    ({ host, id, bytes }) => [host, id, bytes],
  );
}

function encodeTotals({ hops, queueMs, runMs, usage, cost, models }: Totals): unknown[] {
  const fields = new Array<unknown>(TOTALS_FIELDS);
  fields[TOTALS.hops] = hops;
  fields[TOTALS.queueMs] = queueMs;
  fields[TOTALS.runMs] = runMs;
  fields[TOTALS.requests] = usage.requests;
  fields[TOTALS.promptTokens] = usage.prompt_tokens;
  fields[TOTALS.completionTokens] = usage.completion_tokens;
  fields[TOTALS.details] = USAGE_DETAILS.map((name) => usage[name] ?? 0);
  fields[TOTALS.cost] = cost;
  fields[TOTALS.models] = models;
  return fields;
}
