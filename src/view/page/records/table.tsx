// The list of records. Only the rows on the screen are drawn, so its length does not matter.

import { useTable } from "@tanstack/preact-table";
import { useEffect, useMemo, useRef } from "preact/hooks";
import type { RecordQuery, RecordRow } from "../../api.ts";
import { Icon } from "../parts/icon.tsx";
import { heightOf, useVirtual } from "../parts/virtual.ts";
import { visibleText } from "../parts/visible.tsx";
import { features, type ShownColumn, tableColumns } from "./columns.tsx";
import { useCursor } from "./cursor.ts";
import type { RecordPages } from "./pages.ts";
import { toggleSort } from "./query.ts";
import { TableRow } from "./table-row.tsx";

const ROW_PIXELS = 36;

interface Props {
  readonly run: string;
  readonly pages: RecordPages;
  readonly query: RecordQuery;
  readonly shapes: readonly ShownColumn[];
  readonly hidden: ReadonlySet<string>;
  readonly isStale: boolean;
  /** Records that the run has now; the rows are read again when it grows. */
  readonly recorded: number;
}

export function RecordTable({ run, pages, query, shapes, hidden, isStale, recorded }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const count = pages.matched;
  const pixels = (count + 1) * ROW_PIXELS;
  const list = useVirtual(
    { count, scroller, sizeOf: () => ROW_PIXELS, above: ROW_PIXELS, overscan: 12 },
    pixels,
  );
  const items = list.getVirtualItems();
  const [first, last] = [items[0]?.index ?? 0, items.at(-1)?.index ?? 0];
  useEffect(() => pages.want(first, last), [pages, first, last]);
  useGrowth(recorded, () => pages.refresh(first, last));
  const at = useCursor(run, pages, (index) => list.scrollToIndex(index));
  const rows = items.flatMap(({ index }) => pages.at(index) ?? []);
  const { cells, visible } = useModel(shapes, hidden, rows);
  // In a scaled list the rows stand where the scroller is, not where they would be.
  const isScaled = heightOf(pixels) < pixels;
  const shift = isScaled ? (scroller.current?.scrollTop ?? 0) - (list.scrollOffset ?? 0) : 0;
  return (
    // biome-ignore lint/a11y/useSemanticElements: rows of a table cannot be placed by their number.
    <div
      ref={scroller}
      class={`grid-table${isStale ? " is-stale" : ""}`}
      role="table"
      aria-rowcount={count + 1}
      aria-label="Records"
      style={{ "--columns": template(visible, query.q === undefined ? "people" : "id") }}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keys.
      tabIndex={0}
    >
      <Heads shapes={visible} query={query} />
      {/* biome-ignore lint/a11y/useSemanticElements: as above. */}
      <div
        class="grid-body"
        role="rowgroup"
        style={{ height: `${heightOf(count * ROW_PIXELS)}px` }}
      >
        {items.map(({ index, start }) => (
          <TableRow
            key={index}
            {...{ run, query, index }}
            record={pages.at(index)}
            cells={cells.get(pages.at(index)?.n ?? -1) ?? null}
            top={start - ROW_PIXELS + shift}
            isAt={index === at}
            hit={pages.snippets.get(pages.at(index)?.n ?? -1) ?? null}
          />
        ))}
      </div>
    </div>
  );
}

/** Calls a function when a number has changed since the first drawing. */
function useGrowth(recorded: number, changed: () => void): void {
  const before = useRef(recorded);
  useEffect(() => {
    if (before.current !== recorded) changed();
    before.current = recorded;
  }, [recorded]);
}

/** The table behind the list: which columns are shown, and the cells of the rows that are there. */
function useModel(shapes: readonly ShownColumn[], hidden: ReadonlySet<string>, rows: RecordRow[]) {
  const names = shapes.map(({ id }) => id).join("\n");
  const columns = useMemo(() => tableColumns(shapes), [names]);
  const columnVisibility = Object.fromEntries([...hidden].map((id) => [id, false]));
  const table = useTable({
    ...{ features, columns, data: rows },
    getRowId: (row) => String(row.n),
    state: { columnVisibility },
  });
  const shapeOf = new Map(shapes.map((shape) => [shape.id, shape]));
  const visible = table.getVisibleLeafColumns().flatMap(({ id }) => shapeOf.get(id) ?? []);
  const cells = new Map(
    table.getRowModel().rows.map((row) => [
      row.original.n,
      row.getVisibleCells().map((cell) => ({
        id: cell.column.id,
        isNumber: shapeOf.get(cell.column.id)?.isNumber === true,
        content: <table.FlexRender cell={cell} />,
      })),
    ]),
  );
  return { cells, visible };
}

/** The column that grows has the matches of a search, where there is one. */
function template(shapes: readonly ShownColumn[], growing: string): string {
  const grower = shapes.some(({ id }) => id === growing) ? growing : shapes.at(-1)?.id;
  return shapes
    .map(({ id, width }) => {
      // On a phone the other columns come into sight sooner.
      const least = id === "id" ? `min(${width}px, 34vw)` : `${width}px`;
      return id === grower ? `minmax(${width}px, 1fr)` : least;
    })
    .join(" ");
}

interface HeadsProps {
  readonly shapes: readonly ShownColumn[];
  readonly query: RecordQuery;
}

function Heads({ shapes, query }: HeadsProps) {
  return (
    // biome-ignore lint/a11y/useSemanticElements: rows of a table cannot be placed by their number.
    <div class="grid-head" role="rowgroup">
      {/* biome-ignore lint/a11y/useSemanticElements: as above. */}
      {/* biome-ignore lint/a11y/useFocusableInteractive: a row of heads is no control. */}
      <div class="grid-row" role="row" aria-rowindex={1}>
        {shapes.map((shape) => (
          <Head key={shape.id} shape={shape} query={query} />
        ))}
      </div>
    </div>
  );
}

function Head({ shape, query }: { readonly shape: ShownColumn; readonly query: RecordQuery }) {
  const { sort, title, isNumber } = shape;
  const isOn = sort !== undefined && query.sort === sort;
  const order = query.desc === "1" ? "descending" : "ascending";
  return (
    // biome-ignore lint/a11y/useSemanticElements: as above.
    // biome-ignore lint/a11y/useFocusableInteractive: its button is the control.
    <div
      role="columnheader"
      class={`grid-cell${isNumber === true ? " right" : ""}`}
      aria-sort={isOn ? order : undefined}
    >
      {sort === undefined ? (
        visibleText(title)
      ) : (
        <button type="button" class="sort" onClick={() => toggleSort(query, sort)}>
          {visibleText(title)}
          <span class={`sort-sign${isOn ? " is-on" : ""}`}>
            <Icon name={isOn && query.desc === "1" ? "down" : "up"} size={11} />
          </span>
        </button>
      )}
    </div>
  );
}
