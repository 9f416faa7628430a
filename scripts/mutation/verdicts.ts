// The verdict on each mutant of a sample: accepted, kept from an earlier run, or tried now.

import type { Cache } from "./cache.ts";
import type { TestFile } from "./dry-run.ts";
import type { ImportGraph } from "./imports.ts";
import type { Mutant } from "./instrument.ts";
import type { Outcome } from "./report.ts";
import type { Tree } from "./tree.ts";
import { type Controls, nearestFirst, tryMutant, type Verdict } from "./trial.ts";

export interface TrialContext {
  readonly tree: Tree;
  readonly graph: ImportGraph;
  readonly cache: Cache;
  readonly tests: readonly TestFile[];
  readonly controls: Controls;
  readonly acceptedIds: ReadonlySet<string>;
}

export async function findOutcome(context: TrialContext, mutant: Mutant): Promise<Outcome> {
  const tests = nearestFirst(mutant, context.tests, context.graph);
  const { status, by } = context.acceptedIds.has(mutant.id)
    ? ({ status: "accepted", by: null } as const)
    : await findVerdict(context, mutant, tests);
  return { mutant, status, by, tests: tests.map(({ path }) => path) };
}

/** An earlier verdict holds while the mutated file and the tests that decided it read the same. */
async function findVerdict(
  { tree, graph, cache, controls }: TrialContext,
  mutant: Mutant,
  tests: readonly TestFile[],
): Promise<Verdict> {
  const key = `${mutant.id} ${graph.digest(mutant.file, (file) => file === mutant.file)}`;
  const restsOn = (by: string | null) => {
    const deciding = tests.filter(({ path }) => by === null || by === path);
    const digests = deciding.map(({ path }) => `${path} ${testDigest(path)}`);
    return `${Bun.hash(digests.sort().join())}`;
  };
  const testDigest = (path: string) => graph.digest(path, (file) => file.startsWith("tests/"));
  const known = cache.verdicts.get(key);
  if (known?.restsOn === restsOn(known?.by ?? null)) return known;
  const verdict = await tryMutant(tree, mutant, tests, controls);
  cache.verdicts.set(key, { ...verdict, restsOn: restsOn(verdict.by) });
  return verdict;
}
