// A list that draws only the part on the screen.

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

/** The height that an element gets in place of its own, which browsers limit. */
export function heightOf(pixels: number): number {
  return Math.min(pixels, PIXELS_MAX);
}

interface Scrolled {
  readonly clientHeight: number;
  readonly scrollHeight: number;
}

/**
 * How many pixels of a list a pixel of its scroll bar stands for: 1 for all but huge lists. Both
 * ends of the bar are ends of the list.
 */
export function ratioOf({ clientHeight, scrollHeight }: Scrolled, pixels: number): number {
  const room = scrollHeight - clientHeight;
  return pixels <= PIXELS_MAX || room <= 0 ? 1 : (pixels - clientHeight) / room;
}

/** `pixels` is the height that all of the scroller would have; it matters for huge lists. */
export function useVirtual(options: ListOptions, pixels = 0): List {
  const [, redraw] = useReducer((turn: number) => turn + 1, 0);
  const ratioIn = ({ scrollElement }: Pick<List, "scrollElement">) =>
    scrollElement === null ? 1 : ratioOf(scrollElement, pixels);
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
        tell(offset * ratioIn(list), isScrolling),
      )) as typeof observeElementOffset<HTMLElement>,
    scrollToFn: ((offset, how, list) =>
      elementScroll(offset / ratioIn(list), how, list)) as typeof elementScroll<HTMLElement>,
    onChange: () => redraw(undefined),
  };
  const [list] = useState(() => new Virtualizer<HTMLElement, HTMLElement>(settings));
  list.setOptions(settings);
  useEffect(() => list._didMount(), [list]);
  useLayoutEffect(() => list._willUpdate());
  return list;
}
