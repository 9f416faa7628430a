// The views that are there before, beside and instead of content.

import type { ComponentChildren } from "preact";
import { bytes } from "../format.ts";
import type { Loaded } from "../loaded.ts";
import { opening } from "../source/opening.ts";
import { Icon, type IconName } from "./icon.tsx";
import { visibleText } from "./visible.tsx";

export function Empty({
  icon = "search",
  title,
  children,
}: {
  readonly icon?: IconName;
  readonly title: string;
  readonly children?: ComponentChildren;
}) {
  return (
    <div class="empty">
      <span class="empty-icon">
        <Icon name={icon} size={22} />
      </span>
      <p class="empty-title">{title}</p>
      {children !== undefined && <div class="empty-text">{children}</div>}
    </div>
  );
}

export function Problem({
  title,
  error,
  retry,
}: {
  readonly title: string;
  readonly error: Error;
  readonly retry?: (() => void) | undefined;
}) {
  return (
    <div class="problem" role="alert">
      <Icon name="alert" />
      <div>
        <p class="problem-title">{title}</p>
        <p class="problem-text">{error.message}</p>
      </div>
      {retry !== undefined && (
        <button type="button" class="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

export function Note({
  tone = "warn",
  children,
}: {
  readonly tone?: "warn" | "failed" | "plain";
  readonly children: ComponentChildren;
}) {
  return (
    <p class={`note note-${tone}`}>
      <Icon name={tone === "plain" ? "help" : "alert"} size={14} />
      <span>{children}</span>
    </p>
  );
}

/** Remarks about the data, together in one place. */
export function Notes({ notes }: { readonly notes: readonly string[] }) {
  if (notes.length === 0) return null;
  return (
    <div class="note note-warn">
      <Icon name="alert" size={14} />
      <ul>
        {notes.map((note) => (
          <li key={note}>{visibleText(note)}</li>
        ))}
      </ul>
    </div>
  );
}

/** Grey lines in the place of content that is on its way. */
export function Skeleton({ lines = 6 }: { readonly lines?: number }) {
  return (
    <div class="skeleton" role="status" aria-label="Loading">
      {Array.from({ length: lines }, (_, index) => (
        <span key={index} class={`skeleton-line skeleton-${index % 4}`} />
      ))}
    </div>
  );
}

function OpeningProgress() {
  if (opening.value === null) return null;
  const { read, total } = opening.value;
  return (
    <div class="opening">
      <span class="number">
        Reading the records for the first time: {bytes(read)} of {bytes(total)}
      </span>
      <progress class="progress" max={Math.max(1, total)} value={read} aria-label="Bytes read" />
    </div>
  );
}

/** Shows a value that loads: a skeleton, the fault, or the content. */
export function When<T>({
  loaded,
  what,
  lines,
  children,
}: {
  readonly loaded: Loaded<T>;
  /** The noun in "… could not be read". */
  readonly what: string;
  readonly lines?: number;
  readonly children: (value: T) => ComponentChildren;
}) {
  const { value, problem, reload } = loaded;
  if (value !== null) return <>{children(value)}</>;
  if (problem !== null)
    return <Problem title={`${what} could not be read`} error={problem} retry={reload} />;
  return (
    <>
      <OpeningProgress />
      <Skeleton lines={lines ?? 6} />
    </>
  );
}
