// A run together with what the page asks of it: its lists, its scans, and the judgements of people.

import { MatrixError } from "../../error.ts";
import { Annotations } from "../../records/annotations/annotation.ts";
import { RecordView } from "../record/record-view.ts";
import { Scans } from "../scan/scans.ts";
import type { RunTable } from "../table/run-table.ts";
import type { FoundRun } from "./find-runs.ts";
import { Listing, type Said, saidOf } from "./listing.ts";
import { OpenRun } from "./open-run.ts";

/** Characters of lines that are kept because their records are being looked at. */
const KEPT_CHARS = 16 * 2 ** 20;
/** A request waits this long for a run that is being opened. */
const WAIT_MS = 400;
const NOTHING_SAID = new Annotations();

/** A run whose records are still being read for the first time. */
export class StillOpening extends Error {
  readonly read: number;
  readonly total: number;

  constructor({ read, total }: OpenRun["opening"]) {
    super("the run is being opened");
    this.read = read;
    this.total = total;
  }
}

/** The data that a request reads: the table and the annotations, at one moment. */
export interface Moment {
  /** A text that changes whenever the run's files do. */
  readonly content: string;
  readonly table: RunTable;
  readonly annotations: Annotations;
  readonly said: ReadonlyMap<number, Said>;
}

export class ShownRun {
  readonly run: OpenRun;
  readonly scans = new Scans();
  readonly listing = new Listing(this.scans);
  readonly #views = new Map<string, RecordView>();
  /** The moment that was asked for last, as long as nothing changes. */
  #latest: { readonly content: string; readonly moment: Moment } | null = null;

  constructor(found: FoundRun) {
    this.run = new OpenRun(found);
  }

  /** Fails with `StillOpening`. */
  moment(): Promise<Moment> {
    return this.#moment(WAIT_MS);
  }

  /** Waits until the run is open. */
  wholeMoment(): Promise<Moment> {
    return this.#moment(null);
  }

  async #moment(waitMs: number | null): Promise<Moment> {
    const table = await this.run.table(waitMs);
    if (table === null) throw new StillOpening(this.run.opening);
    const file = this.run.annotations;
    const annotations = (await file?.read()) ?? NOTHING_SAID;
    const content = `${table.version} ${file?.version ?? 0}`;
    if (this.#latest?.content === content) return this.#latest.moment;
    const moment = { content, table, annotations, said: await saidOf(table, annotations) };
    this.#latest = { content, moment };
    return moment;
  }

  /** The record at a place. The records that were looked at last are kept. */
  async view(table: RunTable, n: number): Promise<RecordView> {
    const key = `${table.version} ${n}`;
    const known = this.#views.get(key);
    if (known !== undefined) return known;
    const view = new RecordView(await this.run.lineAt(table, n));
    this.#views.set(key, view);
    let chars = [...this.#views.values()].reduce((sum, { line }) => sum + line.length, 0);
    for (const [oldest, { line }] of this.#views) {
      if (chars <= KEPT_CHARS || oldest === key) break;
      this.#views.delete(oldest);
      chars -= line.length;
    }
    return view;
  }

  /** Fails with `storage_failed` where the run is a file. */
  get annotations(): NonNullable<OpenRun["annotations"]> {
    const { annotations } = this.run;
    if (annotations !== null) return annotations;
    throw new MatrixError(
      "storage_failed",
      "annotations stand in a run directory, not beside a file",
    );
  }

  async close(): Promise<void> {
    await this.scans.close();
    await this.run.close();
  }
}
