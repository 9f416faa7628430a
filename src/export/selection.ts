// The rules by which records become examples. A record must be ok and wholly answered, pass the
// filter and the score, and have a turn to train on; duplicates are left out. A record that is left
// out counts under the first reason that applies.

import type { Expression } from "../recipe/expression/expression.ts";
import {
  Annotations,
  labelsOf,
  type Verdict,
  verdictOf,
} from "../records/annotations/annotation.ts";
import { IdSet } from "../task/id-set.ts";
import type { TrajectoryRecord } from "../task/record.ts";
import { isUnanswered, type Unanswered } from "../task/task.ts";
import type { Conversation, Turn } from "./contract.ts";
import { evaluated } from "./evaluated.ts";
import { NearDuplicates } from "./near-duplicates.ts";

export interface SelectionRules {
  /** Records whose answers are not whole for one of these reasons are selected too. */
  readonly include: ReadonlySet<Unanswered>;
  /** An expression over the record, which must be true. */
  readonly filter: Expression | null;
  /** The judgement that people must have given of a record; null for any. */
  readonly annotated: Judgement | null;
  /** The least score of a record. A record without a score is left out too. Null for no limit. */
  readonly minScore: number | null;
  readonly dedupe: "exact" | "near" | null;
}

/** A verdict without a contrary one, or a label that at least one person gave. */
export type Judgement = { readonly verdict: Verdict } | { readonly label: string };

/** Reasons for leaving a record out, in the order in which they are checked. */
export const LEFT_OUT = [
  "not_ok",
  "unanswered",
  "filtered",
  "not_annotated",
  "below_min_score",
  "no_trained_turn",
  "duplicate",
  "near_duplicate",
] as const;
export type LeftOut = (typeof LEFT_OUT)[number];

const NOTHING_SAID = new Annotations();

export class Selection {
  readonly #rules: SelectionRules;
  readonly #seen = new IdSet();
  readonly #near = new NearDuplicates();

  constructor(rules: SelectionRules) {
    this.#rules = rules;
  }

  /** Judges a record by its own members. Answers the reason for leaving it out, or null. */
  judge(record: TrajectoryRecord, annotations = NOTHING_SAID): LeftOut | null {
    const { filter, annotated, minScore } = this.#rules;
    const { status, stop_reason: reason } = record;
    if (status !== "ok") return "not_ok";
    if (isUnanswered(reason) && !this.takes([reason])) return "unanswered";
    if (filter !== null && !passes(filter, record)) return "filtered";
    if (annotated !== null && !isSaid(annotated, record, annotations)) return "not_annotated";
    if (minScore !== null && (record.score === null || record.score < minScore))
      return "below_min_score";
    return null;
  }

  /** True when the rules include each of these reasons. */
  takes(reasons: readonly Unanswered[]): boolean {
    return reasons.every((reason) => this.#rules.include.has(reason));
  }

  /** Judges a conversation by those before it: the first of several duplicates stays. */
  admit(conversation: Conversation): LeftOut | null {
    const { dedupe } = this.#rules;
    if (dedupe === null) return null;
    if (!this.#seen.add(textOf(conversation))) return "duplicate";
    return dedupe === "near" && !this.#near.add(spokenText(conversation)) ? "near_duplicate" : null;
  }
}

/** Words on a record that a retry has replaced do not count. */
function isSaid(
  wanted: Judgement,
  { id, trial, attempt }: TrajectoryRecord,
  annotations: Annotations,
): boolean {
  const said = annotations.of(id, trial).filter((annotation) => annotation.attempt === attempt);
  return "verdict" in wanted
    ? verdictOf(said) === wanted.verdict
    : labelsOf(said).includes(wanted.label);
}

function passes(expression: Expression, record: TrajectoryRecord): boolean {
  const hint = "has(row.name) is true when a row has the field";
  return evaluated({ flag: "--filter", expression, hint }, record) === true;
}

/** The text of all that an example teaches. */
function textOf({ turns, tools }: Conversation): string {
  return JSON.stringify([turns.map((turn) => [taughtBy(turn), turn.trained]), tools]);
}

/** The text of all that a turn says. Ids of calls are left out, because they are random. */
export function taughtBy(turn: Turn): string {
  const { role, content, reasoning_content: reasoning, tool_calls: calls, media } = turn;
  const called = calls?.map(({ function: call }) => call);
  return JSON.stringify([role, content, reasoning, called, media?.map(({ url }) => url)]);
}

/** The text of all turns but the system prompt, which all examples of a recipe share. */
function spokenText({ turns }: Conversation): string {
  const spoken = turns.filter(({ role }) => role !== "system");
  return spoken
    .flatMap(({ content, tool_calls: calls = [] }) => [
      content ?? "",
      ...calls.map(({ function: call }) => call.arguments),
    ])
    .join("\n");
}
