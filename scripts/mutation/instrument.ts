// Mutants of one source file, made by Stryker's instrumenter: the file's text with every mutant in
// it, each behind a switch, and a description of each. Two texts come out of it: one that notes
// which mutants are reached, and one that runs a chosen few.

import { createHash } from "node:crypto";
import { type babel, Instrumenter } from "@stryker-mutator/instrumenter";
import { marksExpression } from "./coverage.ts";
import { isMessage } from "./messages.ts";
import { addOperators } from "./operators.ts";
import { enclosing, nameOf, type Scope } from "./scopes.ts";

export interface Mutant {
  /**
   * Survives edits elsewhere in the file: it is made from the fields below except `line` and `at`.
   */
  readonly id: string;
  /** Path from the root of the project. */
  readonly file: string;
  readonly operator: string;
  /**
   * Names of the enclosing class, function and constant, joined by dots; empty at the top level.
   */
  readonly inside: string;
  /** Text of the mutated node, and what takes its place; whole, with line breaks. */
  readonly original: string;
  readonly replacement: string;
  /** Counts mutants of the same file that agree in all of the above, from 1. */
  readonly nth: number;
  /** From 1. */
  readonly line: number;
  /** Offsets of the node in the file's text. */
  readonly at: readonly [start: number, end: number];
  /** Number of the mutant in this instrumentation of the file. */
  readonly ordinal: number;
}

export interface Instrumented {
  readonly file: string;
  readonly source: string;
  readonly mutants: readonly Mutant[];
  /** One more than the largest number of a mutant. Mutants that were left out make gaps. */
  readonly marks: number;
  /** Text that marks reached mutants in a shared array, from index `base` on. */
  coverageText(base: number, total: number): string;
  /** Text in which the mutants with these ids can be switched on. */
  switchText(ids: ReadonlySet<string>): string;
}

/** Environment variable that switches a mutant on; Stryker's name for it. */
export const ACTIVE_MUTANT = "__STRYKER_ACTIVE_MUTANT__";

/** Texts of messages and patterns: a test that counts them would only repeat them. */
const EXCLUDED = ["StringLiteral", "Regex"];

const quiet = { isEnabled: () => false, write: () => undefined };
const logger = {
  isTraceEnabled: quiet.isEnabled,
  isDebugEnabled: quiet.isEnabled,
  isInfoEnabled: quiet.isEnabled,
  isWarnEnabled: quiet.isEnabled,
  isErrorEnabled: quiet.isEnabled,
  isFatalEnabled: quiet.isEnabled,
  trace: quiet.write,
  debug: quiet.write,
  info: quiet.write,
  warn: quiet.write,
  error: quiet.write,
  fatal: quiet.write,
};

export async function instrument(file: string, source: string): Promise<Instrumented> {
  await addOperators();
  const scopes: Scope[] = [];
  const observer = {
    shouldIgnore(path: unknown) {
      const { node, parent } = path as babel.NodePath;
      const name = nameOf(node, parent);
      if (name !== null) scopes.push({ name, start: node.start ?? 0, end: node.end ?? 0 });
      return isMessage(node) ? "message" : undefined;
    },
  };
  const { files, mutants } = await new Instrumenter(logger).instrument(
    [{ name: file, content: source, mutate: true }],
    { plugins: [], ignorers: [observer], excludedMutations: EXCLUDED },
  );
  const text = files[0]?.content ?? source;
  const described = describe(
    file,
    source,
    scopes,
    mutants.filter(({ status }) => status !== "Ignored"),
  );
  const idOf = new Map(described.map(({ ordinal, id }) => [ordinal, id]));
  return {
    file,
    source,
    mutants: described,
    marks: 1 + Math.max(-1, ...described.map(({ ordinal }) => ordinal)),
    coverageText: (base, total) =>
      text
        .replace(
          "function stryNS_9fa48()",
          `const stryC = (${marksExpression(total)});\nfunction stryNS_9fa48()`,
        )
        .replace(SWITCH, "false")
        .replace(
          COVER,
          (_, ids: string) =>
            `(${ordinalsIn(ids)
              .map((ordinal) => `stryC[${base + ordinal}]=`)
              .join("")}1)`,
        ),
    switchText: (ids) =>
      text.replace(COVER, "0").replace(SWITCH, (_, ordinal: string) => {
        const id = idOf.get(Number(ordinal));
        return id !== undefined && ids.has(id) ? `stryMutAct_9fa48("${id}")` : "false";
      }),
  };
}

/**
 * What the instrumenter writes before a mutant and before the original, except in its own header.
 */
const SWITCH = /stryMutAct_9fa48\("(\d+)"\)/g;
const COVER = /stryCov_9fa48\(("[^)]*")\)/g;

function ordinalsIn(ids: string): number[] {
  return [...ids.matchAll(/\d+/g)].map(([digits]) => Number(digits));
}

interface Found {
  readonly id: string;
  readonly mutatorName: string;
  readonly replacement: string;
  readonly location: { readonly start: Place; readonly end: Place };
}

interface Place {
  readonly line: number;
  readonly column: number;
}

function describe(
  file: string,
  source: string,
  scopes: readonly Scope[],
  found: readonly Found[],
): Mutant[] {
  const lineStarts = [0, ...[...source.matchAll(/\n/g)].map(({ index }) => index + 1)];
  const offset = ({ line, column }: Place) => (lineStarts[line] ?? 0) + column;
  const seen = new Map<string, number>();
  return found.map((mutant) => {
    const at = [offset(mutant.location.start), offset(mutant.location.end)] as const;
    const inside = enclosing(scopes, at).join(".");
    const original = source.slice(...at);
    const same = JSON.stringify([
      file,
      mutant.mutatorName,
      inside,
      identityText(original),
      identityText(mutant.replacement),
    ]);
    const nth = (seen.get(same) ?? 0) + 1;
    seen.set(same, nth);
    return {
      id: createHash("sha256").update(`${same}${nth}`).digest("hex").slice(0, 10),
      file,
      operator: mutant.mutatorName,
      inside,
      original,
      replacement: mutant.replacement,
      nth,
      line: mutant.location.start.line + 1,
      at,
      ordinal: Number(mutant.id),
    };
  });
}

const IDENTITY_CHARS_MAX = 100;

/** A node's text in one line. A long one is cut, so that an edit at its end keeps the identity. */
export function identityText(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length <= IDENTITY_CHARS_MAX ? line : `${line.slice(0, IDENTITY_CHARS_MAX)}…`;
}

/** The folder of src/ that a source or a test belongs to; files directly in src/ count as `src`. */
export function folderOf(file: string): string {
  const [, folder = "src", ...rest] = file.replace(/^tests\/e2e\//, "tests/").split("/");
  return rest.length > 0 ? folder : "src";
}

/** The file's text with one mutant in place, for the compiler and for people. */
export function applyMutant(source: string, { at, replacement, operator }: Mutant): string {
  const isStatement = STATEMENTS.has(operator) || /^(case|default|for)\b/.test(replacement);
  const isBare = isStatement || /^(?:[\w.]+|\[\])$/.test(replacement);
  const text = isBare ? replacement : `(${replacement})`;
  return source.slice(0, at[0]) + text + source.slice(at[1]);
}

/** Operators that replace a statement: parentheses around the replacement would not parse. */
const STATEMENTS = new Set(["BlockStatement", "CallExpression", "StatementRemoval"]);
