// Keys of the views. The view that is on the screen says which keys it knows; the help lists them.

import { signal } from "@preact/signals";
import { useLayoutEffect } from "preact/hooks";

export interface Key {
  /** The key, as `KeyboardEvent.key` gives it. */
  readonly key: string;
  readonly does: string;
  readonly act: () => void;
}

let layers: readonly (readonly Key[])[] = [];
export const helpIsOpen = signal(false);

/** Keys that are known now, the latest view first. */
export function knownKeys(): readonly Key[] {
  return layers.flat();
}

export function useKeys(keys: readonly Key[]): void {
  // At once, so that the next key acts on what this drawing shows.
  useLayoutEffect(() => {
    layers = [keys, ...layers];
    return () => {
      layers = layers.filter((layer) => layer !== keys);
    };
  });
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (isTyping(event.target) || document.querySelector("dialog[open]") !== null) return;
  // Enter does what the focused control does.
  if (event.key === "Enter" && isControl(event.target)) return;
  const found = knownKeys().find(({ key }) => key === event.key);
  if (found === undefined) return;
  event.preventDefault();
  found.act();
});

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
}

function isControl(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest("a, button, summary") !== null;
}
