// The contract between the server of `matrix view` and its page: every path, and the shape of every
// answer. It holds types alone. A static bundle (`matrix view DIR --bundle OUT`) gives the same
// answers from files, so that one page shows both.
//
// All paths begin with /api. RUN is `RunCard.key`, ID is `encodeURIComponent(row id)`.
//
//   GET    /session                                   Session
//   GET    /runs                                      RunsAnswer
//   GET    /runs/RUN                                  RunAnswer
//   GET    /runs/RUN/records?RecordQuery              RecordsAnswer
//   GET    /runs/RUN/scan?where=&q=                   server-sent events: ScanEvent
//   GET    /runs/RUN/errors?RecordQuery               ErrorsAnswer
//   GET    /runs/RUN/rows/ID                          TrialsAnswer: all trials of a row
//   GET    /runs/RUN/records/ID/TRIAL?RecordQuery     RecordAnswer; the query gives the neighbours
//   GET    /runs/RUN/records/ID/TRIAL/hops?from=&count=   HopsAnswer
//   GET    /runs/RUN/records/ID/TRIAL/prompts?hop=    PromptsAnswer
//   GET    /runs/RUN/records/ID/TRIAL/text?at=POINTER a text that `Clip` cut short, as text/plain;
//                                                     &from=&count= in characters, x-total-chars
//   GET    /runs/RUN/records/ID/TRIAL/raw             the line of the record, as a download
//   GET    /runs/RUN/records/ID/TRIAL/attachments/HASH    an image or a recording of the record
//   GET    /runs/RUN/recipe                           the resolved recipe, as text/plain
//   GET    /runs/RUN/annotations                      AnnotationsAnswer
//   POST   /runs/RUN/annotations                      Annotate → Annotated
//   GET    /runs/RUN/agreement?threshold=             AgreementAnswer
//   GET    /runs/RUN/live                             server-sent events: LiveEvent
//   GET    /compare?run=KEY&run=KEY[&run=KEY…]        CompareAnswer; the first is the baseline
//
// A request that fails has the answer `Failure`, with a status of 400 or more. A run whose records
// are still being read for the first time answers `Opening`, with the status 202: ask again.

import type { Json, JsonObject } from "../task/json.ts";
import type { Ending, StopReason, TaskError, Usage } from "../task/task.ts";

export type Status = Ending["status"];

export interface Failure {
  /** A word for programs, such as `no_run`, `no_record`, `bad_query`, `forbidden`. */
  readonly code: string;
  /** The message: what could not be done, and what to do. */
  readonly message: string;
}

export interface Opening {
  /** Bytes of the records that were read, and those there are. */
  readonly opening: { readonly read: number; readonly total: number };
}

export interface Session {
  readonly version: string;
  /** The name under which this user's annotations are kept, unless the page sends another. */
  readonly who: string;
  /** False for a static bundle, and for runs whose directory cannot be written to. */
  readonly canAnnotate: boolean;
  /** `folder`: what the user has named. `driver`: a run that goes on serves itself. */
  readonly from: "folder" | "driver" | "bundle";
  /** The folders and files that were named, as the user wrote them. */
  readonly places: readonly string[];
  /** The key of the only run; the page opens it at once. Null for none or several. */
  readonly only: string | null;
}

// ---------------------------------------------------------------------------------------- runs

/**
 * `running`: its driver lives. `interrupted`: the manifest says that it runs, but no driver does.
 * `foreign`: a file of records or an export, without a manifest. `broken`: `problem` says why.
 */
export type RunState = "running" | "interrupted" | "stopped" | "complete" | "foreign" | "broken";

export interface RunsAnswer {
  readonly runs: readonly RunCard[];
  /** Folders that were not looked into, because there are too many. */
  readonly left: number;
}

export interface RunCard {
  /** Made of letters, digits, `_`, `.`, `~` and `-`; the same after a restart. */
  readonly key: string;
  readonly name: string;
  /** The path, as the user can type it. */
  readonly path: string;
  readonly state: RunState;
  /** Why it stopped, or what is broken. */
  readonly problem: string | null;
  /** The number of records that the complete run has; null when no manifest says it. */
  readonly expected: number | null;
  readonly counts: Counts;
  readonly score: Estimate | null;
  /** In the currency of the recipe's prices; null when no model has a price. */
  readonly cost: number | null;
  readonly tokens: number;
  readonly models: readonly string[];
  /** The path of the recipe's pattern or module, such as `dialogue` or `rule.ts`. */
  readonly orchestrator: string | null;
  /** RFC 3339 in UTC; null when it is not known. */
  readonly startedAt: string | null;
  readonly updatedAt: string | null;
  readonly simulated: boolean;
  /** Bytes of the file of records. */
  readonly bytes: number;
}

