// The columns of the list of records.

import {
  columnSizingFeature,
  columnVisibilityFeature,
  createColumnHelper,
  tableFeatures,
} from "@tanstack/preact-table";
import type { ComponentChildren } from "preact";
import type { Cell, Column, RecordRow, SortKey } from "../../api.ts";
import { bytes, clock, compact, count, duration, money, score } from "../format.ts";
import { StatusBadge, VerdictBadge } from "../parts/badge.tsx";
import { Icon } from "../parts/icon.tsx";
import { visibleText } from "../parts/visible.tsx";

export const features = tableFeatures({ columnVisibilityFeature, columnSizingFeature });

interface Shape {
  readonly id: string;
  readonly title: string;
  readonly width: number;
  readonly show: (row: RecordRow) => ComponentChildren;
  readonly isNumber?: boolean;
  /** Columns that are shown unless the user hides them. */
  readonly isUsual?: boolean;
  readonly sort?: SortKey;
}

const helper = createColumnHelper<typeof features, RecordRow>();

const SHAPES: readonly Shape[] = [
  {
    ...{ id: "id", title: "Row", width: 220, sort: "id", isUsual: true },
    show: (row) => <span class="cell-id">{visibleText(row.id)}</span>,
  },
  {
    ...{ id: "trial", title: "Trial", width: 64, sort: "trial", isUsual: true, isNumber: true },
    show: (row) => row.trial,
  },
  {
    ...{ id: "status", title: "Status", width: 92, sort: "status", isUsual: true },
    show: (row) => <StatusBadge status={row.status} />,
  },
  {
    ...{ id: "stop", title: "Ended by", width: 160, sort: "stop", isUsual: true },
    show: (row) =>
      row.error === null ? (
        visibleText(row.stop)
      ) : (
        <span class="tone-failed">{visibleText(row.error)}</span>
      ),
  },
  {
    ...{ id: "score", title: "Score", width: 76, sort: "score", isUsual: true, isNumber: true },
    show: (row) => score(row.score),
  },
  {
    ...{ id: "turns", title: "Turns", width: 70, sort: "turns", isUsual: true, isNumber: true },
    show: (row) => count(row.turns),
  },
  {
    ...{ id: "tokens", title: "Tokens", width: 84, sort: "tokens", isUsual: true, isNumber: true },
    show: (row) => compact(row.tokens),
  },
  {
    ...{ id: "cost", title: "Cost", width: 84, sort: "cost", isUsual: true, isNumber: true },
    show: (row) => money(row.cost),
  },
  {
    ...{ id: "ms", title: "Latency", width: 96, sort: "ms", isUsual: true, isNumber: true },
    show: (row) => duration(row.ms),
  },
  {
    ...{ id: "ended", title: "Ended at", width: 164, sort: "ended", isNumber: true },
    show: (row) => clock(row.ended),
  },
  {
    ...{ id: "bytes", title: "Size", width: 84, isNumber: true },
    show: (row) => bytes(row.bytes),
  },
  {
    ...{ id: "people", title: "People", width: 176, isUsual: true },
    show: (row) => <People row={row} />,
  },
];

function People({ row }: { readonly row: RecordRow }) {
  return (
    <span class="cell-people">
      {row.verdict !== null && <VerdictBadge verdict={row.verdict} />}
      {row.labels.slice(0, 2).map((label) => (
        <span key={label} class="chip">
          {visibleText(label)}
        </span>
      ))}
      {row.comments > 0 && (
        <span class="muted" title={`${row.comments} comments`}>
          <Icon name="comment" size={13} /> {row.comments}
        </span>
      )}
    </span>
  );
}

export interface ShownColumn extends Shape {
  readonly sort?: SortKey;
}

/** All columns of a run; the own columns of its recipe stand before the people. */
export function columnsOf(own: readonly Column[]): readonly ShownColumn[] {
  const extra = own.map(
    ({ name, type }, index): Shape => ({
      ...{ id: `col.${name}`, title: name, width: 130, isUsual: true, sort: `col.${name}` },
      isNumber: type === "number",
      show: (row) => cellText(row.columns[index] ?? null, type),
    }),
  );
  return [...SHAPES.slice(0, -1), ...extra, ...SHAPES.slice(-1)];
}

function cellText(cell: Cell, type: Column["type"]): string {
  if (cell === null) return "–";
  if (typeof cell === "number" && type === "number") return score(cell);
  return visibleText(String(cell));
}

/** The columns as the table takes them: the cell that each draws, and its first width. */
export function tableColumns(shapes: readonly ShownColumn[]) {
  return helper.columns(
    shapes.map(({ id, width, show, title }) =>
      helper.display({ id, size: width, header: title, cell: ({ row }) => show(row.original) }),
    ),
  );
}
