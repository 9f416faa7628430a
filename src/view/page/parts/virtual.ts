// A list of which only the part on the screen is drawn.

import {
  elementScroll,
  observeElementOffset,
  observeElementRect,
  Virtualizer,
} from "@tanstack/virtual-core";
import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useReducer, useState } from "preact/hooks";

export type List = Virtualizer<HTMLElement, HTMLElement>;

export interface ListOptions {
  readonly count: number;
  readonly scroller: RefObject<HTMLElement | null>;
  readonly sizeOf: (index: number) => number;
  /** Pixels of the scroller above the list. */
  readonly above?: number;
  readonly gap?: number;
  readonly overscan?: number;
}

/** Browsers give no element more than some 17 million pixels. */
const PIXELS_MAX = 15_000_000;

/** How many pixels of the list a pixel of the scroll bar stands for: 1 for all but huge lists. */
export function scaleOf(pixels: number): number {
  return Math.max(1, pixels / PIXELS_MAX);
}

export function useVirtual(options: ListOptions, scale = 1): List {
  const [, redraw] = useReducer((turn: number) => turn + 1, 0);
  const settings = {
    count: options.count,
    getScrollElement: () => options.scroller.current,
    estimateSize: options.sizeOf,
    scrollMargin: options.above ?? 0,
    gap: options.gap ?? 0,
    overscan: options.overscan ?? 8,
    observeElementRect,
    observeElementOffset: ((list, tell) =>
      observeElementOffset(list, (offset, isScrolling) =>
        tell(offset * scale, isScrolling),
      )) as typeof observeElementOffset<HTMLElement>,
    scrollToFn: ((offset, how, list) =>
      elementScroll(offset / scale, how, list)) as typeof elementScroll<HTMLElement>,
    onChange: () => redraw(undefined),
  };
  const [list] = useState(() => new Virtualizer<HTMLElement, HTMLElement>(settings));
  list.setOptions(settings);
  useEffect(() => list._didMount(), [list]);
  useLayoutEffect(() => list._willUpdate());
  return list;
}
