// Formulas. KaTeX makes elements itself; as text with styles the policy of the page would stop it.

import katex from "katex";

/** Characters of a formula. A longer one would freeze the page, or is no formula. */
const CHARS_MAX = 20_000;
const ELEMENTS_MAX = 20_000;
/** A browser lays elements out by recursion: deeply nested fractions would crash the page. */
const DEPTH_MAX = 250;

export function drawMath(tex: string, display: boolean, into: HTMLElement): void {
  const asWritten = () => {
    into.textContent = tex;
    into.classList.add("math-broken");
  };
  if (tex.length > CHARS_MAX) {
    asWritten();
    return;
  }
  try {
    const drawn = document.createElement("span");
    katex.render(tex, drawn, {
      displayMode: display,
      throwOnError: true,
      strict: "ignore",
      errorColor: "currentcolor",
      // No links, images or ids of the model's choice.
      trust: false,
      maxExpand: 500,
      maxSize: 20,
    });
    if (isTooLarge(drawn)) asWritten();
    else into.replaceChildren(...drawn.childNodes);
  } catch {
    asWritten();
  }
}

function isTooLarge(root: Element): boolean {
  if (root.getElementsByTagName("*").length > ELEMENTS_MAX) return true;
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT);
  let depth = 0;
  for (;;) {
    if (walker.firstChild() !== null) depth++;
    else {
      while (walker.nextSibling() === null) {
        if (walker.parentNode() === null) return false;
        depth--;
      }
    }
    if (depth > DEPTH_MAX) return true;
  }
}
