// The accounting of a run from its files alone. Every line is compared with what a record must be
// and with what the manifest says, so that edited, removed, doubled and torn records show.

import { MatrixError } from "../error.ts";
import { valueAt } from "../recipe/key-path.ts";
import { parseShard, type Shard } from "../recipe/unit.ts";
import { IdDigest } from "../task/id-digest.ts";
import { IdSet } from "../task/id-set.ts";
import type { Counts, TrajectoryRecord } from "../task/record.ts";
import { taskSeed } from "../task/seed.ts";
import { contradictionsIn, parseRecord } from "./check-record.ts";
import { StoredIndex } from "./index/stored-index.ts";
import { takeWrittenLines } from "./index/written-lines.ts";
import { type Manifest, readManifest } from "./manifest.ts";
import { type Head, parseHead } from "./read-records.ts";
import {
  BEGINNING,
  type FileLine,
  type From,
  openRecordFile,
  supersededPath,
  trajectoriesPath,
} from "./record-file.ts";
import { countedBytes } from "./supersede.ts";
import {
  type Beginning,
  FIRST_BEGINNING,
  nextBeginning,
  parseTaskName,
  taskName,
} from "./superseded.ts";

/** Findings beyond this number are only counted. */
const FINDINGS_MAX = 100;

/** Seeds of one task that are compared with that of a replayed record. */
const REDRAWS_MAX = 100;

export interface Finding {
  /** Line of the record file, from 1; null for a finding about the whole run. */
  readonly line: number | null;
  readonly message: string;
}

export interface Verification {
  readonly manifest: Manifest;
  readonly counts: Counts;
  /** Number of records that retries replaced. */
  readonly superseded: number;
  /** True when every (row, trial) has its record. */
  readonly complete: boolean;
  readonly findings: readonly Finding[];
  /** The number of findings beyond those listed. */
  readonly more: number;
}

export interface VerifyOptions {
  /**
   * False: a record whose checksum shows that it is as the sink wrote it is accounted for, and not
   * parsed.
   */
  readonly full?: boolean;
}

/**
 * `elsewhere`: tasks that other shards of the run have recorded; those of this run are added to it.
 * Fails with `usage` when `directory` is not a run directory.
 */
export async function verifyRun(
  directory: string,
  elsewhere: IdSet | null = null,
  { full = true }: VerifyOptions = {},
): Promise<Verification> {
  const manifest = await readManifest(directory);
  if (manifest === null)
    throw new MatrixError("usage", `${directory} is not a run directory: it has no manifest.json`);
  const audit = new Audit(manifest, elsewhere);
  const path = trajectoriesPath(directory);
  // Lines that an unfinished retry has appended do not count: the next driver takes them back.
  for await (const { text, number, torn } of linesOf(
    supersededPath(path),
    await countedBytes(path),
  )) {
    if (torn) audit.find(number, "the last line of superseded.jsonl is torn");
    else audit.superseded(text, number);
  }
  const from = full ? BEGINNING : await audit.takeWritten(directory, path);
  for await (const line of linesOf(path, undefined, from)) {
    const { text, number, torn, overlong } = line;
    if (torn) audit.find(number, "the last line is torn; a continued run cuts it off");
    else if (overlong !== undefined) audit.overlong(parseHead(line, path), number, overlong);
    else audit.record(text, number);
  }
  return audit.conclude();
}

async function* linesOf(path: string, bytes?: number, from?: From): AsyncGenerator<FileLine> {
  const { lines, close } = await openRecordFile(path, bytes, from);
  try {
    for await (const batch of lines) yield* batch;
  } finally {
    await close();
  }
}

/** The shard of the dataset that a run has; null when it has the whole dataset. */
export function shardOf({ recipe }: Manifest): Shard | null {
  const shard = valueAt(recipe, "dataset.shard");
  return typeof shard === "string" ? parseShard(shard) : null;
}

/** The members of a record that the accounting of the run compares. */
type Audited = Pick<TrajectoryRecord, "id" | "trial" | "seed" | "attempt" | "status">;

class Audit {
  readonly #manifest: Manifest;
  /** Null for a run that is looked at alone. */
  readonly #elsewhere: IdSet | null;
  /** Null unless ids are row numbers: only then does an id tell its shard. */
  readonly #shard: Shard | null;
  readonly #findings: Finding[] = [];
  readonly #ids = new IdSet();
  readonly #digest = new IdDigest();
  readonly #counts = { ok: 0, failed: 0, lost: 0 };
  /** The beginnings of the tasks that have superseded records. */
  readonly #beginnings = new Map<string, Beginning>();
  #superseded = 0;
  #more = 0;

  constructor(manifest: Manifest, elsewhere: IdSet | null) {
    this.#manifest = manifest;
    this.#elsewhere = elsewhere;
    this.#shard = valueAt(manifest.recipe, "dataset.id") === undefined ? shardOf(manifest) : null;
  }

