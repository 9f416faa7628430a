// One row of the index as an object, for lists that show some of them.

import type { StopReason, Usage } from "../../task/task.ts";
import { DOUBLE, FLAG_SIMULATED, ROW_DOUBLES, ROW_WORDS, STATUSES, WORD } from "./layout.ts";
import type { Rows } from "./stored-index.ts";
import type { StringTable } from "./string-table.ts";

/** One record, as lists show it. */
export interface IndexRow {
  readonly id: string;
  readonly trial: number;
  readonly attempt: number;
  readonly status: "ok" | "failed" | "lost";
  readonly stopReason: StopReason;
  readonly score: number | null;
  /** `message` is shortened, and ids and long numbers are left out of it. */
  readonly error: {
    readonly code: string;
    readonly role: string | null;
    readonly hop: number | null;
    readonly message: string;
  } | null;
  readonly hops: number;
  readonly models: readonly string[];
  readonly simulated: boolean;
  readonly usage: Usage;
  readonly cost: number | null;
  /** Milliseconds since the epoch. */
  readonly admittedAt: number;
  readonly endedAt: number;
  readonly totalMs: number;
  readonly queueMs: number;
  readonly runMs: number;
  /** Bytes of the record's line. */
  readonly bytes: number;
}

export function rowFrom(rows: Rows, at: number, strings: StringTable, id: string): IndexRow {
  const word: Word = (name) => rows.words[at * ROW_WORDS + WORD[name]] ?? 0;
  const double = (name: keyof typeof DOUBLE) =>
    rows.doubles[at * ROW_DOUBLES + DOUBLE[name]] ?? Number.NaN;
  const string = (name: keyof typeof WORD) => strings.at(word(name));
  const models = string("models");
  return {
    id,
    trial: word("trial"),
    attempt: word("attempt"),
    status: STATUSES[word("kinds") & 0xff] ?? "lost",
    stopReason: string("stop_reason") as StopReason,
    score: orNull(double("score")),
    error: errorOf(word, string),
    hops: word("hops"),
    models: models === "" ? [] : models.split("\n"),
    simulated: ((word("kinds") >> 8) & FLAG_SIMULATED) !== 0,
    usage: usageOf(word, double("stated_cost")),
    cost: orNull(double("cost")),
    admittedAt: double("admitted_at"),
    endedAt: double("ended_at"),
    totalMs: double("total_ms"),
    queueMs: double("queue_ms"),
    runMs: double("run_ms"),
    bytes: word("bytes"),
  };
}

type Word = (name: keyof typeof WORD) => number;

function errorOf(word: Word, string: (name: keyof typeof WORD) => string): IndexRow["error"] {
  if (word("error") === 0) return null;
  const role = string("role");
  const hop = word("kinds") >>> 16;
  return {
    code: string("error"),
    role: role === "" ? null : role,
    hop: hop === 0 ? null : hop - 1,
    message: string("message"),
  };
}

function usageOf(word: Word, statedCost: number): Usage {
  const detail = (name: keyof typeof WORD) => (word(name) === 0 ? {} : { [name]: word(name) });
  return {
    requests: word("requests"),
    prompt_tokens: word("prompt_tokens"),
    completion_tokens: word("completion_tokens"),
    ...detail("cached_tokens"),
    ...detail("cache_write_tokens"),
    ...detail("reasoning_tokens"),
    ...detail("failed_requests"),
    ...detail("estimated_requests"),
    ...(statedCost === 0 ? {} : { stated_cost: statedCost }),
  };
}

function orNull(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}
