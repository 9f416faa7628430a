// The findings of earlier runs, kept in a file that git ignores. Each entry says by its key what it
// depends on, so nothing is ever wrong in it, only unused.

import { existsSync, readFileSync } from "node:fs";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { LeftOut, TestFile } from "./dry-run.ts";
import type { Verdict } from "./trial.ts";

/** Entries of each kind that are kept; the oldest go first. */
const ENTRIES_MAX = 20_000;

export interface KeptVerdict extends Verdict {
  /** Digest of the tests that the verdict rests on. */
  readonly restsOn: string;
}

export interface Cache {
  /** True where the mutant does not compile. */
  readonly refused: Map<string, boolean>;
  readonly dryRuns: Map<string, TestFile | LeftOut>;
  readonly verdicts: Map<string, KeptVerdict>;
  save(): Promise<void>;
}

interface Stored {
  readonly refused: [string, boolean][];
  readonly dryRuns: [string, TestFile | LeftOut][];
  readonly verdicts: [string, KeptVerdict][];
}

/** `fresh` begins with nothing, and replaces what is kept. */
export function openCache(path: string, fresh: boolean): Cache {
  const stored: Stored =
    !fresh && existsSync(path)
      ? (JSON.parse(readFileSync(path, "utf8")) as Stored)
      : { refused: [], dryRuns: [], verdicts: [] };
  const refused = new Map(stored.refused);
  const dryRuns = new Map(stored.dryRuns);
  const verdicts = new Map(stored.verdicts);
  return {
    refused,
    dryRuns,
    verdicts,
    save: async () => {
      const newest = <T>(map: Map<string, T>, max: number) => [...map].slice(-max);
      const text = JSON.stringify({
        refused: newest(refused, ENTRIES_MAX),
        dryRuns: newest(dryRuns, ENTRIES_MAX / 50),
        verdicts: newest(verdicts, ENTRIES_MAX),
      } satisfies Stored);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(`${path}.${process.pid}`, text);
      await rename(`${path}.${process.pid}`, path);
    },
  };
}
