// Survivors that are accepted, each with its reason, in accepted.toml. They count neither as killed
// nor as survived.

import { existsSync, readFileSync } from "node:fs";
import { identityText, type Mutant } from "./instrument.ts";

/** The text in a printed entry until a developer gives the reason. */
export const REASON_MISSING = "TODO";

/**
 * Names a mutant by what a reader sees of it, so that an edit elsewhere in the file does not
 * matter.
 */
export interface Accepted {
  readonly file: string;
  readonly inside: string;
  readonly operator: string;
  readonly original: string;
  readonly mutated: string;
  /** Which one, where several agree in all of the above. */
  readonly nth: number;
  readonly reason: string;
}

export function readAccepted(path: string): Accepted[] {
  if (!existsSync(path)) return [];
  const { accepted = [] } = Bun.TOML.parse(readFileSync(path, "utf8")) as {
    accepted?: Partial<Accepted>[];
  };
  return accepted.map((entry) => {
    const { file, inside = "", operator, original, mutated, nth = 1, reason } = entry;
    const isWhole = file && operator && original !== undefined && mutated !== undefined;
    if (!isWhole || !reason || reason === REASON_MISSING) {
      throw new Error(
        `${path}: an entry needs file, operator, original, mutated and reason: ${JSON.stringify(entry)}`,
      );
    }
    return { file, inside, operator, original, mutated, nth, reason };
  });
}

/** Ids of the accepted mutants, and the entries that no mutant answers to any more. */
export function matchAccepted(
  accepted: readonly Accepted[],
  mutants: readonly Mutant[],
): { readonly ids: ReadonlySet<string>; readonly stale: readonly Accepted[] } {
  const byName = new Map(mutants.map((mutant) => [nameOf(entryOf(mutant, "")), mutant.id]));
  const ids = accepted.map((entry) => byName.get(nameOf(entry)));
  return {
    ids: new Set(ids.filter((id) => id !== undefined)),
    stale: accepted.filter((_, i) => ids[i] === undefined),
  };
}

export function entryOf(mutant: Mutant, reason: string): Accepted {
  return {
    file: mutant.file,
    inside: mutant.inside,
    operator: mutant.operator,
    original: identityText(mutant.original),
    mutated: identityText(mutant.replacement),
    nth: mutant.nth,
    reason,
  };
}

/** An entry as it stands in the file. */
export function formatEntry({ nth, ...entry }: Accepted): string {
  const fields = { ...entry, ...(nth > 1 ? { nth } : {}) };
  const lines = Object.entries(fields).map(([key, value]) => `${key} = ${JSON.stringify(value)}`);
  return `[[accepted]]\n${lines.join("\n")}\n`;
}

function nameOf({ file, inside, operator, original, mutated, nth }: Accepted): string {
  return JSON.stringify([file, inside, operator, original, mutated, nth]);
}
