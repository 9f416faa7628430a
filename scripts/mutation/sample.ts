// The seeded sample of each folder's mutants. A mutant's place in it depends on the seed and on its
// own identity alone, so an edit elsewhere does not draw another sample.

import { createHash } from "node:crypto";
import type { Mutant } from "./instrument.ts";

/**
 * Draws from each folder the first `count` mutants in the seed's order that compile, at most one of
 * each node. `refused` returns the ids of those that do not compile; it is asked about all folders
 * at once.
 */
export async function drawSamples(
  folders: readonly (readonly Mutant[])[],
  count: number,
  seed: string,
  refused: (candidates: readonly Mutant[]) => Promise<ReadonlySet<string>>,
): Promise<Mutant[][]> {
  const draws = folders.map((mutants) => ({
    waiting: onePerNode(inOrder(mutants, seed)),
    drawn: [] as Mutant[],
  }));
  for (;;) {
    const rounds = draws.map(({ waiting, drawn }) => ({
      drawn,
      candidates: waiting.splice(0, count - drawn.length),
    }));
    const all = rounds.flatMap(({ candidates }) => candidates);
    if (all.length === 0) return draws.map(({ drawn }) => drawn);
    const broken = await refused(all);
    for (const { drawn, candidates } of rounds) {
      drawn.push(...candidates.filter(({ id }) => !broken.has(id)));
    }
  }
}

function inOrder(mutants: readonly Mutant[], seed: string): Mutant[] {
  const rank = ({ id }: Mutant) => createHash("sha256").update(`${seed}\n${id}`).digest("hex");
  return mutants
    .map((mutant) => ({ mutant, rank: rank(mutant) }))
    .sort((a, b) => (a.rank < b.rank ? -1 : 1))
    .map(({ mutant }) => mutant);
}

function onePerNode(mutants: readonly Mutant[]): Mutant[] {
  const nodes = new Set<string>();
  return mutants.filter(({ file, at }) => {
    const node = `${file} ${at.join()}`;
    if (nodes.has(node)) return false;
    nodes.add(node);
    return true;
  });
}
