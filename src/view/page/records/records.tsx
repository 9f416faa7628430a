// The records of a run: filter, search, order, and a list of any length.

import type { RunAnswer, RunCard, ScanProgress } from "../../api.ts";
import { address, setQuery } from "../address.ts";
import { count, plural } from "../format.ts";
import { Icon } from "../parts/icon.tsx";
import { Empty, Problem, Skeleton } from "../parts/states.tsx";
import { visibleText } from "../parts/visible.tsx";
import { ColumnMenu } from "./column-menu.tsx";
import { columnsOf } from "./columns.tsx";
import { Filters } from "./filters.tsx";
import { type RecordPages, useRecordPages } from "./pages.ts";
import { activeFilters, clearFilters, recordQuery } from "./query.ts";
import { RecordTable } from "./table.tsx";

interface Props {
  readonly answer: RunAnswer;
  readonly card: RunCard;
  readonly run: string;
}

export function RecordsTab({ answer, card, run }: Props) {
  const query = recordQuery();
  const { pages, isStale, isWhole } = useRecordPages(run, query);
  const shapes = columnsOf(answer.columns);
  const hidden = hiddenColumns(shapes);
  const filters = activeFilters(query);
  return (
    <div class="records">
      <Filters answer={answer} card={card} query={query} />
      <div class="records-line">
        <Matches pages={pages} isFiltered={filters.length > 0} isWhole={isWhole} />
        {filters.map(({ name, label }) => (
          <button
            key={name}
            type="button"
            class="chip chip-button"
            aria-label={`Remove the filter ${label}`}
            onClick={() => setQuery({ [name]: undefined })}
          >
            <span class="chip-text">{visibleText(label)}</span>
            <Icon name="cross" size={11} />
          </button>
        ))}
        {filters.length > 1 && (
          <button type="button" class="button-link" onClick={() => clearFilters(query)}>
            clear all
          </button>
        )}
        <span class="grow" />
        <ColumnMenu shapes={shapes} hidden={hidden} />
      </div>
      <ScanLine pages={pages} />
      {pages.problem !== null ? (
        <Problem title="The records could not be listed" error={pages.problem} />
      ) : !pages.isReady ? (
        <Skeleton lines={12} />
      ) : pages.matched === 0 ? (
        <NoMatch
          isFiltered={filters.length > 0}
          isWhole={isWhole}
          state={pages.scan?.state ?? "none"}
          clear={() => clearFilters(query)}
        />
      ) : (
        <RecordTable
          {...{ run, pages, query, shapes, hidden, isStale }}
          recorded={card.counts.ok + card.counts.failed + card.counts.lost}
        />
      )}
    </div>
  );
}

/** Columns that the address hides; without a word there, those that are not usual. */
function hiddenColumns(shapes: ReturnType<typeof columnsOf>): ReadonlySet<string> {
  const given = address.value.query["hide"];
  if (given !== undefined) return new Set(given.split(","));
  return new Set(shapes.filter(({ isUsual }) => isUsual !== true).map(({ id }) => id));
}

interface MatchesProps {
  readonly pages: RecordPages;
  readonly isFiltered: boolean;
  readonly isWhole: boolean;
}

function Matches({ pages, isFiltered, isWhole }: MatchesProps) {
  return (
    <p class="matches number" aria-live="polite">
      {!pages.isReady
        ? " "
        : isFiltered
          ? `${count(pages.matched)}${isWhole ? "" : " so far"} of ${plural(pages.total, "record")}`
          : plural(pages.total, "record")}
    </p>
  );
}

function ScanLine({ pages }: { readonly pages: RecordPages }) {
  const { scan, query } = pages;
  if (query.q === undefined && query.where === undefined) return null;
  if (scan === null) return <div class="scan" />;
  const { state, read, total, errors, problem } = scan;
  return (
    <div class="scan">
      {state === "running" && (
        <>
          <progress
            class="progress progress-thin"
            max={Math.max(1, total)}
            value={read}
            aria-label="Records that were read"
          />
          <span class="number muted">
            read {count(read)} of {count(total)}
          </span>
          <button
            type="button"
            class="button-link"
            onClick={() => setQuery({ q: undefined, where: undefined })}
          >
            stop
          </button>
        </>
      )}
      {state === "done" && <span class="number muted">read all {plural(total, "record")}</span>}
      {problem !== null && (
        <span class="scan-problem" role="alert">
          <Icon name="alert" size={13} /> {visibleText(problem)}
        </span>
      )}
      {errors > 0 && (
        <span class="muted">
          The expression could not be evaluated on {plural(errors, "record")}.
        </span>
      )}
    </div>
  );
}

interface NoMatchProps {
  readonly isFiltered: boolean;
  readonly isWhole: boolean;
  readonly state: ScanProgress["state"];
  readonly clear: () => void;
}

function NoMatch({ isFiltered, isWhole, state, clear }: NoMatchProps) {
  if (!isFiltered) return <Empty title="There are no records yet" icon="clock" />;
  if (state === "failed") return null;
  if (!isWhole) return <Empty title="Nothing has matched so far" />;
  return (
    <Empty title="No record matches">
      <button type="button" class="button" onClick={clear}>
        Clear the filter
      </button>
    </Empty>
  );
}
