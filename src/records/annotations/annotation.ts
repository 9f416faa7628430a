// Annotations of people: a verdict, labels and a comment about a record. Each line of
// annotations.jsonl is one statement of one person. Of a person's statements about a record the
// latest counts, for each member by itself, so nothing is overwritten and the file tells the
// history.

import * as v from "valibot";
import { taskName } from "../superseded.ts";

const ANNOTATION_FORMAT = "matrix-annotation-1";

const CHARS_MAX = 200;
const LABELS_MAX = 50;
const COMMENT_CHARS_MAX = 20_000;

export const VERDICTS = ["accepted", "rejected"] as const;
export type Verdict = (typeof VERDICTS)[number];

const name = v.pipe(v.string(), v.trim(), v.nonEmpty(), v.maxLength(CHARS_MAX));

/** Members that a person may state. One that is left out leaves what was said before. */
export const statedEntries = {
  verdict: v.exactOptional(v.nullable(v.picklist(VERDICTS))),
  labels: v.exactOptional(v.pipe(v.array(name), v.maxLength(LABELS_MAX))),
  comment: v.exactOptional(v.pipe(v.string(), v.maxLength(COMMENT_CHARS_MAX))),
};

/** The person and the record of a statement. */
export const subjectEntries = {
  who: name,
  id: v.string(),
  trial: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
};

const lineSchema = v.object({
  format: v.literal(ANNOTATION_FORMAT),
  /** RFC 3339 in UTC. */
  at: v.string(),
  ...subjectEntries,
  /** The attempt of the record that the person saw: a retry makes another record of the task. */
  attempt: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  ...statedEntries,
});

/** One statement, as a line of the file. */
export type Statement = Omit<v.InferOutput<typeof lineSchema>, "format">;

/** The latest statements of one person about a record. */
export interface Annotation {
  readonly who: string;
  readonly id: string;
  readonly trial: number;
  readonly attempt: number;
  /** The time of the latest statement. */
  readonly at: string;
  readonly verdict: Verdict | null;
  readonly labels: readonly string[];
  readonly comment: string;
}

/** The line of a statement, with its newline. */
export function lineOf(statement: Statement): string {
  return `${JSON.stringify({ format: ANNOTATION_FORMAT, ...statement })}\n`;
}

/** The statement in a line; null for a line that is not a statement. */
export function parseStatement(line: string): Statement | null {
  try {
    const result = v.safeParse(lineSchema, JSON.parse(line));
    return result.success ? result.output : null;
  } catch {
    return null;
  }
}

/** The latest statements of all people. */
export class Annotations {
  /** By the name of the task, and then by person. */
  readonly #byTask = new Map<string, Map<string, Annotation>>();

  add(statement: Statement): Annotation {
    const { who, id, trial, attempt, at, verdict, labels, comment } = statement;
    const task = taskName(id, trial);
    const people = this.#byTask.get(task) ?? new Map<string, Annotation>();
    this.#byTask.set(task, people);
    const before = people.get(who);
    // Statements about a record that a retry has replaced do not hold for the new one.
    const kept = before?.attempt === attempt ? before : null;
    const annotation = {
      ...{ who, id, trial, attempt, at },
      verdict: verdict === undefined ? (kept?.verdict ?? null) : verdict,
      labels: labels ?? kept?.labels ?? [],
      comment: comment ?? kept?.comment ?? "",
    };
    people.set(who, annotation);
    return annotation;
  }

  /**
   * The latest statements of each person about a record, in the order in which they first spoke.
   */
  of(id: string, trial: number): readonly Annotation[] {
    return [...(this.#byTask.get(taskName(id, trial))?.values() ?? [])];
  }

  *[Symbol.iterator](): IterableIterator<Annotation> {
    for (const people of this.#byTask.values()) yield* people.values();
  }
}

/** The verdict of all people on a record: `disputed` when they differ, null without any. */
export function verdictOf(annotations: readonly Annotation[]): Verdict | "disputed" | null {
  const verdicts = new Set(annotations.flatMap(({ verdict }) => verdict ?? []));
  const [verdict = null] = verdicts;
  return verdicts.size > 1 ? "disputed" : verdict;
}

/** The labels that people gave a record, each once. */
export function labelsOf(annotations: readonly Annotation[]): readonly string[] {
  return [...new Set(annotations.flatMap(({ labels }) => labels))].sort();
}