export interface Counts {
  readonly ok: number;
  readonly failed: number;
  readonly lost: number;
}

/** A mean with its 95 % confidence interval, over rows: trials of one row are not independent. */
export interface Estimate {
  readonly mean: number;
  /** The ends of the 95 % confidence interval; null for fewer than two rows. */
  readonly low: number | null;
  readonly high: number | null;
  /** Number of scores. */
  readonly count: number;
}

export interface RunAnswer {
  readonly card: RunCard;
  /** Number of records that retries replaced. */
  readonly superseded: number;
  /** `expected` less all counts; 0 once the run is complete. */
  readonly missing: number;
  readonly stopReasons: readonly NamedCount[];
  readonly distributions: {
    readonly score: Histogram | null;
    readonly turns: Histogram | null;
    readonly tokens: Histogram | null;
    /** Milliseconds from admission to the end. */
    readonly latency: Histogram | null;
    readonly cost: Histogram | null;
  };
  /** Records that ended in each step of time. */
  readonly throughput: TimeLine | null;
  /** The most frequent groups; `/errors` has those of a filter. */
  readonly errors: readonly ErrorGroup[];
  /** Lines come from a sample of the records when `sampled` is set. */
  readonly roles: readonly UsageLine[];
  readonly models: readonly UsageLine[];
  /** Number of records that `roles` and `models` were taken from; null for all of them. */
  readonly sampled: number | null;
  /** The recipe's own columns: `[view] columns`. */
  readonly columns: readonly Column[];
  readonly labels: readonly NamedCount[];
  /** The manifest of the run; null for a file of another program. */
  readonly manifest: JsonObject | null;
  readonly trials: number;
  /** Remarks about the files, such as a torn last line. */
  readonly notes: readonly string[];
}

export interface NamedCount {
  readonly name: string;
  readonly count: number;
}

/** Bins of equal width, or of equal ratio when `scale` is `log`. */
export interface Histogram {
  readonly scale: "linear" | "log";
  /** Edges, one more than `counts`. A bin holds its lower edge, and the last one both. */
  readonly edges: readonly number[];
  readonly counts: readonly number[];
  /** Values that the bins hold. */
  readonly total: number;
  readonly mean: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly min: number;
  readonly max: number;
}

export interface TimeLine {
  /** Milliseconds since the epoch of the first step's begin. */
  readonly from: number;
  readonly stepMs: number;
  readonly ok: readonly number[];
  readonly failed: readonly number[];
  readonly lost: readonly number[];
}

export interface ErrorGroup {
  readonly code: string;
  /** The message with numbers and ids replaced by `…`, so that equal faults group. */
  readonly message: string;
  readonly count: number;
  readonly examples: readonly RecordRef[];
}

export interface ErrorsAnswer {
  readonly groups: readonly ErrorGroup[];
  /** Errors in groups beyond those listed. */
  readonly more: number;
}

export interface RecordRef {
  readonly id: string;
  readonly trial: number;
}

export interface UsageLine extends Usage {
  readonly name: string;
  readonly hops: number;
  readonly errors: number;
  readonly cost: number | null;
  /** Milliseconds from the start of the agent to its answer. */
  readonly ms: { readonly p50: number; readonly p95: number; readonly p99: number };
}

export interface Column {
  readonly name: string;
  /** The expression of the recipe. */
  readonly source: string;
  readonly type: "number" | "text" | "boolean" | "mixed";
}

// ------------------------------------------------------------------------------------- records

/**
 * The filter, the order and the page of a list, as parameters of a URL. A parameter that is left
 * out does not filter. Several values of one parameter are separated by commas, each
 * `encodeURIComponent`ed on its own.
 */
export interface RecordQuery {
  readonly status?: string;
  readonly stop?: string;
  readonly error?: string;
  /** A message, exactly as in `ErrorGroup.message`. */
  readonly message?: string;
  /** A part of the row id. */
  readonly id?: string;
  readonly trial?: string;
  /** A range `MIN..MAX`, of which either may be empty; `none` takes records without the value. */
  readonly score?: string;
  readonly turns?: string;
  readonly tokens?: string;
  readonly cost?: string;
  readonly ms?: string;
  /** `MIN..MAX` of the end, RFC 3339 or milliseconds since the epoch. */
  readonly ended?: string;
  /** The verdict of all people together: `accepted`, `rejected`, `disputed` or `none`. */
  readonly verdict?: string;
  readonly label?: string;
  /** `col.NAME=VALUE`: an own column that has this value; `MIN..MAX` for numbers. */
  readonly [column: `col.${string}`]: string;
  /** A CEL expression over the whole record. Its matches come from `/scan`. */
  readonly where?: string;
  /** A text that stands anywhere in the record, in any case. Its matches come from `/scan`. */
  readonly q?: string;
  readonly sort?: SortKey;
  /** `1` for the greatest first. Records without the value come last in both orders. */
  readonly desc?: "1";
  readonly offset?: string;
  /** 100 by default, 1000 at most. */
  readonly limit?: string;
}

