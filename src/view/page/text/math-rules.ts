// Formulas in markdown: `$…$`, `$$…$$`, `\(…\)`, `\[…\]`, and environments of their own.

import type { MarkdownIt } from "markdown-it";

export function mathRules(parser: MarkdownIt): void {
  // Before `escape`, which would take the backslash of `\(`.
  parser.inline.ruler.before("escape", "math", (state, silent) => {
    const found = formulaAt(state.src, state.pos, state.posMax);
    if (found === null) return false;
    if (!silent) {
      const token = state.push(found.display ? "math_block" : "math_inline", "", 0);
      token.content = found.tex;
    }
    state.pos = found.end;
    return true;
  });
}

interface Formula {
  readonly tex: string;
  readonly display: boolean;
  readonly end: number;
}

const PAIRS = [
  { open: "$$", close: "$$", display: true },
  { open: "\\[", close: "\\]", display: true },
  { open: "\\(", close: "\\)", display: false },
] as const;

function formulaAt(source: string, at: number, max: number): Formula | null {
  for (const { open, close, display } of PAIRS) {
    if (!source.startsWith(open, at)) continue;
    const end = source.indexOf(close, at + open.length);
    if (end === -1 || end + close.length > max) continue;
    const tex = source.slice(at + open.length, end).trim();
    return tex === "" ? null : { tex, display, end: end + close.length };
  }
  if (source[at] === "$") return betweenDollars(source, at, max);
  return environmentAt(source, at, max);
}

/**
 * A formula between dollars, by Pandoc's rule: no space within them and no digit after them, so
 * that sums of money stay text.
 */
function betweenDollars(source: string, at: number, max: number): Formula | null {
  if (/[\s$]/.test(source[at + 1] ?? " ")) return null;
  for (let end = at + 1; end < max; end++) {
    const unit = source[end];
    if (unit === "\\") {
      end++;
    } else if (unit === "\n" && source[end + 1] === "\n") {
      return null;
    } else if (unit === "$") {
      const isMoney = /\s/.test(source[end - 1] ?? "") || /\d/.test(source[end + 1] ?? "");
      return isMoney ? null : { tex: source.slice(at + 1, end), display: false, end: end + 1 };
    }
  }
  return null;
}

function environmentAt(source: string, at: number, max: number): Formula | null {
  const open = /^\\begin\{([a-z]{2,20}\*?)\}/i.exec(source.slice(at, at + 40));
  if (open === null) return null;
  const close = `\\end{${open[1]}}`;
  const end = source.indexOf(close, at);
  if (end === -1 || end + close.length > max) return null;
  return { tex: source.slice(at, end + close.length), display: true, end: end + close.length };
}
