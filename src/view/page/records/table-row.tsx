// A row of the list of records. All of it is one link to the record.

import type { ComponentChildren } from "preact";
import type { RecordQuery, RecordRow, ScanHit } from "../../api.ts";
import { href } from "../address.ts";
import { visibleText } from "../parts/visible.tsx";

interface Props {
  readonly run: string;
  readonly query: RecordQuery;
  readonly index: number;
  /** The record; null while its page is on the way. */
  readonly record: RecordRow | null;
  readonly cells: readonly ShownCell[] | null;
  readonly top: number;
  readonly isAt: boolean;
  readonly hit: ScanHit | null;
}

interface ShownCell {
  readonly id: string;
  readonly isNumber: boolean;
  readonly content: ComponentChildren;
}

export function TableRow({ run, query, index, record, cells, top, isAt, hit }: Props) {
  const style = { transform: `translateY(${top}px)` };
  if (record === null || cells === null)
    return (
      <div class="grid-row is-waiting" style={style} aria-hidden="true">
        <span class="skeleton-line skeleton-1" />
      </div>
    );
  const to = href(["run", run, "record", record.id, record.trial], { ...query });
  return (
    // biome-ignore lint/a11y/useSemanticElements: rows of a table cannot be placed by their number.
    // biome-ignore lint/a11y/useFocusableInteractive: its link is the control.
    <div
      role="row"
      class={`grid-row${isAt ? " is-at" : ""}`}
      style={style}
      aria-rowindex={index + 2}
    >
      {cells.map(({ id, isNumber, content }) => (
        // biome-ignore lint/a11y/useSemanticElements: as above.
        <div key={id} role="cell" class={`grid-cell${isNumber ? " right number" : ""}`}>
          {id === "id" ? (
            <>
              <a class="row-link" href={to}>
                {content}
              </a>
              {hit?.snippet != null && <Snippet snippet={hit.snippet} />}
            </>
          ) : (
            content
          )}
        </div>
      ))}
    </div>
  );
}

function Snippet({ snippet }: { readonly snippet: NonNullable<ScanHit["snippet"]> }) {
  const { text, from, to } = snippet;
  const before = text.slice(Math.max(0, from - 24), from);
  return (
    <span class="snippet">
      …{visibleText(before)}
      <mark>{visibleText(text.slice(from, to))}</mark>
      {visibleText(text.slice(to))}
    </span>
  );
}
