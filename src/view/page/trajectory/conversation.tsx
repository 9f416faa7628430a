// The conversation of a record. Only the hops on the screen are drawn, so its length does not
// matter. The time line and the row stand above it and scroll with it.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { RecordAnswer, RecordRef } from "../../api.ts";
import { useSource } from "../loaded.ts";
import { Icon } from "../parts/icon.tsx";
import { Notes, Problem } from "../parts/states.tsx";
import { useVirtual } from "../parts/virtual.ts";
import { visibleText } from "../parts/visible.tsx";
import { useBodies, useWanted } from "./bodies.ts";
import { HopCard } from "./hop.tsx";
import { Input } from "./input.tsx";
import { Lanes } from "./lanes.tsx";
import { coloursOf } from "./roles.ts";

export interface ConversationHandle {
  show(index: number): void;
}

interface Props {
  readonly run: string;
  readonly reference: RecordRef;
  readonly record: RecordAnswer;
  readonly plain: boolean;
  readonly at: number;
  readonly show: (index: number) => void;
  readonly open: (handle: ConversationHandle) => void;
}

const GAP = 12;

export function Conversation({ run, reference, record, plain, at, show, open }: Props) {
  const { id, trial } = reference;
  const source = useSource();
  const scroller = useRef<HTMLDivElement>(null);
  const above = useRef<HTMLDivElement>(null);
  const margin = useHeight(above);
  const { hops } = record;
  const colours = useMemo(() => coloursOf(hops), [hops]);
  const bodies = useBodies(run, reference, record);
  const list = useVirtual({
    ...{ count: hops.length, scroller, above: margin, gap: GAP, overscan: 4 },
    sizeOf: (index) => heightOf(hops[index]?.chars ?? 0, hops[index]?.model !== undefined),
  });
  const items = list.getVirtualItems();
  useWanted(bodies, items[0]?.index ?? 0, items.at(-1)?.index ?? 0);
  useEffect(() => open({ show: (index) => list.scrollToIndex(index, { align: "start" }) }), [list]);
  const folds = useFolds();
  const { text: fetchText } = source;
  const text = useMemo(
    () => (fetchText === null ? null : (pointer: string) => fetchText(run, { id, trial }, pointer)),
    [fetchText, run, id, trial],
  );
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keys.
    <section ref={scroller} class="conversation" aria-label="Conversation" tabIndex={0}>
      <div ref={above} class="conversation-above">
        <Notes notes={record.notes} />
        {hops.length > 0 && <Lanes hops={hops} colours={colours} current={at} show={show} />}
        <Input run={run} reference={reference} record={record} plain={plain} />
        {bodies.problem !== null && (
          <Problem title="The conversation could not be read" error={bodies.problem} />
        )}
        {hops.length === 0 && <p class="muted">This record has no steps.</p>}
      </div>
      <div class="hops" style={{ height: `${list.getTotalSize()}px` }}>
        {items.map(({ index, start }) => {
          const line = hops[index];
          if (line === undefined) return null;
          return (
            <div
              key={index}
              ref={list.measureElement}
              data-index={index}
              class="hop-place"
              style={{ transform: `translateY(${start - margin}px)` }}
            >
              <HopCard
                {...{ run, id, trial, line, plain, text }}
                body={bodies.at(index)}
                colour={colours.get(line.role) ?? "var(--muted)"}
                isAt={index === at}
                isOpen={folds.open.has(index)}
                toggle={folds.toggleOf(index)}
              />
            </div>
          );
        })}
      </div>
      {record.head.error !== null && <Ending error={record.head.error} />}
    </section>
  );
}

/** The end of a failed task: its step may have left no hop. */
function Ending({ error }: { readonly error: NonNullable<RecordAnswer["head"]["error"]> }) {
  return (
    <section class="ending" aria-label="How the task ended">
      <p class="ending-title">
        <Icon name="cross" size={14} /> {visibleText(error.code)}
        {error.role !== null && ` in ${visibleText(error.role)}`}
        {error.hop !== null && `, step ${error.hop}`}
      </p>
      <p class="error-message">{visibleText(error.message)}</p>
    </section>
  );
}

/** A guess, until the hop is drawn: 90 characters in a line, and folded beyond some lines. */
function heightOf(chars: number, isModel: boolean): number {
  if (!isModel) return 74;
  return 96 + Math.min(20, Math.ceil(chars / 90)) * 23;
}

/** The height of an element as it changes. */
function useHeight(element: { readonly current: HTMLElement | null }): number {
  const [height, setHeight] = useState(0);
  useEffect(() => {
    if (element.current === null) return;
    const observer = new ResizeObserver(([entry]) =>
      setHeight(entry?.borderBoxSize[0]?.blockSize ?? 0),
    );
    observer.observe(element.current);
    return () => observer.disconnect();
  }, [element]);
  return height;
}

/** The hops that the user has unfolded, and a function for each that stays the same. */
function useFolds(): {
  readonly open: ReadonlySet<number>;
  readonly toggleOf: (index: number) => () => void;
} {
  const [open, setOpen] = useState<ReadonlySet<number>>(new Set());
  const toggles = useRef(new Map<number, () => void>());
  const toggleOf = (index: number) => {
    const known = toggles.current.get(index);
    if (known !== undefined) return known;
    const toggle = () =>
      setOpen((before) => {
        const next = new Set(before);
        if (!next.delete(index)) next.add(index);
        return next;
      });
    toggles.current.set(index, toggle);
    return toggle;
  };
  return { open, toggleOf };
}
