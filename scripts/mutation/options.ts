// The flags of scripts/mutate.

import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";

export const USAGE = `Usage: scripts/mutate [options]

Changes one small thing in src/ at a time, and counts how many changes the tests notice.

  --folder NAME     only this folder of src/; may be given several times ("src" is its own files)
  --file PATH       only this file; may be given several times
  --mutant ID       only this mutant, as a report names it; may be given several times
  --changed         only files that differ from the main branch
  --per-folder N    mutants drawn from each folder (40)
  --seed TEXT       seed of the sample (0)
  --jobs N          test processes at a time (the number of cores)
  --min PERCENT     exit with 1 where a folder's share of noticed mutants is lower
  --with-binary     run the tests of tests/e2e/FOLDER too, with a binary that holds the mutants
  --output DIR      also write DIR/FOLDER.txt as soon as a folder is done
  --fresh           try everything again, whatever earlier runs found out
  --json            print one JSON object instead of the table and the list
  --entries         print the survivors as entries for scripts/mutation/accepted.toml
  --keep            leave the copy of the project in place, and print where it is

Progress goes to stderr. Exit codes: 0 done, 1 a share is below --min, 2 wrong usage.
`;

/** Wrong usage: the program prints the message and USAGE, and exits with 2. */
export class UsageError extends Error {}

export interface Options {
  /** Names of folders, paths of files and ids of mutants; null where all are meant. */
  readonly folders: readonly string[] | null;
  readonly files: readonly string[] | null;
  readonly mutants: readonly string[] | null;
  readonly changed: boolean;
  readonly perFolder: number;
  readonly seed: string;
  readonly jobs: number;
  /** From 0 to 1. */
  readonly shareMin: number;
  readonly withBinary: boolean;
  readonly output: string | null;
  readonly fresh: boolean;
  readonly print: "report" | "json" | "entries";
  readonly keep: boolean;
}

/** Null where the user asks for help. */
export function readOptions(args: readonly string[]): Options | null {
  const values = parse(args);
  if (values.help) return null;
  return {
    folders: values.folder ?? null,
    files: values.file ?? null,
    mutants: values.mutant ?? null,
    changed: values.changed,
    perFolder: positive("per-folder", values["per-folder"]),
    seed: values.seed,
    jobs: positive("jobs", values.jobs),
    shareMin: values.min === undefined ? 0 : positive("min", values.min) / 100,
    withBinary: values["with-binary"],
    output: values.output ?? null,
    fresh: values.fresh,
    print: values.json ? "json" : values.entries ? "entries" : "report",
    keep: values.keep,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        folder: { type: "string", multiple: true },
        file: { type: "string", multiple: true },
        mutant: { type: "string", multiple: true },
        changed: { type: "boolean", default: false },
        "per-folder": { type: "string", default: "40" },
        seed: { type: "string", default: "0" },
        jobs: { type: "string", default: `${availableParallelism()}` },
        min: { type: "string" },
        "with-binary": { type: "boolean", default: false },
        output: { type: "string" },
        fresh: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        entries: { type: "boolean", default: false },
        keep: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function positive(flag: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) {
    throw new UsageError(`--${flag} takes a whole number from 1, not "${text}"`);
  }
  return value;
}
