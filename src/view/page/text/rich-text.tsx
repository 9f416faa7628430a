// The text of a model, as the page shows it: elements made of the nodes of `text.js`. Until that
// script is there, and for text that is to be shown as it was written, the text stands alone.

import { signal } from "@preact/signals";
import { type ComponentChildren, h } from "preact";
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { CopyButton } from "../parts/copy.tsx";
import { Icon } from "../parts/icon.tsx";
import { Visible, visibleText } from "../parts/visible.tsx";
import { TEXT_KIT_EVENT, type TextKit, type TextNode } from "./kit.ts";

export const textKit = signal<TextKit | null>(globalThis.matrixText ?? null);
addEventListener(TEXT_KIT_EVENT, () => {
  textKit.value = globalThis.matrixText ?? null;
});

export function RichText({ text, plain }: { readonly text: string; readonly plain: boolean }) {
  const kit = textKit.value;
  const nodes = useMemo(
    () => (kit === null || plain ? null : kit.markdown(text)),
    [kit, text, plain],
  );
  if (nodes === null)
    return (
      <div class="plain-text">
        <Visible text={text} />
      </div>
    );
  return <div class="rich-text">{nodes.map(shown)}</div>;
}

export function CodeBlock({
  code,
  language,
}: {
  readonly code: string;
  readonly language: string;
}) {
  const kit = textKit.value;
  const nodes = useMemo(
    () => (kit === null || language === "" ? [code] : kit.highlight(code, language)),
    [kit, code, language],
  );
  return (
    <div class="code">
      <div class="code-bar">
        <span>{language === "" ? "text" : visibleText(language.slice(0, 30))}</span>
        <CopyButton text={code} what="code" />
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keys. */}
      <pre tabIndex={0}>
        <code>{nodes.map(shown)}</code>
      </pre>
    </div>
  );
}

function shown(node: TextNode, index: number): ComponentChildren {
  if (typeof node === "string") return <Visible key={index} text={node} />;
  switch (node.kind) {
    case "math":
      return <Formula key={index} tex={node.tex} display={node.display} />;
    case "code":
      return <CodeBlock key={index} code={node.code} language={node.language} />;
    case "image":
      return <ForeignImage key={index} address={node.address} alt={node.alt} />;
    case "element":
      return <Element key={index} node={node} />;
  }
}

function Element({ node }: { readonly node: Extract<TextNode, { kind: "element" }> }) {
  const { tag: Tag, className, href, start, children } = node;
  const inner = children.map(shown);
  if (Tag === "a" && href !== null)
    return (
      <a href={href} target="_blank" rel="noopener noreferrer nofollow" title={visibleText(href)}>
        {inner}
      </a>
    );
  if (Tag === "table")
    return (
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keys.
      <div class="table-scroll" tabIndex={0}>
        <table>{inner}</table>
      </div>
    );
  if (Tag === "br" || Tag === "hr") return h(Tag, {});
  return h(Tag, {
    ...(className === "" ? {} : { class: className }),
    ...(start === null ? {} : { start }),
    children: inner,
  });
}

function Formula({ tex, display }: { readonly tex: string; readonly display: boolean }) {
  const place = useRef<HTMLSpanElement>(null);
  const kit = textKit.value;
  useLayoutEffect(() => {
    if (place.current !== null) kit?.drawMath(tex, display, place.current);
  }, [kit, tex, display]);
  return <span ref={place} class={display ? "math math-display" : "math"} />;
}

/** An address that a model wrote. The page loads nothing from elsewhere: it shows the address. */
function ForeignImage({ address, alt }: { readonly address: string; readonly alt: string }) {
  const shownAddress = address.startsWith("data:") ? `${address.slice(0, 40)}…` : address;
  return (
    <span class="foreign-image" title="The page loads no images from other servers">
      <Icon name="image" size={14} />
      <span>
        {alt !== "" && <Visible text={`${alt} `} />}
        <span class="muted">{visibleText(shownAddress)}</span>
      </span>
    </span>
  );
}