  find(line: number | null, message: string): void {
    if (this.#findings.length < FINDINGS_MAX) this.#findings.push({ line, message });
    else this.#more++;
  }

  /** Takes a record of superseded.jsonl. Those of one task follow each other there. */
  superseded(text: string, line: number): void {
    this.#superseded++;
    const record = parseRecord(text);
    if (typeof record === "string") {
      this.find(line, `superseded.jsonl: ${record}`);
      return;
    }
    const name = taskName(record.id, record.trial);
    const beginning = this.#beginnings.get(name) ?? FIRST_BEGINNING;
    this.#beginnings.set(name, nextBeginning(beginning, record));
    for (const message of [...this.#wrongIn(record, beginning), ...contradictionsIn(record)])
      this.find(line, `superseded.jsonl: ${message}`);
  }

  /** Takes the records that are as the sink wrote them. Returns where the others begin. */
  async takeWritten(directory: string, path: string): Promise<From> {
    const index = await StoredIndex.open(directory, path);
    if (index === null) return BEGINNING;
    try {
      return await takeWrittenLines(index, path, (record, line) => {
        if (this.#ids.add(record.id, record.trial)) this.#count(record, line, []);
        else this.#twice(record, line);
      });
    } finally {
      index.close();
    }
  }

  record(text: string, line: number): void {
    const record = parseRecord(text);
    if (typeof record === "string") this.find(line, record);
    else if (this.#ids.add(record.id, record.trial))
      this.#count(record, line, contradictionsIn(record));
    else this.#twice(record, line);
  }

  #twice({ id, trial }: Audited, line: number): void {
    this.find(line, `row ${id}, trial ${trial} is there twice`);
  }

  /** Takes a record that cannot be read whole. Its task is accounted for. */
  overlong({ id, trial, status }: Head, line: number, bytes: number): void {
    this.find(line, `the record of row ${id}, trial ${trial} has ${bytes} bytes: too long to read`);
    if (!this.#ids.add(id, trial)) return;
    this.#digest.add(id, trial);
    this.#counts[status]++;
  }

  #count(record: Audited, line: number, contradictions: readonly string[]): void {
    const { id, trial, status } = record;
    this.#digest.add(id, trial);
    this.#counts[status]++;
    if (this.#elsewhere !== null && !this.#elsewhere.add(id, trial))
      this.find(line, `row ${id}, trial ${trial} is in another shard, too`);
    const beginning = this.#beginnings.get(taskName(id, trial)) ?? FIRST_BEGINNING;
    for (const message of [...this.#wrongIn(record, beginning), ...contradictions])
      this.find(line, message);
  }

  /** Faults of a record as one of the run, and as the successor of those that it replaced. */
  #wrongIn(record: Audited, { attempt, redraws }: Beginning): string[] {
    const { id, trial } = record;
    const found: string[] = [];
    if (trial >= this.#manifest.trials)
      found.push(`trial ${trial} is not one of the run's ${this.#manifest.trials}`);
    if (!this.#isSeedOf(record, redraws))
      found.push("the seed does not follow from the run's seed, the id and the trial");
    if (record.attempt < attempt)
      found.push(
        `row ${id}, trial ${trial} has attempt ${record.attempt}, but a superseded record has ${attempt - 1}`,
      );
    if (this.#shard !== null && Number(id) % this.#shard.count !== this.#shard.index)
      found.push(`row ${id} does not belong to shard ${this.#shard.index}/${this.#shard.count}`);
    return found;
  }

  /** A task of a replay has the seed of its record, which may be one that a retry has drawn. */
  #isSeedOf({ id, trial, seed }: Audited, redraws: number): boolean {
    const { seed: runSeed, replay } = this.#manifest;
    if (replay === undefined) return seed === taskSeed(runSeed, id, trial, redraws);
    for (let redrawn = 0; redrawn <= REDRAWS_MAX; redrawn++)
      if (seed === taskSeed(runSeed, id, trial, redrawn)) return true;
    return false;
  }

  conclude(): Verification {
    const { expected, state, dataset } = this.#manifest;
    const { ok, failed, lost } = this.#counts;
    const recorded = ok + failed + lost;
    this.#compareExpected();
    this.#compareCounts();
    this.#compareSuperseded();
    if (recorded > expected)
      this.find(null, `there are ${recorded} records, but only ${expected} are expected`);
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
      superseded: this.#superseded,
      complete,
      findings: this.#findings,
      more: this.#more,
    };
  }

  #compareExpected(): void {
    const { expected, replay } = this.#manifest;
    const { rows } = this.#manifest.dataset;
    // A replay has one row for each record of the replayed run, whatever its trials.
    const trials = replay === undefined ? this.#manifest.trials : 1;
    const product = rows * trials;
    if (expected !== product)
      this.find(
        null,
        `the manifest expects ${expected}, but ${rows} rows × ${trials} trials are ${product}`,
      );
  }

  /** Each superseded record has one that replaces it once the run is complete. */
  #compareSuperseded(): void {
    const { state, superseded: claimed = 0 } = this.#manifest;
    const counted = this.#superseded;
    if (state === "running" ? claimed > counted : claimed !== counted)
      this.find(null, `the manifest counts ${claimed} superseded records, the file ${counted}`);
    if (state !== "complete") return;
    for (const name of this.#beginnings.keys()) {
      const { rowId, trial } = parseTaskName(name);
      if (!this.#ids.has(rowId, trial))
        this.find(null, `row ${rowId}, trial ${trial} has a superseded record and no other`);
    }
  }

  #compareCounts(): void {
    for (const status of ["ok", "failed", "lost"] as const) {
      const claimed = this.#manifest[status];
      const counted = this.#counts[status];
      // The manifest lags behind the records while a run goes on, and after its driver was killed.
      const agrees = this.#manifest.state === "running" ? claimed <= counted : claimed === counted;
      if (!agrees)
        this.find(null, `the manifest counts ${claimed} ${status}, the records ${counted}`);
    }
  }
}