/** `n` is the order in which records were written. */
export type SortKey =
  | "n"
  | "id"
  | "trial"
  | "status"
  | "stop"
  | "error"
  | "score"
  | "turns"
  | "tokens"
  | "cost"
  | "ms"
  | "ended"
  | `col.${string}`;

export interface RecordsAnswer {
  /** Records of the run. */
  readonly total: number;
  /** Records that the filter leaves. */
  readonly matched: number;
  readonly offset: number;
  readonly rows: readonly RecordRow[];
  /** Set with `where` or `q`: how far the scan is, whose matches so far are listed. */
  readonly scan: ScanProgress | null;
}

/** A record as the index knows it. */
export interface RecordRow {
  /** Its place in the order of the file, from 0. */
  readonly n: number;
  readonly id: string;
  readonly trial: number;
  readonly status: Status;
  readonly stop: StopReason;
  readonly score: number | null;
  /** The code of the error. */
  readonly error: string | null;
  readonly turns: number;
  readonly tokens: number;
  readonly cost: number | null;
  readonly ms: number;
  /** Milliseconds since the epoch. */
  readonly ended: number;
  /** Bytes of the record. */
  readonly bytes: number;
  /** Values of the own columns, in the order of `RunAnswer.columns`. */
  readonly columns: readonly Cell[];
  readonly verdict: Verdict | "disputed" | null;
  readonly labels: readonly string[];
  readonly comments: number;
}

export type Cell = string | number | boolean | null;

export interface ScanProgress {
  /** `none`: no scan was begun; open `/scan`. */
  readonly state: "none" | "running" | "done" | "failed" | "cancelled";
  /** Records that were read, and those there are. */
  readonly read: number;
  readonly total: number;
  readonly matched: number;
  /** Records on which the expression could not be evaluated. */
  readonly errors: number;
  /** The fault of the expression, or the first error. */
  readonly problem: string | null;
}

/** Data of the events `progress` and `hit` of `/scan`. Closing the stream cancels the scan. */
export type ScanEvent =
  | { readonly event: "progress"; readonly data: ScanProgress }
  | { readonly event: "hit"; readonly data: ScanHit };

/** One of the first 200 records that match. */
export interface ScanHit extends RecordRef {
  readonly n: number;
  /** A text around the match of `q`, its place in it, and where in the record it is. */
  readonly snippet: { readonly text: string; readonly from: number; readonly to: number } | null;
}

export interface TrialsAnswer {
  readonly id: string;
  readonly trials: readonly RecordRow[];
}

// -------------------------------------------------------------------------------- one trajectory

export interface RecordAnswer {
  readonly row: RecordRow;
  /** Members of the record but for `row` and `history`. */
  readonly head: RecordHeadAnswer;
  /** The dataset's row. */
  readonly input: Content;
  /** All hops, without what they said. */
  readonly hops: readonly HopLine[];
  /** The content of the first hops, as `/hops` gives it. */
  readonly first: HopsAnswer;
  readonly attachments: readonly Attachment[];
  /** Why attachments could not be read; null when they were, or when there are none. */
  readonly attachmentProblem: string | null;
  /** Neighbours under the filter and the order of the query. */
  readonly previous: RecordRef | null;
  readonly next: RecordRef | null;
  /** The place under the filter, from 0; null for a record that it leaves out. */
  readonly position: number | null;
  readonly matched: number;
  /** Trials of the same row, this one included. */
  readonly trials: readonly number[];
  readonly annotations: readonly Annotation[];
  /** Index in `hops` of the first one with an error; null for none. */
  readonly firstError: number | null;
  /** Faults by which the record contradicts itself, as `matrix verify` names them. */
  readonly notes: readonly string[];
}

export interface RecordHeadAnswer {
  readonly seed: number;
  readonly attempt: number;
  readonly status: Status;
  readonly stop_reason: string;
  readonly score: number | null;
  readonly outcome: Content;
  readonly error: TaskError | null;
  readonly simulated: boolean;
  readonly usage: Usage;
  readonly cost: number | null;
  readonly timing: {
    readonly admitted_at: string;
    readonly ended_at: string;
    readonly total_ms: number;
    readonly queue_ms: number;
    readonly run_ms: number;
  };
  readonly trace_id: string | null;
}

