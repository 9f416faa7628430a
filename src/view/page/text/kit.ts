// The contract between the page and `text.js`, which shows what models said. The script loads
// beside the page, so that lists are there before it.

/**
 * A piece of shown text. It is data: the page makes elements of it, and no HTML is ever parsed.
 * Tags are of a closed list (`markdown.ts`).
 */
export type TextNode =
  | string
  | {
      readonly kind: "element";
      readonly tag: string;
      readonly className: string;
      readonly href: string | null;
      readonly start: number | null;
      readonly children: readonly TextNode[];
    }
  | { readonly kind: "math"; readonly tex: string; readonly display: boolean }
  | { readonly kind: "code"; readonly code: string; readonly language: string }
  | { readonly kind: "image"; readonly address: string; readonly alt: string };

export interface TextKit {
  markdown(source: string): readonly TextNode[];
  highlight(code: string, language: string): readonly TextNode[];
  /** Draws a formula into an element. A formula that does not parse is drawn as it was written. */
  drawMath(tex: string, display: boolean, into: HTMLElement): void;
}

export const TEXT_KIT_EVENT = "matrix-text";

declare global {
  var matrixText: TextKit | undefined;
}

export function element(
  tag: string,
  children: readonly TextNode[],
  extra: { readonly className?: string; readonly href?: string; readonly start?: number } = {},
): TextNode {
  const { className = "", href = null, start = null } = extra;
  return { kind: "element", tag, className, href, start, children };
}
