// The differences between two records: member by member, and hop by hop.

import type { Json } from "../../task/json.ts";
import { chatContent, type TrajectoryRecord } from "../../task/record.ts";
import type { Hop } from "../../task/task.ts";
import { renderTable } from "./table.ts";

export interface Difference {
  /** A member such as "score", or a hop such as "hop 3 (teacher)". */
  readonly where: string;
  /** Null where a record does not have it. */
  readonly a: string | null;
  readonly b: string | null;
}

const MEMBERS = [
  "id",
  "trial",
  "seed",
  "attempt",
  "status",
  "stop_reason",
  "score",
  "cost",
] as const;
/** Characters of a value that are shown unless all of it is wanted. */
const SHOWN = 60;

export function recordDifferences(a: TrajectoryRecord, b: TrajectoryRecord): readonly Difference[] {
  const found: Difference[] = [];
  const compare = (where: string, left: unknown, right: unknown): void => {
    const [x, y] = [textOf(left), textOf(right)];
    if (x !== y) found.push({ where, a: x, b: y });
  };
  for (const name of MEMBERS) compare(name, a[name], b[name]);
  compare("error", a.error?.code, b.error?.code);
  compare("error.message", a.error?.message, b.error?.message);
  for (const name of ["row", "outcome"] as const) {
    const [left, right] = [a[name] ?? {}, b[name] ?? {}];
    for (const key of new Set([...Object.keys(left), ...Object.keys(right)]))
      compare(`${name}.${key}`, left[key], right[key]);
  }
  for (let n = 0; n < Math.max(a.history.length, b.history.length); n++) {
    const [left, right] = [a.history[n], b.history[n]];
    const roles = [...new Set([left?.role, right?.role])].filter((role) => role !== undefined);
    compare(`hop ${n} (${roles.join(" / ")})`, saidIn(left), saidIn(right));
  }
  compare("hops", a.history.length, b.history.length);
  return found;
}

function saidIn(hop: Hop | undefined): Json | undefined {
  if (hop === undefined) return undefined;
  return chatContent(hop.result) ?? hop.result;
}

function textOf(value: unknown): string | null {
  if (value === undefined || value === null) return null;
  return typeof value === "string" ? value : JSON.stringify(value);
}

export function renderDifferences(differences: readonly Difference[], full: boolean): string {
  if (differences.length === 0) return "both records say the same";
  if (full)
    return differences
      .map(({ where, a, b }) => `${where}\n- ${a ?? "–"}\n+ ${b ?? "–"}`)
      .join("\n\n");
  const rows = differences.map(({ where, a, b }) => {
    const from = firstDifference(a ?? "", b ?? "");
    return [where, excerpt(a, from), excerpt(b, from)];
  });
  return renderTable([["differs", "first", "second"], ...rows], () => true);
}

function firstDifference(a: string, b: string): number {
  let at = 0;
  while (at < a.length && a[at] === b[at]) at++;
  return at;
}

/** The part of a text around the place where it differs, on one line. */
function excerpt(text: string | null, differsAt: number): string {
  if (text === null) return "–";
  const from = text.length <= SHOWN ? 0 : Math.max(0, Math.min(differsAt, text.length) - SHOWN / 3);
  const start = Math.floor(from);
  const part = text.slice(start, start + SHOWN).replace(/\s+/g, " ");
  return `${start > 0 ? "…" : ""}${part}${start + SHOWN < text.length ? "…" : ""}`;
}
