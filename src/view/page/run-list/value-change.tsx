// Two values with what differs marked, word by word.

import { diffWordsWithSpace } from "diff";
import { visibleText } from "../parts/visible.tsx";

/** The comparison takes the square of the length in the worst case. */
const CHARS_MAX = 20_000;

export function ValueChange({ a, b }: { readonly a: string | null; readonly b: string | null }) {
  return (
    <div class="change">
      <Side sign="−" label="baseline" own={a} other={b} isOld />
      <Side sign="+" label="other" own={b} other={a} isOld={false} />
    </div>
  );
}

function Side({
  sign,
  label,
  own,
  other,
  isOld,
}: {
  readonly sign: string;
  readonly label: string;
  readonly own: string | null;
  readonly other: string | null;
  readonly isOld: boolean;
}) {
  return (
    <p class={isOld ? "change-old" : "change-new"}>
      <span aria-hidden="true">{sign}</span>
      <span class="visually-hidden">{label}: </span>
      {own === null ? (
        <span class="muted">not set</span>
      ) : (
        <span class="change-text">
          <Marked a={isOld ? own : (other ?? "")} b={isOld ? (other ?? "") : own} isOld={isOld} />
        </span>
      )}
    </p>
  );
}

function Marked({
  a,
  b,
  isOld,
}: {
  readonly a: string;
  readonly b: string;
  readonly isOld: boolean;
}) {
  const own = isOld ? a : b;
  if (a.length + b.length > CHARS_MAX) return <>{visibleText(own)}</>;
  const parts = diffWordsWithSpace(a, b).filter((part) => (isOld ? !part.added : !part.removed));
  return (
    <>
      {parts.map((part, index) =>
        part.added || part.removed ? (
          <mark key={index}>{visibleText(part.value)}</mark>
        ) : (
          visibleText(part.value)
        ),
      )}
    </>
  );
}