/** A hop without what it said. Members are as in the record; those that are unset are left out. */
export interface HopLine {
  readonly hop: number;
  readonly role: string;
  readonly branch?: number;
  readonly host: string;
  /** Milliseconds from the task's admission to the start of the agent; below 0 by skewed clocks. */
  readonly startMs: number;
  readonly queueMs: number;
  readonly runMs: number;
  readonly model?: string;
  readonly usage?: Usage;
  readonly cost?: number;
  readonly tries?: number;
  /** Number of answers that were paid for and not used. */
  readonly missed?: number;
  readonly error?: string;
  /** Characters of the result as JSON. */
  readonly chars: number;
}

export interface HopsAnswer {
  readonly from: number;
  /** The hops that were asked for, or the first of them where all would exceed about 1 MiB. */
  readonly hops: readonly HopBody[];
  readonly total: number;
}

export interface HopBody {
  readonly hop: number;
  readonly result: Content;
  readonly missed: readonly {
    readonly problem: string;
    readonly usage: Usage;
    readonly cost: number | null;
    readonly result: Content;
  }[];
}

/**
 * A JSON value, made safe to hold. Texts of more than 64 Ki characters are cut and listed in
 * `clips`. `text` is set, and `value` null, for one that is broken, or too large or too deep to be
 * shown as a tree: the beginning of its JSON.
 */
export interface Content {
  readonly value: Json;
  readonly text: string | null;
  readonly clips: readonly Clip[];
}

export interface Clip {
  /** JSON pointer from the root of the record, for `/text?at=`. */
  readonly at: string;
  /** JSON pointer within `Content.value`; the text there is the beginning. */
  readonly in: string;
  /** Characters of the whole text. */
  readonly chars: number;
}

/** The messages that a role's model was sent, rendered again from the recipe and the record. */
export interface PromptsAnswer {
  readonly hop: number;
  readonly system: string | null;
  readonly prompt: string | null;
  /** Tools that the role may call, in the OpenAI shape. */
  readonly tools: readonly JsonObject[];
  /** Why a part cannot be rendered again, such as a prompt that reads the state; null for none. */
  readonly problem: string | null;
}

export interface Attachment {
  /** sha256, hexadecimal; null for an address elsewhere, which the page must not load. */
  readonly hash: string | null;
  readonly role: string;
  readonly kind: "image" | "audio";
  /** The media type; null for an address. */
  readonly type: string | null;
  readonly bytes: number | null;
  /** The address elsewhere. */
  readonly url: string | null;
}

// ----------------------------------------------------------------------------------- annotations

export type Verdict = "accepted" | "rejected";

/** The latest statements of one person about a record. */
export interface Annotation extends RecordRef {
  readonly who: string;
  /** The time of the latest change, in UTC (RFC 3339). */
  readonly at: string;
  readonly verdict: Verdict | null;
  readonly labels: readonly string[];
  readonly comment: string;
  /** True when the record was replaced since, by a retry. It counts for nothing. */
  readonly stale: boolean;
}

export interface AnnotationsAnswer {
  readonly annotations: readonly Annotation[];
  readonly people: readonly string[];
  /** Lines of the file that are no annotations. */
  readonly broken: number;
}

/** A member that is left out leaves what the person said before. */
export interface Annotate extends RecordRef {
  readonly who: string;
  readonly verdict?: Verdict | null;
  readonly labels?: readonly string[];
  readonly comment?: string;
}

export interface Annotated {
  readonly annotation: Annotation;
  /** The row, with the verdicts and labels of all people. */
  readonly row: RecordRow;
}

export interface AgreementAnswer {
  /** Each pair of people who judged the same records. */
  readonly people: readonly Agreement[];
  /** Each person against the score: accepted where it is at least `threshold`. */
  readonly score: readonly Agreement[];
  readonly threshold: number;
}

export interface Agreement {
  readonly a: string;
  readonly b: string;
  /** Records that both judged. */
  readonly both: number;
  /** [a accepted and b accepted, a accepted and b rejected, a rejected …, both rejected]. */
  readonly table: readonly [number, number, number, number];
  /** Share of `both` on which they agree; null for none. */
  readonly agree: number | null;
  /** Cohen's kappa; null when it is not defined, as when both always say the same. */
  readonly kappa: number | null;
}

// --------------------------------------------------------------------------------------- compare

