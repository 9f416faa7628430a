// A place from which the page reads runs: a server, or the files of a static bundle.

import type {
  AgreementAnswer,
  Annotate,
  Annotated,
  AnnotationsAnswer,
  CompareAnswer,
  ErrorsAnswer,
  HopsAnswer,
  Live,
  PromptsAnswer,
  RecordAnswer,
  RecordQuery,
  RecordRef,
  RecordsAnswer,
  RunAnswer,
  RunsAnswer,
  ScanHit,
  ScanProgress,
  Session,
  TrialsAnswer,
} from "../../api.ts";

export interface Source {
  session(): Promise<Session>;
  runs(): Promise<RunsAnswer>;
  run(key: string): Promise<RunAnswer>;
  records(key: string, query: RecordQuery): Promise<RecordsAnswer>;
  /** Reads whole records, and tells how far it is. The function that it returns ends it. */
  scan(key: string, query: RecordQuery, watcher: ScanWatcher): () => void;
  errors(key: string, query: RecordQuery): Promise<ErrorsAnswer>;
  trials(key: string, id: string): Promise<TrialsAnswer>;
  record(key: string, ref: RecordRef, query: RecordQuery): Promise<RecordAnswer>;
  hops(key: string, ref: RecordRef, from: number, count: number): Promise<HopsAnswer>;
  prompts(key: string, ref: RecordRef, hop: number): Promise<PromptsAnswer>;
  recipe(key: string): Promise<string>;
  annotations(key: string): Promise<AnnotationsAnswer>;
  annotate(key: string, change: Annotate): Promise<Annotated>;
  agreement(key: string, threshold: number): Promise<AgreementAnswer>;
  /** The function that it returns ends the watch. */
  live(key: string, watcher: LiveWatcher): () => void;
  compare(keys: readonly string[]): Promise<CompareAnswer>;
  /** The address of the record as it stands in the file; null where there is none. */
  rawAddress(key: string, ref: RecordRef): string | null;
  /** A whole text that was cut short, by its JSON pointer; null where there is no more of it. */
  readonly text: ((key: string, ref: RecordRef, at: string) => Promise<Blob>) | null;
  attachmentAddress(key: string, ref: RecordRef, hash: string): string;
}

export interface ScanWatcher {
  progress(progress: ScanProgress): void;
  hit(hit: ScanHit): void;
}

export interface LiveWatcher {
  live(live: Live): void;
  /** Called when the connection is lost, and again when it is back. */
  connected(isConnected: boolean): void;
}

/** A request that failed, with the server's own words. */
export class SourceError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = "SourceError";
    this.code = code;
  }
}
