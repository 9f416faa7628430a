// Judges a line of trajectories.jsonl by the line alone: it must have the shape of a record, and
// its fields must not contradict each other.

import * as v from "valibot";
import { DEPTH_MAX, isTooDeep } from "../task/depth.ts";
import { RECORD_FORMAT, type TrajectoryRecord } from "../task/record.ts";
import { addUsage, NO_USAGE, USAGE_DETAILS } from "../task/spent.ts";
import { isUnanswered, STOP_REASONS } from "../task/task.ts";
import { usageEntries } from "../task/usage-schema.ts";

/** Levels of a record. The program writes fewer: a row or a result is a few levels down in it. */
export const RECORD_DEPTH_MAX = 2 * DEPTH_MAX;
export const RECORD_TOO_DEEP = `it is nested more than ${RECORD_DEPTH_MAX} levels deep`;

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const amount = v.pipe(v.number(), v.minValue(0));
const usage = v.strictObject(usageEntries);
const object = v.custom<Readonly<Record<string, unknown>>>(
  (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  "not an object",
);
const missed = v.strictObject({
  problem: v.string(),
  usage,
  cost: v.optional(amount),
  result: v.unknown(),
});
const hop = v.strictObject({
  hop: count,
  role: v.string(),
  branch: v.optional(count),
  host: v.string(),
  at: v.string(),
  queue_ms: amount,
  run_ms: amount,
  model: v.optional(v.string()),
  usage: v.optional(usage),
  cost: v.optional(amount),
  tries: v.optional(v.pipe(count, v.minValue(2))),
  missed: v.optional(v.array(missed)),
  error: v.optional(v.string()),
  result: v.unknown(),
});
/** The shape of a line. */
export const recordSchema = v.strictObject({
  format: v.literal(RECORD_FORMAT),
  id: v.string(),
  trial: count,
  seed: count,
  attempt: v.pipe(count, v.minValue(1)),
  status: v.picklist(["ok", "failed", "lost"]),
  stop_reason: v.picklist(STOP_REASONS),
  score: v.nullable(v.number()),
  outcome: v.nullable(object),
  error: v.nullable(
    v.strictObject({
      code: v.string(),
      message: v.string(),
      role: v.nullable(v.string()),
      hop: v.nullable(count),
      stack: v.optional(v.string()),
    }),
  ),
  simulated: v.boolean(),
  row: object,
  history: v.array(hop),
  usage,
  cost: v.nullable(amount),
  timing: v.strictObject({
    admitted_at: v.string(),
    ended_at: v.string(),
    total_ms: amount,
    queue_ms: amount,
    run_ms: amount,
  }),
  trace_id: v.nullable(v.string()),
});

/** Returns the record, or a sentence that says why the line is not a record. */
export function parseRecord(text: string): TrajectoryRecord | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return "the line is not JSON";
  }
  if (isTooDeep(value, RECORD_DEPTH_MAX)) return `the line is not a record: ${RECORD_TOO_DEEP}`;
  const result = v.safeParse(recordSchema, value);
  if (result.success) return result.output as TrajectoryRecord;
  const [issue] = result.issues;
  return `the line is not a record: ${v.getDotPath(issue) ?? "it"}: ${issue.message}`;
}

const USAGE_NAMES = ["requests", "prompt_tokens", "completion_tokens", ...USAGE_DETAILS] as const;
/** Records of older versions hold costs that were not rounded. */
const COST_ERROR = 1e-9;

/** Returns a sentence for each place where a record contradicts itself. */
export function contradictionsIn(record: TrajectoryRecord): string[] {
  const { status, error, score, history, usage } = record;
  const found: string[] = [];
  if ((status === "ok") !== (error === null))
    found.push(status === "ok" ? "an ok record has an error" : `a ${status} record has no error`);
  if (status !== "ok" && score !== null) found.push(`a ${status} record has a score`);
  if (isUnanswered(record.stop_reason) && score !== null)
    found.push(`a record without a whole answer (${record.stop_reason}) has a score`);
  if (history.some(({ hop }, index) => hop !== index))
    found.push("the hops are not numbered 0, 1, 2 …: one is missing or moved");
  const sums = history.reduce((sum, hop) => addUsage(sum, hop.usage ?? NO_USAGE), NO_USAGE);
  for (const name of USAGE_NAMES) {
    const [stated, sum] = [usage[name] ?? 0, sums[name] ?? 0];
    if (sum !== stated) found.push(`usage.${name} is ${stated}, but its hops add up to ${sum}`);
  }
  const costs = history.flatMap(({ cost }) => cost ?? []);
  const cost = costs.length === 0 ? null : costs.reduce((sum, cost) => sum + cost, 0);
  if (Math.abs((record.cost ?? 0) - (cost ?? 0)) > COST_ERROR * (1 + costs.length))
    found.push(`cost is ${record.cost}, but its hops add up to ${cost}`);
  return found;
}