export interface CompareAnswer {
  readonly runs: readonly CompareRun[];
  /** The first run against each other one. */
  readonly pairs: readonly ComparePair[];
}

export interface CompareRun {
  readonly card: RunCard;
  readonly cost: Estimate | null;
  readonly tokens: Estimate | null;
  readonly latency: Estimate | null;
  readonly turns: Estimate | null;
  readonly stopReasons: readonly NamedCount[];
}

export interface ComparePair {
  readonly a: string;
  readonly b: string;
  /** Mean of b less that of a, by row where both have a score. Null without such a row. */
  readonly score: Difference | null;
  /** The same of cost, over rows that both have. */
  readonly cost: Difference | null;
  /** Rows that both runs have, and those that only one has. */
  readonly rows: { readonly both: number; readonly onlyA: number; readonly onlyB: number };
  /** Rows whose mean score went up, went down or stayed; the largest changes come first. */
  readonly flips: {
    readonly up: number;
    readonly down: number;
    readonly same: number;
    readonly rows: readonly Flip[];
  };
  /** Keys of the resolved recipes that differ. */
  readonly recipe: readonly RecipeChange[];
}

export interface Difference {
  readonly delta: number;
  /** 95 % confidence interval of the paired difference; null for fewer than two rows. */
  readonly low: number | null;
  readonly high: number | null;
  readonly rows: number;
}

export interface Flip {
  readonly id: string;
  readonly a: number | null;
  readonly b: number | null;
}

export interface RecipeChange {
  readonly key: string;
  /** Values as JSON text; null where the key is not set. Secrets are masked. */
  readonly a: string | null;
  readonly b: string | null;
}

// ------------------------------------------------------------------------------------------ live

/** The event `live` comes when anything changed, at most once a second. */
export type LiveEvent = { readonly event: "live"; readonly data: Live };

export interface Live {
  readonly card: RunCard;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Records a second over the last minute; null before there are two readings. */
  readonly perSecond: number | null;
  /** Milliseconds left at this rate. */
  readonly leftMs: number | null;
  /** Errors by code since this start, or of all records when the files alone tell. */
  readonly errors: readonly NamedCount[];
  /** Set on the driver's own page (`matrix drive --view`); null for a run that files alone show. */
  readonly driver: LiveDriver | null;
}

export interface LiveDriver {
  readonly inFlight: number;
  readonly elapsedMs: number;
  readonly stopping: boolean;
  /** Rate limits that hold requests back, by their recipe keys. */
  readonly waitedFor: readonly string[];
  readonly roles: readonly {
    readonly name: string;
    readonly queued: number;
    readonly busy: number;
    readonly slots: number;
  }[];
  readonly hosts: readonly LiveHost[];
  readonly models: readonly LiveModel[];
}

export interface LiveHost {
  readonly name: string;
  /** `gone`: it has been silent for too long. */
  readonly state: "alive" | "leaving" | "gone";
  readonly roles: readonly string[];
  readonly queued: number;
  readonly busy: number;
  readonly slots: number;
}

export interface LiveModel {
  readonly name: string;
  readonly replica: string;
  readonly inFlight: number;
  /** Requests that the replica is given at once. */
  readonly window: number | null;
  readonly requests: number;
  readonly errors: readonly NamedCount[];
}

// ---------------------------------------------------------------------------------------- bundle

/**
 * A static bundle is a folder with the page and its data as scripts, which any web server and
 * file:// can show. Each script calls `matrixBundle(NAME, VALUE)`:
 *
 *   data/bundle.js            "bundle"           Bundle
 *   data/KEY/run.js           "KEY/run"          RunAnswer
 *   data/KEY/rows-N.js        "KEY/rows-N"       RecordRow[], 10,000 in each
 *   data/KEY/records-N.js     "KEY/records-N"    BundledRecord[], about 1 MiB in each
 *   data/KEY/attachments/HASH                    images and recordings as they are
 */
export interface Bundle {
  readonly session: Session;
  readonly runs: readonly BundledRun[];
  readonly comparisons: readonly CompareAnswer[];
}

export interface BundledRun {
  readonly card: RunCard;
  /** Number of `rows-N.js`. */
  readonly rowFiles: number;
  /** The `n` of the first record of each `records-N.js`, in order. */
  readonly recordFiles: readonly number[];
  /** Records that were left out of the bundle by its selection. */
  readonly leftOut: number;
}

export interface BundledRecord
  extends Omit<RecordAnswer, "previous" | "next" | "position" | "matched"> {
  /** The content of all hops; clips have no more text elsewhere. */
  readonly bodies: readonly HopBody[];
  readonly prompts: readonly PromptsAnswer[];
}
