// One run that is shown: its manifest, its table and what people said of it. It is opened when it
// is first asked for, follows a run that goes on, and is closed when others are looked at.

import { lstat, stat } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../../error.ts";
import { maskedJson } from "../../known-secrets.ts";
import { AnnotationFile } from "../../records/annotations/annotation-file.ts";
import { RunIndex } from "../../records/index/run-index.ts";
import { MANIFEST_FILE, type Manifest, readManifest } from "../../records/manifest.ts";
import { openRecordFile, trajectoriesPath } from "../../records/record-file.ts";
import type { ScanLine } from "../scan/scan.ts";
import { IndexTable } from "../table/index-table.ts";
import { MemoryTable } from "../table/memory-table.ts";
import type { RunTable } from "../table/run-table.ts";
import type { FoundRun } from "./find-runs.ts";
import { LooseFile } from "./loose-file.ts";

/** A table is looked at again after this long, and after longer for each record that it has. */
const FRESH_MS = 500;
const FRESH_MS_OF_RECORD = 0.01;

export class OpenRun {
  readonly found: FoundRun;
  /** The annotations of a run directory; null for a file, beside which nothing is written. */
  readonly annotations: AnnotationFile | null;
  readonly #closing = new AbortController();
  #manifest: Manifest | null = null;
  #problem: string | null = null;
  #index: RunIndex | null = null;
  #loose: LooseFile | null = null;
  #table: RunTable | null = null;
  #version = 0;
  #read = 0;
  #size = 0;
  #inode = 0;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | null = null;

  constructor(found: FoundRun) {
    this.found = found;
    this.annotations = found.kind === "run" ? new AnnotationFile(found.path) : null;
  }

  get manifest(): Manifest | null {
    return this.#manifest;
  }

  /** The fault of the manifest or the records; null for none. */
  get problem(): string | null {
    return this.#problem;
  }

  get notes(): readonly string[] {
    return this.#loose?.notes ?? [];
  }

  /** Bytes of the file of records that were read, and those there are, while it is opened. */
  get opening(): { readonly read: number; readonly total: number } {
    return { read: this.#read, total: this.#size };
  }

  /**
   * The table as it is now. Without a time to wait, it waits until the table is there; with one,
   * the answer is null while the run is opened for the first time.
   */
  async table(waitMs: number | null = null): Promise<RunTable | null> {
    const freshMs = FRESH_MS + FRESH_MS_OF_RECORD * (this.#table?.size ?? 0);
    if (performance.now() - this.#lookedAt > freshMs)
      this.#looking ??= this.#look().finally(() => {
        this.#looking = null;
        this.#lookedAt = performance.now();
      });
    if (this.#looking !== null) {
      // A table that was there before does not wait for a long look.
      if (waitMs === null) await this.#looking;
      else await within(waitMs, this.#looking);
    }
    return this.#table;
  }

  /** A record's line, with the secrets that this process knows left out. */
  async lineAt(table: RunTable, n: number): Promise<string> {
    return maskedJson(await table.lineAt(n));
  }

  /** The lines of all records of a table, in batches. */
  async *lines(signal: AbortSignal): AsyncGenerator<readonly ScanLine[]> {
    if (this.#loose !== null) {
      yield* this.#loose.lines(signal);
      return;
    }
    const { lines, close } = await openRecordFile(trajectoriesPath(this.found.path));
    let n = 0;
    try {
      for await (const batch of lines) {
        signal.throwIfAborted();
        const whole = batch.filter(({ torn }) => !torn);
        yield whole.map(({ text, overlong }) => ({
          n: n++,
          // A line that is too long to be read matches nothing.
          text: overlong === undefined ? maskedJson(text) : "null",
        }));
      }
    } finally {
      await close();
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#looking?.catch(() => undefined);
    await this.#index?.close();
  }

  async #look(): Promise<void> {
    if (this.found.kind === "run" && !(await this.#isOwn())) return;
    if (this.found.kind === "run") await this.#readManifest();
    if (this.#loose === null) await this.#lookIntoIndex();
    else await this.#loose.refresh(this.#closing.signal);
    if (this.#loose !== null) this.#table = this.#loose.table;
  }

  /** A link in another person's run directory could lead to any file. It is not followed. */
  async #isOwn(): Promise<boolean> {
    const { path } = this.found;
    for (const file of [join(path, MANIFEST_FILE), trajectoriesPath(path)]) {
      const found = await lstat(file).catch(() => null);
      if (found === null || found.isFile()) continue;
      this.#problem = `${file} is a link or not a regular file, so it is not read`;
      this.#table ??= new MemoryTable([], () => Promise.reject(new Error("no records")));
      return false;
    }
    return true;
  }

  async #readManifest(): Promise<void> {
    try {
      this.#manifest = await readManifest(this.found.path);
      this.#problem = null;
    } catch (thrown) {
      this.#problem = messageOf(thrown);
    }
  }

  async #lookIntoIndex(): Promise<void> {
    if (this.found.kind === "file") return this.#readLoosely(this.found.path);
    const path = trajectoriesPath(this.found.path);
    try {
      const { size = 0, ino = 0 } = (await stat(path).catch(() => null)) ?? {};
      // A retry puts another file in the place of the records.
      if (ino !== this.#inode) {
        await this.#index?.close();
        this.#index = null;
      }
      this.#inode = ino;
      this.#size = size;
      if (this.#index === null) {
        this.#index = await RunIndex.open(this.found.path, {
          signal: this.#closing.signal,
          onProgress: (read, size) => {
            this.#read = read;
            this.#size = size;
          },
        });
        this.#version++;
      } else if ((await this.#index.refresh()) > 0) this.#version++;
    } catch (thrown) {
      // A damaged line is told, and the rest is shown.
      this.#problem = messageOf(thrown);
      await this.#index?.close();
      this.#index = null;
      return this.#readLoosely(path);
    }
    if (this.#table?.version !== this.#version)
      this.#table = new IndexTable(this.#index, this.#version);
  }

  async #readLoosely(path: string): Promise<void> {
    this.#loose = new LooseFile(path);
    await this.#loose.refresh(this.#closing.signal);
  }
}

/** Resolves with the work, or when the time is up. */
async function within(ms: number, work: Promise<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([work, promise]).finally(() => clearTimeout(timer));
}
