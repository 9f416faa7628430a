// The accounting from the files alone. Every line is held against what a record is and against what the manifest says; what
// was edited, removed, doubled or torn shows.

import * as v from "valibot";
import { MatrixError } from "../error.ts";
import { valueAt } from "../recipe/key-path.ts";
import { parseShard, type Shard } from "../recipe/unit.ts";
import { IdDigest } from "../task/id-digest.ts";
import { IdSet } from "../task/id-set.ts";
import { type Counts, RECORD_FORMAT, type TrajectoryRecord } from "../task/record.ts";
import { deriveSeed } from "../task/seed.ts";
import { isUnanswered, STOP_REASONS } from "../task/task.ts";
import { type Manifest, readManifest } from "./manifest.ts";
import { openStoredLines, trajectoriesPath } from "./stored-lines.ts";

const FINDINGS_MAX = 100;

export interface Finding {
  /** Of the records; null for the whole. */
  readonly line: number | null;
  readonly message: string;
}

export interface Verification {
  readonly manifest: Manifest;
  readonly counts: Counts;
  /** Whether every (row, trial) has its record. */
  readonly complete: boolean;
  readonly findings: readonly Finding[];
  /** Findings beyond those listed. */
  readonly more: number;
}

/** `elsewhere`: what other shards of the run have recorded; what stands here is added. Fails with `usage` when there is no run directory. */
export async function verifyRun(directory: string, elsewhere = new IdSet()): Promise<Verification> {
  const manifest = await readManifest(directory);
  if (manifest === null)
    throw new MatrixError("usage", `${directory} is no run directory: it has no manifest.json`);
  const audit = new Audit(manifest, elsewhere);
  const { lines, close } = await openStoredLines(trajectoriesPath(directory));
  try {
    for await (const batch of lines) {
      for (const { text, number, torn } of batch) {
        if (torn) audit.find(number, "the last line is torn; a continued run cuts it");
        else audit.record(text, number);
      }
    }
  } finally {
    await close();
  }
  return audit.conclude();
}

/** The shard that a run is of; null when it has the whole dataset. */
export function shardOf({ recipe }: Manifest): Shard | null {
  const shard = valueAt(recipe, "dataset.shard");
  return typeof shard === "string" ? parseShard(shard) : null;
}

class Audit {
  readonly #manifest: Manifest;
  readonly #elsewhere: IdSet;
  /** Where ids are the numbers of rows, they tell the shard. */
  readonly #shard: Shard | null;
  readonly #findings: Finding[] = [];
  readonly #ids = new IdSet();
  readonly #digest = new IdDigest();
  readonly #counts = { ok: 0, failed: 0, lost: 0 };
  #more = 0;

  constructor(manifest: Manifest, elsewhere: IdSet) {
    this.#manifest = manifest;
    this.#elsewhere = elsewhere;
    this.#shard = valueAt(manifest.recipe, "dataset.id") === undefined ? shardOf(manifest) : null;
  }

  find(line: number | null, message: string): void {
    if (this.#findings.length < FINDINGS_MAX) this.#findings.push({ line, message });
    else this.#more++;
  }

  record(text: string, line: number): void {
    const record = parseRecord(text);
    if (typeof record === "string") this.find(line, record);
    else if (this.#ids.add(record.id, record.trial)) this.#count(record, line);
    else this.find(line, `row ${record.id}, trial ${record.trial} stands twice`);
  }

  #count(record: TrajectoryRecord, line: number): void {
    const { id, trial, seed, status } = record;
    this.#digest.add(id, trial);
    this.#counts[status]++;
    if (trial >= this.#manifest.trials)
      this.find(line, `trial ${trial} is not one of the run's ${this.#manifest.trials}`);
    if (seed !== deriveSeed(this.#manifest.seed, id, trial))
      this.find(line, "the seed does not follow from the run's seed, the id and the trial");
    if (!this.#elsewhere.add(id, trial))
      this.find(line, `row ${id}, trial ${trial} stands in another shard as well`);
    if (this.#shard !== null && Number(id) % this.#shard.count !== this.#shard.index)
      this.find(line, `row ${id} is not one of shard ${this.#shard.index}/${this.#shard.count}`);
    for (const message of contradictions(record)) this.find(line, message);
  }

  conclude(): Verification {
    const { expected, state, dataset, replay } = this.#manifest;
    // What is replayed is a row for each record.
    const trials = replay === undefined ? this.#manifest.trials : 1;
    const { ok, failed, lost } = this.#counts;
    const recorded = ok + failed + lost;
    if (expected !== dataset.rows * trials)
      this.find(
        null,
        `the manifest expects ${expected}, but ${dataset.rows} rows × ${trials} trials are ${dataset.rows * trials}`,
      );
    for (const status of ["ok", "failed", "lost"] as const) {
      const claimed = this.#manifest[status];
      // While a run goes on, or after it was killed, the manifest lags behind the records.
      const agrees =
        state === "running" ? claimed <= this.#counts[status] : claimed === this.#counts[status];
      if (!agrees)
        this.find(
          null,
          `the manifest counts ${claimed} ${status}, the records ${this.#counts[status]}`,
        );
    }
    if (recorded > expected)
      this.find(null, `${recorded} records are more than the ${expected} expected`);
    const complete = recorded === expected;
    if (state === "complete" && recorded < expected)
      this.find(
        null,
        `the run is complete, but ${expected - recorded} of ${expected} records are missing`,
      );
    if (complete && this.#digest.hex !== dataset.ids_digest)
      this.find(null, "the recorded rows and trials are not those of the dataset");
    return {
      manifest: this.#manifest,
      counts: this.#counts,
      complete,
      findings: this.#findings,
      more: this.#more,
    };
  }
}

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const amount = v.pipe(v.number(), v.minValue(0));
const usage = v.strictObject({ requests: count, prompt_tokens: count, completion_tokens: count });
const object = v.record(v.string(), v.unknown());
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
  result: v.unknown(),
});
const recordSchema = v.strictObject({
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

/** The record, or what is wrong with its line. */
function parseRecord(text: string): TrajectoryRecord | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return "the line is no JSON";
  }
  const result = v.safeParse(recordSchema, value);
  if (result.success) return result.output as TrajectoryRecord;
  const [issue] = result.issues;
  return `the line is no record: ${v.getDotPath(issue) ?? "it"}: ${issue.message}`;
}

/** What a record says against itself. */
function contradictions(record: TrajectoryRecord): string[] {
  const { status, error, score, history, usage } = record;
  const found: string[] = [];
  if ((status === "ok") !== (error === null))
    found.push(status === "ok" ? "an ok record has an error" : `a ${status} record has no error`);
  if (status !== "ok" && score !== null) found.push(`a ${status} record has a score`);
  if (isUnanswered(record.stop_reason) && score !== null)
    found.push(`a record without a whole answer (${record.stop_reason}) has a score`);
  if (history.some(({ hop }, index) => hop !== index))
    found.push("the hops are not numbered 0, 1, 2 …: one is missing or moved");
  for (const name of ["requests", "prompt_tokens", "completion_tokens"] as const) {
    const sum = history.reduce((total, { usage }) => total + (usage?.[name] ?? 0), 0);
    if (sum !== usage[name]) found.push(`usage.${name} is ${usage[name]}, its hops have ${sum}`);
  }
  return found;
}
