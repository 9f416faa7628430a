// Long content shows its beginning, and all of it on demand.

import type { ComponentChildren } from "preact";
import { useContext } from "preact/hooks";
import { compact } from "../format.ts";
import { OpenFolds } from "./open-folds.ts";

const CHARS_MAX = 5_000;
const LINES_MAX = 60;

export function Fold({
  size,
  lines,
  children,
}: {
  readonly size: number;
  readonly lines: number;
  readonly children: ComponentChildren;
}) {
  const folds = useContext(OpenFolds);
  if (size <= CHARS_MAX && lines <= LINES_MAX) return <>{children}</>;
  const { isOpen, toggle } = folds;
  return (
    <div class={`fold${isOpen ? " is-open" : ""}`}>
      <div class="fold-content">{children}</div>
      <button type="button" class="button fold-button" aria-expanded={isOpen} onClick={toggle}>
        {isOpen ? "Show less" : `Show all ${compact(size)} characters`}
      </button>
    </div>
  );
}
