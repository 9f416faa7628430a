// The seeded sample of a folder's mutants. A mutant's place in it depends on the seed and on its own
// identity alone, so an edit elsewhere does not draw another sample.

import { createHash } from "node:crypto";
import type { Mutant } from "./instrument.ts";

/**
 * The first `count` of the mutants in the seed's order that `compile` lets through, at most one of
 * each node. `compile` gets as many as are missing, and returns the ids that do not compile.
 */
export async function drawSample(
  mutants: readonly Mutant[],
  count: number,
  seed: string,
  compile: (candidates: readonly Mutant[]) => Promise<ReadonlySet<string>>,
): Promise<Mutant[]> {
  const waiting = onePerNode(inOrder(mutants, seed));
  const drawn: Mutant[] = [];
  while (drawn.length < count && waiting.length > 0) {
    const candidates = waiting.splice(0, count - drawn.length);
    const broken = await compile(candidates);
    drawn.push(...candidates.filter(({ id }) => !broken.has(id)));
  }
  return drawn;
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
