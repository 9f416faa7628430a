// Lists of records, and of failures by their messages.

import type { ErrorGroup } from "../../view/api.ts";
import type { RecordList } from "../show/selection.ts";
import { formatDuration, grouped } from "./figures.ts";
import { renderTable } from "./table.ts";

const HEAD = ["id", "trial", "status", "stop", "error", "score", "turns", "tokens", "cost", "took"];
const LEFT = new Set(["id", "status", "stop", "error"]);
const EXAMPLES_SHOWN = 3;

export function renderList({ matched, total, rows }: RecordList): string {
  const table = rows.map((row) => [
    row.id,
    String(row.trial),
    row.status,
    row.stop,
    row.error ?? "",
    row.score === null ? "–" : String(row.score),
    grouped(row.turns),
    grouped(row.tokens),
    row.cost === null ? "–" : String(row.cost),
    formatDuration(row.ms),
  ]);
  const counts = `${grouped(rows.length)} of ${grouped(matched)} that match, of ${grouped(total)} records`;
  if (rows.length === 0) return counts;
  return [renderTable([HEAD, ...table], (column) => LEFT.has(HEAD[column] ?? "")), counts].join(
    "\n",
  );
}

export function renderGroups(groups: readonly ErrorGroup[]): string {
  if (groups.length === 0) return "no failures";
  const head = ["records", "error", "message", "such as"];
  const rows = groups.map(({ count, code, message, examples }) => [
    grouped(count),
    code,
    message,
    examples
      .slice(0, EXAMPLES_SHOWN)
      .map(({ id, trial }) => (trial === 0 ? id : `${id} --trial ${trial}`))
      .join(", "),
  ]);
  return renderTable([head, ...rows], (column) => column > 0);
}
