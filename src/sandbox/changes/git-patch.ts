// The part of a git patch that turns one file into another, for `git apply`. Texts in UTF-8 become
// hunks of lines; anything else is written whole, in git's form for bytes.

import { deflateSync } from "node:zlib";
import { formatPatch, OMIT_HEADERS, structuredPatch } from "diff";
import type { Entry } from "./tree.ts";

const CONTEXT_LINES = 3;
/** Texts that differ in more lines than this are replaced whole: comparing them takes too long. */
const DIFFERENT_LINES_MAX = 2000;
const NO_ID = "0".repeat(40);
/** Git's letters for 85 digits. */
const DIGITS =
  "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";
const BYTES_A_LINE = 52;
/** Letters with which C and git escape a byte. */
const ESCAPES: Readonly<Record<number, string>> = {
  7: "a",
  8: "b",
  9: "t",
  10: "n",
  11: "v",
  12: "f",
  13: "r",
  34: '"',
  92: "\\",
};

/**
 * The patch of a file. Each letter of `path` is a byte; a side is null where the file is missing.
 */
export function gitPatch(path: string, before: Entry | null, after: Entry | null): string {
  const isLink = (entry: Entry) => entry.mode === "120000";
  // A link that became a file, or a file that became a link.
  if (before !== null && after !== null && isLink(before) !== isLink(after))
    return gitPatch(path, before, null) + gitPatch(path, null, after);
  const [old, young] = [named("a", path), named("b", path)];
  const header = [`diff --git ${quoted(old)} ${quoted(young)}`, ...modes(before, after)];
  const [from, to] = [before?.mark ?? NO_ID, after?.mark ?? NO_ID];
  if (from === to) return `${header.join("\n")}\n`;
  const mode = before !== null && before.mode === after?.mode ? ` ${after.mode}` : "";
  header.push(`index ${from}..${to}${mode}`);
  const body = hunks(before, after) ?? bytes(after?.content ?? Buffer.alloc(0));
  if (!body.startsWith("@@")) return `${header.join("\n")}\n${body}`;
  header.push(
    `--- ${before === null ? "/dev/null" : inHeader(old)}`,
    `+++ ${after === null ? "/dev/null" : inHeader(young)}`,
  );
  return `${header.join("\n")}\n${body}`;
}

/** The name as people and git read it: in quotes when it is not plain ASCII. */
export function quoted(name: string): string {
  let isPlain = true;
  const escaped = Array.from(name, (letter) => {
    const byte = letter.charCodeAt(0);
    const short = ESCAPES[byte];
    if (short === undefined && byte >= 0x20 && byte < 0x7f) return letter;
    isPlain = false;
    return `\\${short ?? byte.toString(8).padStart(3, "0")}`;
  });
  return isPlain ? name : `"${escaped.join("")}"`;
}

function named(side: "a" | "b", path: string): string {
  return `${side}/${path}`;
}

/** A name with a space ends with a tab, so that a reader knows where it ends. */
function inHeader(name: string): string {
  return quoted(name) + (name.includes(" ") ? "\t" : "");
}

function modes(before: Entry | null, after: Entry | null): string[] {
  if (before === null) return [`new file mode ${after?.mode}`];
  if (after === null) return [`deleted file mode ${before.mode}`];
  return before.mode === after.mode ? [] : [`old mode ${before.mode}`, `new mode ${after.mode}`];
}

/** The hunks of a patch; null when a side is no text, or not kept. An empty file has no lines. */
function hunks(before: Entry | null, after: Entry | null): string | null {
  const [old, young] = [textOf(before), textOf(after)];
  if (old === null || young === null) return null;
  if (old === young) return "";
  const options = { context: CONTEXT_LINES, maxEditLength: DIFFERENT_LINES_MAX };
  const compared = structuredPatch("", "", old, young, "", "", options);
  const found = compared?.hunks ?? [replacement(old, young)];
  return formatPatch({ ...structuredPatch("", "", "", ""), hunks: found }, OMIT_HEADERS);
}

function textOf(entry: Entry | null): string | null {
  if (entry === null) return "";
  return entry.isText ? (entry.content?.toString("utf8") ?? null) : null;
}

function replacement(old: string, young: string) {
  const [removed, added] = [linesOf("-", old), linesOf("+", young)];
  return {
    ...{ oldStart: 1, oldLines: removed.count, newStart: 1, newLines: added.count },
    lines: [...removed.lines, ...added.lines],
  };
}

function linesOf(sign: "-" | "+", text: string): { lines: readonly string[]; count: number } {
  if (text === "") return { lines: [], count: 0 };
  const lines = text.split("\n").map((line) => sign + line);
  if (!text.endsWith("\n"))
    return { lines: [...lines, "\\ No newline at end of file"], count: lines.length };
  return { lines: lines.slice(0, -1), count: lines.length - 1 };
}

/** Bytes as git writes them: compressed, in lines that begin with a letter for their length. */
function bytes(content: Buffer): string {
  const packed = deflateSync(content);
  const lines = [`GIT binary patch`, `literal ${content.length}`];
  for (let at = 0; at < packed.length; at += BYTES_A_LINE) {
    const part = packed.subarray(at, at + BYTES_A_LINE);
    const length = String.fromCharCode(part.length + (part.length <= 26 ? 64 : 70));
    lines.push(length + base85(part));
  }
  return `${lines.join("\n")}\n\n`;
}

/** Five letters for each four bytes; zeros fill the last four. */
function base85(part: Buffer): string {
  let letters = "";
  for (let at = 0; at < part.length; at += 4) {
    let value = Buffer.concat([part.subarray(at, at + 4), Buffer.alloc(4)]).readUInt32BE();
    let group = "";
    for (let digit = 0; digit < 5; digit++) {
      group = DIGITS.charAt(value % 85) + group;
      value = Math.floor(value / 85);
    }
    letters += group;
  }
  return letters;
}
