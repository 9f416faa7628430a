// The early stop (run.stop_after): ends that no row can change are held back from the records until
// it is clear whether they are the fault of a row or of the whole run. They are the run's when as
// many as `after` ended alike and their role answered no other task meanwhile. Then the run stops,
// and none of them is recorded: a continued run starts their rows again. Otherwise they become
// records like any other end. A pure state machine; the sink acts on what it decides.

import type { ErrorCode } from "../error.ts";
import type { Times } from "../task/record.ts";
import { type EndMessage, isUnanswered, type Unanswered } from "../task/task.ts";

/** Errors that no row can change. */
const HOPELESS: ReadonlySet<string> = new Set<ErrorCode>([
  "model_denied",
  "model_unavailable",
  "sandbox_invalid",
  "sandbox_unavailable",
  "sandbox_lost", // ends a task only after run.max_attempts starts of its row
  "sandbox_bad_answer",
  "program_failed",
  "not_recorded",
]);

/**
 * Errors that stay until a person mends the recipe, the key or the program. A run in which nothing
 * succeeded stops for them even if it has fewer than `after` tasks.
 */
const LASTING: ReadonlySet<string> = new Set<ErrorCode>([
  "model_denied",
  "sandbox_invalid",
  "program_failed",
]);

/** Errors that mean, like an unanswered task, that the model gave no whole answer. */
const NO_ANSWER: ReadonlySet<string> = new Set<ErrorCode>([
  "model_bad_answer",
  "model_answer_too_large",
  "model_refused_request",
]);

/** The group of all tasks without a whole answer. */
const UNANSWERED = "no whole answer";

/** Advice for the user about ends of this kind. */
export const EARLY_STOP_HELP: Readonly<Record<Unanswered, string>> & Record<string, string> = {
  context_length: "shorten what is asked, or use a model that takes more",
  refused: 'ask otherwise, or let roles accept it (accepts = ["refused"])',
  content_filtered: 'ask otherwise, or let roles accept it (accepts = ["content_filtered"])',
  cut: 'raise max_tokens, or let roles accept it (accepts = ["cut"])',
  model_denied: "check api_key, model and base_url of the model, and the account's balance",
  model_unavailable: "start the model's server, or check base_url",
  model_bad_answer: "check that base_url leads to an OpenAI-compatible endpoint",
  model_answer_too_large: "lower max_tokens, or ask for fewer log probabilities",
  model_refused_request: "check the role's sampling and what the model supports",
  sandbox_invalid: "check the image of the sandbox",
  sandbox_unavailable: "start the sandbox engine, or free its resources",
  sandbox_lost: "see what ends the sandbox: its last words, its memory, its image",
  sandbox_bad_answer: "let the program write only replies to stdout",
  not_recorded: "ask this role anew with --ask, or replay with the rule that made the records",
  program_failed: "mend the program; its last words are above and in the log",
};

/** An end that has arrived and is not recorded yet. */
export interface Arrived {
  readonly end: EndMessage;
  readonly times: Times;
}

interface Group {
  readonly held: Arrived[];
  /** The role that fails; null for the group of unanswered tasks. */
  readonly role: string | null;
}

export interface EarlyStopOptions {
  /** Number of ends alike that stop the run (`run.stop_after`); 0 never stops it. */
  readonly after: number;
  /** True when an earlier start of the run has recorded a task as ok. */
  readonly hasSucceeded: boolean;
}

export class EarlyStop {
  readonly #after: number;
  readonly #groups = new Map<string, Group>();
  readonly #stopped = new AbortController();
  /** True when any task of the run ended ok with whole answers. */
  #hasSucceeded: boolean;
  /** True when any task of the run got a whole answer of a model. */
  #hasAnswers: boolean;
  #reason: string | null = null;
  #unrecorded = 0;

  constructor({ after, hasSucceeded }: EarlyStopOptions) {
    this.#after = after;
    this.#hasSucceeded = hasSucceeded;
    this.#hasAnswers = hasSucceeded;
  }

  /** Why the run stops, in words; null while it goes on. */
  get reason(): string | null {
    return this.#reason;
  }

