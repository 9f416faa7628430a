// Which records become examples: those that are ok and answered, pass the filter and the score, have a turn to train on, and are not
// there already. Each that is left out counts under the first reason.

import { MatrixError, messageOf } from "../error.ts";
import type { Expression } from "../recipe/expression.ts";
import { IdSet } from "../task/id-set.ts";
import type { JsonObject } from "../task/json.ts";
import type { TrajectoryRecord } from "../task/record.ts";
import { isUnanswered, type Unanswered } from "../task/task.ts";
import type { Conversation } from "./contract.ts";
import { NearDuplicates } from "./near-duplicates.ts";

export interface SelectionRules {
  /** Why answers are not whole that are wanted all the same. */
  readonly include: ReadonlySet<Unanswered>;
  /** Over the record. */
  readonly filter: Expression | null;
  readonly minScore: number | null;
  readonly dedupe: "exact" | "near" | null;
}

/** In the order in which they are looked at. */
export const LEFT_OUT = [
  "not_ok",
  "unanswered",
  "filtered",
  "below_min_score",
  "no_trained_turn",
  "duplicate",
  "near_duplicate",
] as const;
export type LeftOut = (typeof LEFT_OUT)[number];

export class Selection {
  readonly #rules: SelectionRules;
  readonly #seen = new IdSet();
  readonly #near = new NearDuplicates();

  constructor(rules: SelectionRules) {
    this.#rules = rules;
  }

  /** By what the record says of itself. */
  judge(record: TrajectoryRecord): LeftOut | null {
    const { filter, minScore } = this.#rules;
    const { status, stop_reason: reason } = record;
    if (status !== "ok") return "not_ok";
    if (isUnanswered(reason) && !this.takes([reason])) return "unanswered";
    if (filter !== null && !passes(filter, record)) return "filtered";
    if (minScore !== null && (record.score === null || record.score < minScore))
      return "below_min_score";
    return null;
  }

  /** Whether each of these was asked for. */
  takes(reasons: readonly Unanswered[]): boolean {
    return reasons.every((reason) => this.#rules.include.has(reason));
  }

  /** By what was selected before: of duplicates, the first stays. */
  admit(conversation: Conversation): LeftOut | null {
    const { dedupe } = this.#rules;
    if (dedupe === null) return null;
    if (!this.#seen.add(textOf(conversation))) return "duplicate";
    return dedupe === "near" && !this.#near.add(spokenText(conversation)) ? "near_duplicate" : null;
  }
}

function passes(filter: Expression, record: TrajectoryRecord): boolean {
  try {
    return filter(record as unknown as JsonObject) === true;
  } catch (cause) {
    const where = `row ${record.id}, trial ${record.trial}`;
    throw new MatrixError(
      "usage",
      `--filter cannot be evaluated for ${where}: ${messageOf(cause)}`,
      {
        cause,
        hint: "has(row.name) tells whether a field is there",
      },
    );
  }
}

/** All that an example teaches; ids of calls, which are drawn at random, are no part of it. */
function textOf({ turns, tools }: Conversation): string {
  const said = turns.map(({ role, content, tool_calls: calls, trained }) => [
    role,
    content,
    calls?.map(({ function: call }) => call),
    trained,
  ]);
  return JSON.stringify([said, tools]);
}

/** Without the system prompt, which examples of one recipe share. */
function spokenText({ turns }: Conversation): string {
  const spoken = turns.filter(({ role }) => role !== "system");
  return spoken
    .flatMap(({ content, tool_calls: calls = [] }) => [
      content ?? "",
      ...calls.map(({ function: call }) => call.arguments),
    ])
    .join("\n");
}
