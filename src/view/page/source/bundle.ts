// A static bundle: files of data as scripts, which load under file:// too, where fetch does not.

import type {
  Bundle,
  BundledRecord,
  BundledRun,
  RecordAnswer,
  RecordQuery,
  RecordRef,
  RecordRow,
  RecordsAnswer,
  RunAnswer,
  ScanHit,
  ScanProgress,
} from "../../api.ts";
import { chosenRows, errorGroups, snippetOf } from "./bundle-query.ts";
import { type ScanWatcher, type Source, SourceError } from "./contract.ts";

type Load = <T>(name: string) => Promise<T>;

export function createBundleSource(): Source {
  const shelf = new Shelf(createLoader());
  const unknown = (what: string) => Promise.reject(new SourceError("not_bundled", what));
  return {
    session: async () => (await shelf.bundle()).session,
    runs: async () => ({ runs: (await shelf.bundle()).runs.map(({ card }) => card), left: 0 }),
    run: (key) => shelf.run(key),
    records: (key, query) => shelf.records(key, query),
    scan: (key, query, watcher) => shelf.scan(key, query, watcher),
    errors: async (key, query) => errorGroups(await shelf.run(key), await shelf.rows(key), query),
    trials: async (key, id) => ({
      id,
      trials: (await shelf.rows(key)).filter((row) => row.id === id),
    }),
    record: (key, ref, query) => shelf.record(key, ref, query),
    hops: async (key, ref, from, count) => {
      const { bodies } = await shelf.bundled(key, ref);
      return { from, hops: bodies.slice(from, from + count), total: bodies.length };
    },
    prompts: async (key, ref, hop) =>
      (await shelf.bundled(key, ref)).prompts.find((prompt) => prompt.hop === hop) ??
      unknown("The bundle does not have the prompts of this step."),
    recipe: async (key) => {
      const { manifest } = await shelf.run(key);
      return JSON.stringify(manifest?.["recipe"] ?? {}, null, 2);
    },
    annotations: () => Promise.resolve({ annotations: [], people: [], broken: 0 }),
    annotate: () =>
      unknown("A bundle takes no judgements. Open the run itself with `matrix view`."),
    agreement: (_key, threshold) => Promise.resolve({ people: [], score: [], threshold }),
    live: (_key, watcher) => {
      watcher.connected(false);
      return () => undefined;
    },
    compare: async (keys) => {
      const wanted = keys.join("\n");
      const found = (await shelf.bundle()).comparisons.find(
        ({ runs }) => runs.map(({ card }) => card.key).join("\n") === wanted,
      );
      return found ?? unknown("The bundle does not compare these runs in this order.");
    },
    rawAddress: () => null,
    text: null,
    attachmentAddress: (key, _ref, hash) => `data/${key}/attachments/${hash}`,
  };
}

/** The parts of a bundle that were loaded. */
class Shelf {
  private readonly load: Load;
  private readonly loadedRows = new Map<string, Promise<readonly RecordRow[]>>();

  constructor(load: Load) {
    this.load = load;
  }

  bundle(): Promise<Bundle> {
    return this.load("bundle");
  }

  run(key: string): Promise<RunAnswer> {
    return this.load(`${key}/run`);
  }

  rows(key: string): Promise<readonly RecordRow[]> {
    const known = this.loadedRows.get(key) ?? this.loadRows(key);
    this.loadedRows.set(key, known);
    return known;
  }

  async records(key: string, query: RecordQuery): Promise<RecordsAnswer> {
    const rows = await this.rows(key);
    const chosen = chosenRows(
      await this.run(key),
      rows,
      query,
      this.found.get(scanName(key, query)),
    );
    const offset = Number(query.offset ?? 0);
    return {
      total: rows.length,
      matched: chosen.length,
      offset,
      rows: chosen.slice(offset, offset + Number(query.limit ?? 100)),
      scan: this.progress.get(scanName(key, query)) ?? null,
    };
  }

  private readonly found = new Map<string, Set<number>>();
  private readonly progress = new Map<string, ScanProgress>();

  scan(key: string, query: RecordQuery, watcher: ScanWatcher): () => void {
    const control = new AbortController();
    void this.readAll(key, query, watcher, control.signal);
    return () => control.abort();
  }

