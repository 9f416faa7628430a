// The one error class for everything that can go wrong in operation, with a closed set of codes. An
// outcome (a wrong answer, a filtered row) is data and is never thrown. A bug is an assertion. A
// foreign error is translated once, where it enters.

/**
 * Codes of operating errors. `usage` to `run_busy` stop the program before anything is spent
 * (exit 2, and 4 for a busy directory).
 */
export const ERROR_CODES = [
  "usage", // the command line
  "recipe_invalid",
  "dataset_invalid",
  "module_invalid", // user code that does not load or does not export what it should
  "run_refused", // the run directory belongs to another recipe or dataset
  "run_busy", // another driver is at work in the run directory
  "not_private", // a file or folder of the program is another user's, or a link
  "run_taken", // another driver took the run directory over while this one stood still
  "storage_failed", // full disk, lost directory: the run stops and can go on
  "dataset_gone", // the dataset changed or vanished under a run
  "peer_failed", // a request to another process of the run was refused or got no whole answer
  "wire_invalid", // bytes from another process are not what the protocol says
  "agent_failed", // user code threw
  "agent_timeout",
  "task_timeout",
  "max_hops",
  "task_limit", // run.task_limit
  "task_too_large",
  "task_too_deep", // a row or a result is nested too deeply to be written as JSON
  "orchestrator_failed",
  "prompt_failed",
  "model_unavailable", // no connection
  "model_overloaded", // 429, 503
  "model_lost", // the server went away while it answered
  "model_failed", // any other 5xx
  "model_timeout",
  "model_denied", // 401, 402, 403, 404, a used-up quota: this key or model is turned away
  "model_refused_request", // any other 4xx
  "model_bad_answer", // not JSON, not a completion, empty
  "model_answer_too_large", // more than a task may hold
  "sandbox_invalid", // its image is missing, or is not an image
  "sandbox_unavailable", // no sandbox could be started, or the engine failed
  "sandbox_lost", // the sandbox ended while it worked
  "program_failed", // the program in the sandbox does not start
  "sandbox_bad_answer", // its agent does not speak the protocol
  "sandbox_fenced", // a stateful sandbox went on with a newer attempt of the task
  "host_lost", // hosts died with the task, or the one that held it (delivery = "at-most-once")
  "not_recorded", // a replay went on past what its record has
  "schema_mismatch", // an answer that does not fit the role's schema, also after the re-ask
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/**
 * Codes that say that the place of a task failed and not the task: its row starts again, up to
 * `run.max_attempts` times.
 */
export const LOST_PLACE: ReadonlySet<string> = new Set<ErrorCode>([
  "sandbox_lost",
  "sandbox_unavailable",
  "sandbox_fenced",
  "wire_invalid", // the host of the task spoilt it
]);

/** Exit code with which a worker tells its watcher that it lost its patience with its driver. */
export const EXIT_GONE = 64;
/** Exit code with which a worker tells its watcher that it left because it was told to. */
export const EXIT_TOLD = 65;
/** Exit code with which a worker asks its watcher for another life at once. */
export const EXIT_REJOIN = 66;

/** Exit codes of the program (docs/files.md). */
export const EXIT = { complete: 0, failedAbove: 1, refused: 2, resumable: 3, busy: 4 } as const;

const REFUSALS: ReadonlySet<ErrorCode> = new Set([
  "usage",
  "recipe_invalid",
  "dataset_invalid",
  "module_invalid",
  "run_refused",
  "not_private",
  "sandbox_invalid",
]);

/** One problem in a file: where it is, and what would be right. */
export interface Problem {
  readonly file?: string;
  /** Line, counted from 1 as editors do. */
  readonly line?: number;
  readonly column?: number;
  /** Dotted path of the recipe key, or "row 12". */
  readonly key?: string;
  /** A sentence without its full stop: what was found and what is allowed. */
  readonly message: string;
  /** The nearest valid word; left out when none is near. */
  readonly suggestion?: string;
}

export interface MatrixErrorOptions {
  /** Advice for the user. */
  readonly hint?: string;
  readonly cause?: unknown;
  /** Time for which the server asked the client to wait (Retry-After). */
  readonly retryAfterMs?: number;
  /** True when the next try can begin at once: it goes to another server, or waits by itself. */
  readonly retryNow?: boolean;
  /** HTTP status with which a peer refused a request; null when the peer did not answer. */
  readonly status?: number | null;
  /** True when a peer may have acted on the request, although no whole answer came. */
  readonly maybeActed?: boolean;
  /** All problems of a recipe or a dataset at once. */
  readonly problems?: readonly Problem[];
}

export class MatrixError extends Error {
  override readonly name = "MatrixError";
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly retryNow: boolean;
  readonly status: number | null;
  readonly maybeActed: boolean;
  readonly problems: readonly Problem[];

  constructor(code: ErrorCode, message: string, options: MatrixErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.retryAfterMs = options.retryAfterMs;
    this.retryNow = options.retryNow ?? false;
    this.status = options.status ?? null;
    this.maybeActed = options.maybeActed ?? false;
    this.problems = options.problems ?? [];
  }

  get exitCode(): number {
    if (this.code === "run_busy") return EXIT.busy;
    return REFUSALS.has(this.code) ? EXIT.refused : EXIT.resumable;
  }
}

/** The message of any thrown value. User code may throw values that cannot even be printed. */
export function messageOf(thrown: unknown): string {
  try {
    return String(thrown instanceof Error ? thrown.message : thrown);
  } catch {
    return "something that cannot be printed";
  }
}
