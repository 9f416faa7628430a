// One whole pass over a dataset before a run spends anything. It proves that every row can be read
// and that every row has an id of its own, and it counts the rows of the run. Memory holds a
// fingerprint for each id, and no rows.

import { createHash, type Hash } from "node:crypto";
import { MatrixError, type Problem } from "../error.ts";
import { IdDigest } from "../task/id-digest.ts";
import { IdSet } from "../task/id-set.ts";
import { selectRows } from "./open.ts";
import { type DatasetSource, type Drawn, drawAll, isInShard, problemAt } from "./source.ts";

/** The most problems that an error lists. */
const PROBLEMS_MAX = 20;

export interface ScanOptions {
  readonly trials: number;
  /** The number of rows that an earlier run had: the digest is taken after them too. */
  readonly checkpoint?: number;
  /** Called after each batch with the number of rows so far. */
  readonly onProgress?: (rows: number) => void;
}

export interface DatasetScan {
  /** The number of rows after filter, limit and shard. */
  readonly rows: number;
  /**
   * sha256 over ids and contents of the rows, in order. In a shuffled dataset it covers the rows of
   * all shards, with or without a limit.
   */
  readonly digest: string;
  /**
   * The digest after the first `checkpoint` rows; null when there are fewer. In a shuffled dataset
   * it is `digest`.
   */
  readonly checkpointDigest: string | null;
  /** The digest of every (row id, trial), which is the same in any order (IdDigest). */
  readonly idsDigest: string;
}

/** Fails with `dataset_invalid` and the first problems. */
export async function scanDataset(
  source: DatasetSource,
  { trials, checkpoint, onProgress }: ScanOptions,
): Promise<DatasetScan> {
  const hash = createHash("sha256");
  const ids = new IdSet();
  const idsDigest = new IdDigest();
  const problems = new Problems();
  const twice = new Map<string, Drawn>();
  // A limited run of a shuffled dataset draws from all rows, and the order of each shard depends on
  // all rows. So all are read.
  const shuffled = source.shuffle !== null;
  const limit = shuffled ? Number.POSITIVE_INFINITY : (source.limit ?? Number.POSITIVE_INFINITY);
  let checkpointDigest = checkpoint === 0 ? digestOf(hash) : null;
  let drawable = 0;
  let rows = 0;

  reading: for await (const batch of drawAll(source)) {
    for (const drawn of batch) {
      if (drawable >= limit) break reading;
      if (drawn.row === null) {
        problems.add(drawn.problem);
        continue;
      }
      const { id, number } = drawn.row;
      if (source.idField !== null && !ids.add(id)) {
        if (twice.size < PROBLEMS_MAX) twice.set(id, drawn);
        problems.more++;
        continue;
      }
      drawable++;
      const isOwn = isInShard(source, number);
      if (isOwn || shuffled) hash.update(`${id}\n${drawn.item.text}\n`);
      if (!isOwn) continue;
      rows++;
      if (rows === checkpoint) checkpointDigest = digestOf(hash);
      for (let trial = 0; trial < trials; trial++) idsDigest.add(id, trial);
    }
    onProgress?.(rows);
  }
  if (twice.size > 0) await explainTwice(source, twice, problems);
  problems.throwIfAny(source);
  // A shard of a small dataset may have no rows. That is not a problem: the shard has no work to
  // do.
  if (drawable === 0)
    throw new MatrixError(
      "dataset_invalid",
      `there are no rows in ${namesOf(source)}${source.filter === null ? "" : " that pass dataset.filter"}`,
    );
  const digest = digestOf(hash);
  if (!shuffled) return { rows, digest, checkpointDigest, idsDigest: idsDigest.hex };
  // The order depends on all rows, so a checkpoint within them cannot be compared.
  const drawn =
    drawable > (source.limit ?? drawable)
      ? await countSelected(source, trials)
      : { rows, idsDigest: idsDigest.hex };
  return { ...drawn, digest, checkpointDigest: digest };
}

/** The number of rows that a limit leaves of a shuffled dataset, and the digest of their ids. */
async function countSelected(
  source: DatasetSource,
  trials: number,
): Promise<Pick<DatasetScan, "rows" | "idsDigest">> {
  const digest = new IdDigest();
  const selected = await selectRows(source);
  let rows = 0;
  for await (const batch of selected.rows) {
    for (const { id } of batch) {
      rows++;
      for (let trial = 0; trial < trials; trial++) digest.add(id, trial);
    }
  }
  await selected.close();
  return { rows, idsDigest: digest.hex };
}

class Problems {
  readonly #shown: Problem[] = [];
  /** The number of problems that were found and are not shown. */
  more = 0;

  add(problem: Problem | null): void {
    if (problem === null || this.#shown.length >= PROBLEMS_MAX) this.more++;
    else this.#shown.push(problem);
  }

  throwIfAny(source: DatasetSource): void {
    const count = this.#shown.length + this.more;
    if (count === 0) return;
    const hint = this.more > 0 ? { hint: `and ${this.more} more` } : {};
    const many = count === 1 ? "1 problem" : `${count} problems`;
    throw new MatrixError("dataset_invalid", `${namesOf(source)}: ${many}`, {
      problems: this.#shown,
      ...hint,
    });
  }
}

/** Reads the dataset again to find the line that held each repeated id first. */
async function explainTwice(
  source: DatasetSource,
  twice: ReadonlyMap<string, Drawn>,
  problems: Problems,
): Promise<void> {
  const first = new Map<string, Drawn>();
  for await (const batch of drawAll(source)) {
    for (const drawn of batch) {
      const id = drawn.row?.id;
      if (id !== undefined && twice.has(id) && !first.has(id)) first.set(id, drawn);
    }
    if (first.size === twice.size) break;
  }
  for (const [id, drawn] of twice) {
    const holder = first.get(id)?.item;
    const where =
      holder === undefined
        ? ""
        : `, first at ${holder.file}${holder.line === undefined ? "" : `:${holder.line}`}`;
    problems.more--;
    problems.add(problemAt(drawn.item, `the id ${JSON.stringify(id)} is used twice${where}`));
  }
}

function digestOf(hash: Hash): string {
  return hash.copy().digest("hex");
}

function namesOf({ files }: DatasetSource): string {
  const [first] = files;
  return files.length === 1 ? (first?.path ?? "") : `${first?.path} and ${files.length - 1} more`;
}