  /** Aborts when the run stops: no further task may begin. */
  get signal(): AbortSignal {
    return this.#stopped.signal;
  }

  /** Number of ends that have arrived and are not recorded. */
  get unrecorded(): number {
    return this.#unrecorded;
  }

  /**
   * Takes an end while `inFlight` other tasks are in flight. Returns the ends that are to be
   * recorded now, in the order of their arrival.
   */
  take(arrived: Arrived, inFlight: number): readonly Arrived[] {
    if (this.#after === 0) return [arrived];
    const freed = this.#freeDisproved(arrived.end);
    const cause = this.#causeOf(arrived.end);
    if (cause === null) return [...freed, arrived];
    this.#unrecorded++;
    if (this.#reason !== null) return freed;
    const group = this.#groups.get(cause.key) ?? { held: [], role: cause.role };
    this.#groups.set(cause.key, group);
    group.held.push(arrived);
    // Tasks without an answer end before the others do, so these are waited for.
    const enough = group.role === null ? Math.max(this.#after, inFlight) : this.#after;
    if (group.held.length >= enough) this.#stop(group);
    return freed;
  }

  /** Returns the held ends that are to be recorded when every task of the run has ended. */
  finish(): readonly Arrived[] {
    const groups = [...this.#groups.values()];
    const lasting = groups.find(({ held }) => LASTING.has(held[0]?.end.ending.error?.code ?? ""));
    if (lasting !== undefined && !this.#hasSucceeded) this.#stop(lasting);
    return this.#free(() => true);
  }

  /** Frees the ends whose role has answered since the first of them arrived. */
  #freeDisproved({ task, ending }: EndMessage): Arrived[] {
    this.#hasSucceeded ||= ending.status === "ok" && !isUnanswered(ending.stopReason);
    this.#hasAnswers ||= this.#hasSucceeded || hasWholeAnswer(task, ending);
    if (this.#groups.size === 0) return [];
    return this.#free(({ role, held }) => {
      if (role === null) return this.#hasAnswers;
      const since = held[0]?.times.endedAt ?? 0;
      return task.history.some(
        (hop) =>
          hop.role === role && hop.error === undefined && Date.parse(hop.at) + hop.run_ms >= since,
      );
    });
  }

  #free(isFree: (group: Group) => boolean): Arrived[] {
    const freed: Arrived[] = [];
    for (const [key, group] of this.#groups) {
      if (!isFree(group)) continue;
      this.#groups.delete(key);
      for (const one of group.held) freed.push(one);
    }
    this.#unrecorded -= freed.length;
    return freed;
  }

  /** The group of an end that no row may be able to change; null for any other end. */
  #causeOf({ ending }: EndMessage): { readonly key: string; readonly role: string | null } | null {
    const { code = "", role = null } = ending.error ?? {};
    if (HOPELESS.has(code)) return { key: `${code} in ${role}`, role };
    const isUnansweredTask = isUnanswered(ending.stopReason) || NO_ANSWER.has(code);
    return isUnansweredTask && !this.#hasAnswers ? { key: UNANSWERED, role: null } : null;
  }

  #stop(group: Group): void {
    this.#reason = reasonOf(group);
    this.#groups.clear();
    this.#stopped.abort();
  }
}

/** True when a model answered before the step that ended the task without an answer. */
function hasWholeAnswer({ history }: EndMessage["task"], { stopReason }: EndMessage["ending"]) {
  const answers = history.filter(({ model, error }) => model !== undefined && error === undefined);
  return answers.length > (isUnanswered(stopReason) ? 1 : 0);
}

function reasonOf({ held, role }: Group): string {
  const last = held.at(-1)?.end.ending;
  const kind = last?.error?.code ?? last?.stopReason ?? "";
  const said = last?.error == null ? "" : `: ${last.error.message}`;
  const where = last?.error?.role == null ? "" : ` in ${last.error.role}`;
  const count = held.length === 1 ? "1 task" : `${held.length} tasks`;
  const what =
    role === null
      ? `no task has a whole answer, and ${count} ended, the last with`
      : `${count} ended alike, with`;
  return `${what} ${kind}${where}${said} (${EARLY_STOP_HELP[kind] ?? "see the log"})`;
}
