// The output of a run: the table by folder, and the survivors with the line that changed.

import { type Accepted, entryOf, formatEntry, REASON_MISSING } from "./accepted.ts";
import { applyMutant, folderOf, type Mutant } from "./instrument.ts";
import type { Status } from "./trial.ts";

export interface Outcome {
  readonly mutant: Mutant;
  readonly status: Status | "accepted";
  /** Test file that noticed. */
  readonly by: string | null;
  /** Test files that ran, or would have run had an earlier one not noticed. */
  readonly tests: readonly string[];
}

/** Texts of the sources, for the lines that changed. */
export interface Sources {
  readonly sources: ReadonlyMap<string, { readonly source: string }>;
}

export function formatReport(
  heading: string,
  outcomes: readonly Outcome[],
  { sources }: Sources,
): string {
  const table = formatTable(countFolders(outcomes), countOutcomes("all", outcomes));
  const survivors = sortSurvivors(outcomes).map((of) =>
    formatSurvivor(of, sources.get(of.mutant.file)?.source ?? ""),
  );
  const list = survivors.length > 0 ? ["Survivors:", ...survivors] : [];
  return [heading, table, ...list].join("\n\n");
}

export function formatJson(
  seed: string,
  outcomes: readonly Outcome[],
  stale: readonly Accepted[],
  { sources }: Sources,
): string {
  const survivors = sortSurvivors(outcomes).map(({ mutant, status, tests }) => ({
    ...entryOf(mutant, ""),
    id: mutant.id,
    line: mutant.line,
    status,
    diff: diffLines(sources.get(mutant.file)?.source ?? "", mutant),
    tests,
  }));
  const folders = countFolders(outcomes);
  return JSON.stringify({ seed, folders, all: countOutcomes("all", outcomes), survivors, stale });
}

/** The survivors as entries of the list of accepted ones. */
export function formatEntries(outcomes: readonly Outcome[]): string {
  return sortSurvivors(outcomes)
    .map(({ mutant }) => formatEntry(entryOf(mutant, REASON_MISSING)))
    .join("\n");
}

function sortSurvivors(outcomes: readonly Outcome[]): Outcome[] {
  return outcomes
    .filter(isSurvivor)
    .sort((a, b) => a.mutant.file.localeCompare(b.mutant.file) || a.mutant.line - b.mutant.line);
}

export interface FolderCounts {
  readonly folder: string;
  readonly mutants: number;
  readonly killed: number;
  readonly timedOut: number;
  readonly survived: number;
  readonly notReached: number;
  readonly accepted: number;
  /** Killed or timed out, of all that are not accepted. 1 where there is no mutant. */
  readonly share: number;
}

export function countFolders(outcomes: readonly Outcome[]): FolderCounts[] {
  const folders = Map.groupBy(outcomes, ({ mutant }) => folderOf(mutant.file));
  return [...folders]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([folder, of]) => countOutcomes(folder, of));
}

export function countOutcomes(folder: string, outcomes: readonly Outcome[]): FolderCounts {
  const count = (status: Outcome["status"]) =>
    outcomes.filter((outcome) => outcome.status === status).length;
  const [killed, timedOut, accepted] = [count("killed"), count("timed out"), count("accepted")];
  const counted = outcomes.length - accepted;
  return {
    folder,
    mutants: outcomes.length,
    killed,
    timedOut,
    survived: count("survived"),
    notReached: count("not reached"),
    accepted,
    share: counted === 0 ? 1 : (killed + timedOut) / counted,
  };
}

export function formatTable(folders: readonly FolderCounts[], all: FolderCounts): string {
  const head = ["folder", "mutants", "killed", "timed out", "survived", "not reached", "accepted"];
  const rows = [...folders, all].map((of) => [
    of.folder,
    `${of.mutants}`,
    `${of.killed}`,
    `${of.timedOut}`,
    `${of.survived}`,
    `${of.notReached}`,
    `${of.accepted}`,
    `${(of.share * 100).toFixed(1)} %`,
  ]);
  const table = [[...head, "share"], ...rows];
  const widths = table.reduce<number[]>(
    (widest, row) => row.map((cell, i) => Math.max(widest[i] ?? 0, cell.length)),
    [],
  );
  return table
    .map((row) =>
      row
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
        .join("  "),
    )
    .join("\n");
}

export function isSurvivor({ status }: { readonly status: string }): boolean {
  return status === "survived" || status === "not reached";
}

function formatSurvivor({ mutant, tests }: Outcome, source: string): string {
  const { file, line, operator, inside, id } = mutant;
  const ran =
    tests.length === 0
      ? "no test reaches it"
      : `${tests.slice(0, 3).join(", ")}${tests.length > 3 ? ` and ${tests.length - 3} more` : ""}`;
  return [
    `${file}:${line}  ${operator}${inside === "" ? "" : ` in ${inside}`}  [${id}]`,
    ...diffLines(source, mutant).map((text) => `  ${text}`),
    `  passed: ${ran}`.replace("passed: no test", "no test"),
  ].join("\n");
}

const DIFF_CHARS_MAX = 160;

/**
 * The first line that changes, before and after; a node of several lines shows its first and "…".
 */
export function diffLines(source: string, mutant: Mutant): readonly [string, string] {
  const start = source.lastIndexOf("\n", mutant.at[0] - 1) + 1;
  const isLong = mutant.original.includes("\n");
  const before = lineAt(source, start) + (isLong ? " …" : "");
  const after = lineAt(applyMutant(source, mutant), start);
  const shown = (text: string) => text.trim().slice(0, DIFF_CHARS_MAX);
  return [`- ${shown(before)}`, `+ ${shown(after)}`];
}

function lineAt(text: string, start: number): string {
  const end = text.indexOf("\n", start);
  return text.slice(start, end === -1 ? undefined : end);
}
