// Markdown as data. The parser's own HTML is never used: its tokens become nodes of a closed list
// of tags, so that no text of a model can become anything else.

import MarkdownIt from "markdown-it";
import { element, type TextNode } from "./kit.ts";
import { mathRules } from "./math-rules.ts";

const TAGS: ReadonlySet<string> = new Set([
  ...["p", "ul", "ol", "li", "blockquote", "strong", "em", "s", "hr", "br", "a"],
  ...["table", "thead", "tbody", "tr", "th", "td"],
]);
/** The page opens links of these schemes, and shows others as text. */
const SAFE_LINK = /^(https?|mailto):/i;

const parser = new MarkdownIt({ html: false, breaks: true, linkify: true }).use(mathRules);
parser.linkify.set({ fuzzyLink: false, fuzzyEmail: false });

type Token = ReturnType<typeof parser.parse>[number];

export function markdown(source: string): readonly TextNode[] {
  return nodesOf(parser.parse(source, {}));
}

interface Open {
  readonly token: Token | null;
  readonly children: TextNode[];
}

function nodesOf(tokens: readonly Token[]): readonly TextNode[] {
  const root: Open = { token: null, children: [] };
  const stack: Open[] = [root];
  const top = () => stack.at(-1) ?? root;
  for (const token of tokens) {
    if (token.nesting === 1) {
      stack.push({ token, children: [] });
    } else if (token.nesting === -1) {
      const closed = stack.length > 1 ? stack.pop() : undefined;
      if (closed?.token) top().children.push(...close(closed.token, closed.children));
    } else {
      top().children.push(...leaf(token));
    }
  }
  return root.children;
}

function close(token: Token, children: readonly TextNode[]): readonly TextNode[] {
  // A paragraph of a tight list is not shown as one.
  if (token.hidden) return children;
  if (/^h[1-6]$/.test(token.tag))
    return [element("div", children, { className: `md-heading md-${token.tag}` })];
  if (token.tag === "a") return link(String(token.attrGet("href") ?? ""), children);
  if (!TAGS.has(token.tag)) return children;
  const align = /text-align:(\w+)/.exec(String(token.attrGet("style") ?? ""))?.[1];
  const start = Number(token.attrGet("start") ?? 1);
  return [
    element(token.tag, children, {
      ...(align === undefined ? {} : { className: `align-${align}` }),
      ...(token.tag === "ol" && start !== 1 ? { start } : {}),
    }),
  ];
}

function leaf(token: Token): readonly TextNode[] {
  switch (token.type) {
    case "inline":
      return nodesOf(token.children ?? []);
    case "softbreak":
    case "hardbreak":
      return [element("br", [])];
    case "hr":
      return [element("hr", [])];
    case "code_inline":
      return [element("code", [token.content])];
    case "fence":
    case "code_block": {
      const language = token.info.trim().split(/\s+/)[0] ?? "";
      return [{ kind: "code", code: token.content.replace(/\n$/, ""), language }];
    }
    case "math_inline":
    case "math_block":
      return [{ kind: "math", tex: token.content, display: token.type === "math_block" }];
    case "image":
      return [{ kind: "image", address: String(token.attrGet("src") ?? ""), alt: token.content }];
    default:
      return token.content === "" ? [] : [token.content];
  }
}

function link(href: string, children: readonly TextNode[]): readonly TextNode[] {
  return SAFE_LINK.test(href) ? [element("a", children, { href })] : children;
}
