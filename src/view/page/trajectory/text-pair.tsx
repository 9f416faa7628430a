// The same step of two trials, with the words that differ marked.

import { diffWordsWithSpace } from "diff";
import { useMemo } from "preact/hooks";
import { visibleText } from "../parts/visible.tsx";
import type { RoleColours } from "./roles.ts";

/** Beyond this the comparison would hold the page up. */
const CHARS_MAX = 20_000;
const DIFF_MS_MAX = 50;
/** The share that two texts must have in common; with less, marks would cover everything. */
const COMMON_MIN = 0.25;

interface Props {
  readonly a: string | null;
  readonly b: string | null;
  readonly roles: readonly (string | undefined)[];
  readonly colours: RoleColours;
  readonly index: number;
}

export function TextPair({ a, b, roles, colours, index }: Props) {
  const parts = useMemo(() => (a === null || b === null ? null : differences(a, b)), [a, b]);
  return (
    <div class={`pair${parts?.isSame === true ? " is-same" : ""}`}>
      {[a, b].map((text, side) => {
        const role = roles[side];
        const colour = colours.get(role ?? "") ?? "var(--muted)";
        return (
          <div key={side} class="pair-side" style={{ "--role": colour }}>
            {text === null ? (
              <p class="muted small">This trial has no step {index}.</p>
            ) : (
              <>
                <p class="pair-role">
                  <span class="number muted">{index}</span> {visibleText(role ?? "")}
                  {parts?.isSame === true && <span class="muted small"> same</span>}
                </p>
                <div class={`plain-text${parts?.isSame === true ? " muted" : ""}`}>
                  <Text text={text} parts={parts} isLeft={side === 0} />
                </div>
              </>
            )}
          </div>
        );
      })}
    </div>
  );
}

interface Differences {
  readonly isSame: boolean;
  readonly parts: ReturnType<typeof diffWordsWithSpace> | null;
}

function differences(a: string, b: string): Differences {
  if (a === b) return { isSame: true, parts: null };
  if (a.length + b.length > CHARS_MAX) return { isSame: false, parts: null };
  const parts = diffWordsWithSpace(a, b, { timeout: DIFF_MS_MAX }) ?? null;
  const common = parts?.filter(({ added, removed }) => !added && !removed) ?? [];
  const chars = common.reduce((sum, { value }) => sum + value.trim().length, 0);
  const isFar = chars / Math.max(1, Math.min(a.length, b.length)) < COMMON_MIN;
  return { isSame: false, parts: isFar ? null : parts };
}

interface TextProps {
  readonly text: string;
  readonly parts: Differences | null;
  readonly isLeft: boolean;
}

function Text({ text, parts, isLeft }: TextProps) {
  if (parts?.parts == null) return <>{visibleText(text)}</>;
  return (
    <>
      {parts.parts
        .filter(({ added, removed }) => (isLeft ? !added : !removed))
        .map(({ value, added, removed }, index) =>
          added || removed ? <mark key={index}>{visibleText(value)}</mark> : visibleText(value),
        )}
    </>
  );
}