  private async readAll(
    key: string,
    query: RecordQuery,
    watcher: ScanWatcher,
    signal: AbortSignal,
  ): Promise<void> {
    const name = scanName(key, query);
    const found = new Set<number>();
    const { recordFiles, card } = await this.runOf(key);
    const total = card.counts.ok + card.counts.failed + card.counts.lost;
    let read = 0;
    const tell = (state: ScanProgress["state"], problem: string | null = null) => {
      const progress = { state, read, total, matched: found.size, errors: 0, problem };
      this.found.set(name, found);
      this.progress.set(name, progress);
      watcher.progress(progress);
    };
    if (query.where !== undefined && query.where !== "")
      return tell("failed", "A bundle has no CEL. Search for a text, or open the run itself.");
    for (const index of recordFiles.keys()) {
      for (const record of await this.load<readonly BundledRecord[]>(`${key}/records-${index}`)) {
        const hit = hitOf(record, query.q ?? "");
        read++;
        if (hit === null) continue;
        found.add(record.row.n);
        watcher.hit(hit);
      }
      if (signal.aborted) return;
      tell("running");
    }
    read = total;
    tell("done");
  }

  async record(key: string, ref: RecordRef, query: RecordQuery): Promise<RecordAnswer> {
    const record = await this.bundled(key, ref);
    const run = await this.run(key);
    const found = this.found.get(scanName(key, query));
    const chosen = chosenRows(run, await this.rows(key), query, found);
    const position = chosen.findIndex(({ id, trial }) => id === ref.id && trial === ref.trial);
    return {
      ...record,
      previous: chosen[position - 1] ?? null,
      next: position === -1 ? null : (chosen[position + 1] ?? null),
      position: position === -1 ? null : position,
      matched: chosen.length,
    };
  }

  async bundled(key: string, ref: RecordRef): Promise<BundledRecord> {
    const row = (await this.rows(key)).find(
      ({ id, trial }) => id === ref.id && trial === ref.trial,
    );
    const { recordFiles } = await this.runOf(key);
    const file = row === undefined ? -1 : recordFiles.findLastIndex((first) => first <= row.n);
    const records =
      file === -1 ? [] : await this.load<readonly BundledRecord[]>(`${key}/records-${file}`);
    const record = records.find((one) => one.row.n === row?.n);
    if (record === undefined)
      throw new SourceError(
        "no_record",
        `The bundle has no record of ${ref.id}, trial ${ref.trial}.`,
      );
    return record;
  }

  private async loadRows(key: string): Promise<readonly RecordRow[]> {
    const { rowFiles } = await this.runOf(key);
    const parts = await Promise.all(
      Array.from({ length: rowFiles }, (_, index) =>
        this.load<readonly RecordRow[]>(`${key}/rows-${index}`),
      ),
    );
    return parts.flat();
  }

  private async runOf(key: string): Promise<BundledRun> {
    const run = (await this.bundle()).runs.find(({ card }) => card.key === key);
    if (run === undefined) throw new SourceError("no_run", `The bundle has no run ${key}.`);
    return run;
  }
}

function scanName(key: string, { where, q }: RecordQuery): string {
  return JSON.stringify([key, where, q]);
}

function hitOf(record: BundledRecord, wanted: string): ScanHit | null {
  const { n, id, trial } = record.row;
  const text = JSON.stringify([record.input.value, record.bodies, record.head]);
  const snippet = snippetOf(text, wanted);
  return snippet === null ? null : { n, id, trial, snippet };
}

/** Loads `data/NAME.js` as a script, which hands its value over by calling `matrixBundle`. */
function createLoader(): Load {
  const arrived = new Map<string, (value: unknown) => void>();
  Object.assign(globalThis, {
    matrixBundle: (name: string, value: unknown) => arrived.get(name)?.(value),
  });
  const loads = new Map<string, Promise<unknown>>();
  const begin = (name: string): Promise<unknown> =>
    new Promise((resolve, reject) => {
      arrived.set(name, resolve);
      const script = document.createElement("script");
      script.src = `data/${name}.js`;
      script.onerror = () => {
        loads.delete(name);
        reject(new SourceError("not_bundled", `The bundle has no file data/${name}.js.`));
      };
      document.head.append(script);
    });
  return <T>(name: string) => {
    const known = loads.get(name) ?? begin(name);
    loads.set(name, known);
    return known as Promise<T>;
  };
}
