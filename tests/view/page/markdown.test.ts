import { expect, test } from "bun:test";
import { highlight } from "../../../src/view/page/text/highlight.ts";
import type { TextNode } from "../../../src/view/page/text/kit.ts";
import { markdown } from "../../../src/view/page/text/markdown.ts";

/** Nodes in short: tags with what they hold, `⟦…⟧` for formulas and backticks for code. */
function short(nodes: readonly TextNode[]): string {
  return nodes
    .map((node) => {
      if (typeof node === "string") return node;
      if (node.kind === "math") return node.display ? `⟦⟦${node.tex}⟧⟧` : `⟦${node.tex}⟧`;
      if (node.kind === "code") return `\`${node.language}:${node.code}\``;
      if (node.kind === "image") return `!(${node.alt},${node.address})`;
      const { tag, className, href, start, children } = node;
      const mark = [tag, className && `.${className}`, href && `@${href}`, start && `#${start}`];
      return `<${mark.filter(Boolean).join("")}>${short(children)}</>`;
    })
    .join("");
}
const shown = (source: string): string => short(markdown(source));

test("HTML in markdown stays text", () => {
  expect(shown("a <b>b</b> <script>x</script>")).toBe("<p>a <b>b</b> <script>x</script></>");
  expect(markdown("<script>x</script>")).toEqual([
    expect.objectContaining({ tag: "p", children: ["<script>x</script>"] }),
  ]);
});

test("only links to the web and to mail are links", () => {
  expect(shown("[a](https://a.example/b)")).toBe("<p><a@https://a.example/b>a</></>");
  expect(shown("[a](mailto:a@b.example)")).toBe("<p><a@mailto:a@b.example>a</></>");
  expect(shown("https://a.example/b")).toBe("<p><a@https://a.example/b>https://a.example/b</></>");
  expect(shown("[a](javascript:alert(1))")).toBe("<p>[a](javascript:alert(1))</>");
  for (const address of ["data:text/html,x", "file:///etc/passwd", "/api/runs", "//a.example"])
    expect(shown(`[a](${address})`)).not.toContain("<a");
});

test("an image is an address with its text, which the page does not load", () => {
  expect(shown("![alt](https://a.example/x.png)")).toBe("<p>!(alt,https://a.example/x.png)</>");
});

test("headings, lists, tables and quotes keep their shape", () => {
  expect(shown("## Two")).toBe("<div.md-heading md-h2>Two</>");
  expect(shown("3. a\n4. b")).toBe("<ol#3><li>a</><li>b</></>");
  expect(shown("1. a")).toBe("<ol><li>a</></>");
  expect(shown("> q")).toBe("<blockquote><p>q</></>");
  expect(shown("a | b\n--- | ---:\n1 | 2")).toBe(
    "<table><thead><tr><th>a</><th.align-right>b</></></><tbody><tr><td>1</><td.align-right>2</></></></>",
  );
  expect(shown("a\nb")).toBe("<p>a<br></>b</>");
});

test("code keeps its language and its text", () => {
  expect(shown("```python x\na = 1\n```")).toBe("`python:a = 1`");
  expect(shown("a `b<c` d")).toBe("<p>a <code>b<c</> d</>");
});

test("formulas are found in every way that models write them", () => {
  expect(shown("a $x^2$ b")).toBe("<p>a ⟦x^2⟧ b</>");
  expect(shown("a \\(x\\) b")).toBe("<p>a ⟦x⟧ b</>");
  expect(shown("\\[x\n+y\\]")).toBe("<p>⟦⟦x\n+y⟧⟧</>");
  expect(shown("$$\nx\n$$")).toBe("<p>⟦⟦x⟧⟧</>");
  expect(shown("\\begin{align}a\\end{align}")).toBe("<p>⟦⟦\\begin{align}a\\end{align}⟧⟧</>");
  expect(shown("$a\\$b$")).toBe("<p>⟦a\\$b⟧</>");
});

test("money, and dollars without an end, are no formulas", () => {
  expect(shown("costs $5 and $10")).toBe("<p>costs $5 and $10</>");
  expect(shown("$ x$")).toBe("<p>$ x$</>");
  expect(shown("$x $")).toBe("<p>$x $</>");
  expect(shown("a $x")).toBe("<p>a $x</>");
  expect(shown("$a\n\nb$")).toBe("<p>$a</><p>b$</>");
  expect(shown("\\begin{align}a")).toBe("<p>\\begin{align}a</>");
  expect(shown("$$ $$")).toBe("<p>$$ $$</>");
});

test("known languages are coloured, and others stay plain text", () => {
  expect(short(highlight("x = 1", "python"))).toBe("x = <span.hljs-number>1</>");
  expect(highlight("<b>", "no-such-language")).toEqual(["<b>"]);
  expect(highlight("1".repeat(50_001), "python")).toEqual(["1".repeat(50_001)]);
  expect(highlight("1".repeat(50_000), "python")).toHaveLength(1);
  expect(typeof highlight("1".repeat(50_000), "python")[0]).toBe("object");
});
