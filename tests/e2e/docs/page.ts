// A page of the documentation, taken apart: its fenced blocks with their marks, its links, its
// headings and its code spans. Blocks inside an HTML comment count too: readers do not see them,
// and they set up what the visible blocks need.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../parts/repository.ts";

export interface Block {
  readonly page: string;
  /** Line of the opening fence, from 1. */
  readonly line: number;
  readonly language: string;
  /**
   * The words after the language: `file=a.toml` is ["file", "a.toml"], `later` is ["later", ""].
   * The title of a tab, `[Python]`, is left out.
   */
  readonly marks: ReadonlyMap<string, string>;
  readonly text: string;
}

export interface Page {
  /** Path from the root of the repository. */
  readonly path: string;
  /** The page without its fenced blocks, line for line. */
  readonly prose: string;
  readonly blocks: readonly Block[];
}

/** Every page that the tests hold to its word. */
export function readPages(): readonly Page[] {
  const docs = readdirSync(join(ROOT, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md") && !name.startsWith("."))
    .map((name) => join("docs", name))
    .sort();
  return ["README.md", "CONTRIBUTING.md", "SECURITY.md", ...docs]
    .filter((path) => exists(path))
    .map(readPage);
}

export function readPage(path: string): Page {
  return parsePage(path, readFileSync(join(ROOT, path), "utf8"));
}

export function parsePage(path: string, text: string): Page {
  const blocks: Block[] = [];
  const prose: string[] = [];
  let open: { fence: string; line: number; info: string; lines: string[] } | null = null;
  for (const [index, line] of text.split("\n").entries()) {
    if (open !== null) {
      prose.push("");
      if (line.trimEnd() !== open.fence) {
        open.lines.push(line);
        continue;
      }
      blocks.push(blockOf(path, open));
      open = null;
      continue;
    }
    const [, fence, info] = /^(`{3,})(.*)$/.exec(line) ?? [];
    if (fence === undefined) prose.push(line);
    else {
      prose.push("");
      open = { fence, line: index + 1, info: info ?? "", lines: [] };
    }
  }
  if (open !== null) throw new Error(`${path}:${open.line}: this block is never closed`);
  return { path, prose: prose.join("\n"), blocks };
}

function blockOf(
  page: string,
  { line, info, lines }: { line: number; info: string; lines: readonly string[] },
): Block {
  const [language = "", ...words] = info.match(/(?:"[^"]*"|\S)+/g) ?? [];
  const marks = new Map(
    words
      .filter((word) => !/^\[\w+\]$/.test(word))
      .map((word) => {
        const [, key = word, value = ""] = /^([^=]+)=(.*)$/.exec(word) ?? [];
        return [key, value.replace(/^"(.*)"$/, "$1")] as const;
      }),
  );
  return { page, line, language, marks, text: lines.map((each) => `${each}\n`).join("") };
}

/** The targets of a page's links, as they are written. */
export function linksOf({ prose }: Page): readonly string[] {
  const withoutCode = prose.replace(/`[^`\n]*`/g, "");
  const written = [
    ...withoutCode.matchAll(/\]\(([^()\s]+)\)/g),
    ...withoutCode.matchAll(/\b(?:src|srcset|href)="([^"]+)"/g),
  ];
  return written.map((match) => match[1] as string);
}

/**
 * The anchors of a page's headings. A heading states its own with {#…}; else the site and code
 * hosts make one each, and only an anchor on which they agree leads there on both.
 */
export function anchorsOf({ prose }: Page): ReadonlySet<string> {
  const headings = [...prose.matchAll(/^#{1,6} (.+)$/gm)].map((match) => match[1] as string);
  return new Set(
    headings.flatMap((heading) => {
      const stated = /\{#([\w-]+)\}$/.exec(heading)?.[1];
      if (stated !== undefined) return [stated];
      const site = heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}]+/gu, "-")
        .replace(/^-|-$/g, "");
      const host = heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, "")
        .replace(/\s/g, "-");
      return site === host ? [site] : [];
    }),
  );
}

/** The code spans of a page's prose. */
export function spansOf({ prose }: Page): readonly string[] {
  return [...prose.matchAll(/`([^`\n]+)`/g)].map((match) => match[1] as string);
}

/** The texts of a page's headings of one level. */
export function headingsOf({ prose }: Page, level: number): readonly string[] {
  const pattern = new RegExp(`^#{${level}} (.+)$`, "gm");
  return [...prose.matchAll(pattern)].map((match) => match[1] as string);
}

/** The rows of the first table under a heading, each a list of cells. */
export function tableUnder({ path, prose }: Page, heading: string): readonly (readonly string[])[] {
  const [, after] = prose.split(new RegExp(`^#+ ${heading}$`, "m"));
  if (after === undefined) throw new Error(`${path} has no heading "${heading}"`);
  const rows = /(?:^\|.*\|$\n?)+/m.exec(after)?.[0].trim().split("\n").slice(2) ?? [];
  return rows.map((row) =>
    row
      .slice(1, -1)
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim()),
  );
}

export function exists(path: string): boolean {
  try {
    readFileSync(join(ROOT, path));
    return true;
  } catch (thrown) {
    return (thrown as { code?: string }).code === "EISDIR";
  }
}
