// Two runs side by side, as the web page compares them.

import { MatrixError } from "../../error.ts";
import { type Compared, compareAnswer } from "../../view/answers/compare-answer.ts";
import type { ComparePair, CompareRun } from "../../view/api.ts";
import { RunLibrary } from "../../view/library/run-library.ts";

export interface RunPair {
  readonly runs: readonly [a: CompareRun, b: CompareRun];
  readonly pair: ComparePair;
}

/** Fails with `usage` when one of the directories is not a run. */
export async function compareRuns(a: string, b: string): Promise<RunPair> {
  const libraries = [a, b].map((place) => new RunLibrary([place], process.cwd()));
  try {
    const compared: Compared[] = [];
    for (const library of libraries) compared.push(await onlyRunOf(library));
    const { runs, pairs } = await compareAnswer(compared);
    const [first, second] = runs;
    const [pair] = pairs;
    if (first === undefined || second === undefined || pair === undefined)
      throw new MatrixError("usage", `${a} and ${b} cannot be compared`);
    return { runs: [first, second], pair };
  } finally {
    for (const library of libraries) await library.close();
  }
}

async function onlyRunOf(library: RunLibrary): Promise<Compared> {
  const [place] = library.places;
  // The first look wants the scores, which stand in the records.
  await library.list();
  await library.cards.settled();
  const [found] = (await library.find()).runs;
  const shown = found === undefined ? null : await library.run(found.key);
  const table = await shown?.run.table();
  if (found === undefined || shown == null || table == null)
    throw new MatrixError("usage", `${place} has no records that can be read`);
  return { card: await library.cards.card(found), shown, table };
}
