// One whole pass over a dataset before a run spends anything. It proves that every row can be read
// and that every row has its own id, and it counts the rows of the run. Memory holds a fingerprint
// for each id, and no rows.

import { createHash } from "node:crypto";
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

/** Scans the dataset. Fails with `dataset_invalid` and the first problems. */
export async function scanDataset(
  source: DatasetSource,
  options: ScanOptions,
): Promise<DatasetScan> {
  const pass = new Pass(source, options);
  await pass.read();
  await pass.throwIfProblems();
  // A shard of a small dataset may have no rows. That is not a problem: it has no work to do.
  if (source.limit === 0)
    throw new MatrixError("dataset_invalid", "dataset.limit is 0, so the run would have no rows", {
      hint: "set it to 1 or more, or leave it out for all rows",
    });
  if (pass.drawable === 0) {
    const filtered = source.filter === null ? "" : " that pass dataset.filter";
    throw new MatrixError("dataset_invalid", `there are no rows in ${namesOf(source)}${filtered}`);
  }
  const { rows, digest, checkpointDigest, idsDigest } = pass;
  if (source.shuffle === null) return { rows, digest, checkpointDigest, idsDigest };
  const drawn =
    pass.drawable > (source.limit ?? pass.drawable)
      ? await countSelected(source, options.trials)
      : { rows, idsDigest };
  // The order depends on all rows, so a checkpoint within them cannot be compared.
  return { ...drawn, digest, checkpointDigest: digest };
}

/** The pass over the rows, with what it has found so far. */
class Pass {
  /** Rows of all shards. */
  drawable = 0;
  /** Rows of the run's shard. */
  rows = 0;
  checkpointDigest: string | null;
  readonly #source: DatasetSource;
  readonly #options: ScanOptions;
  readonly #hash = createHash("sha256");
  readonly #ids = new IdSet();
  readonly #idsDigest = new IdDigest();
  readonly #problems = new Problems();
  /** The last row of each repeated id. */
  readonly #twice = new Map<string, Drawn>();

  constructor(source: DatasetSource, options: ScanOptions) {
    this.#source = source;
    this.#options = options;
    this.checkpointDigest = options.checkpoint === 0 ? this.digest : null;
  }

  get digest(): string {
    return this.#hash.copy().digest("hex");
  }

  get idsDigest(): string {
    return this.#idsDigest.hex;
  }

  async read(): Promise<void> {
    // A limited run of a shuffled dataset draws from all rows, and the order of each shard depends
    // on all rows. So all are read.
    const limit = this.#source.shuffle === null ? this.#source.limit : null;
    for await (const batch of drawAll(this.#source)) {
      for (const drawn of batch) {
        if (this.drawable >= (limit ?? Number.POSITIVE_INFINITY)) return;
        this.#take(drawn);
      }
      this.#options.onProgress?.(this.rows);
    }
  }

  /** Fails with `dataset_invalid` when there was a problem. */
  async throwIfProblems(): Promise<void> {
    if (this.#twice.size > 0) await explainTwice(this.#source, this.#twice, this.#problems);
    this.#problems.throwIfAny(this.#source);
  }

  #take({ row, problem, item }: Drawn): void {
    if (row === null) {
      this.#problems.add(problem);
      return;
    }
    const { id, number } = row;
    if (this.#source.idField !== null && !this.#ids.add(id)) {
      if (this.#twice.size < PROBLEMS_MAX) this.#twice.set(id, { row, problem, item });
      this.#problems.more++;
      return;
    }
    this.drawable++;
    const isOwn = isInShard(this.#source, number);
    if (isOwn || this.#source.shuffle !== null) this.#hash.update(`${id}\n${item.text}\n`);
    if (!isOwn) return;
    this.rows++;
    if (this.rows === this.#options.checkpoint) this.checkpointDigest = this.digest;
    for (let trial = 0; trial < this.#options.trials; trial++) this.#idsDigest.add(id, trial);
  }
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

function namesOf({ files }: DatasetSource): string {
  const [first] = files;
  return files.length === 1 ? (first?.path ?? "") : `${first?.path} and ${files.length - 1} more`;
}
