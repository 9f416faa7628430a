// Tells whether a run directory belongs to the run that wants to write into it: the same recipe,
// files, dataset and replayed run. What may differ (concurrency, more trials, more rows) is decided
// by src/recipe/difference.ts.

import { MatrixError } from "../error.ts";
import { type Difference, recipeDifferences } from "../recipe/difference.ts";
import type { Manifest, RunIdentity } from "./manifest.ts";

/**
 * Fails with `run_refused` and every difference. `checkpointDigest`: the digest of the dataset
 * after as many rows as the earlier run had, or null when the dataset has fewer rows now.
 */
export function refuseOtherRun(
  path: string,
  earlier: Manifest,
  now: RunIdentity,
  checkpointDigest: string | null,
): void {
  const keepsRows = now.dataset.rows >= earlier.dataset.rows;
  const conflicts = recipeDifferences(earlier.recipe, now.recipe).filter(
    // A lower limit that leaves out no row changes nothing: unset, and then the dataset's own size.
    ({ kind, key }) =>
      kind === "conflict" || (kind === "shrinks" && !(key === "dataset.limit" && keepsRows)),
  );
  const lines = conflicts.map(describeDifference);
  for (const [file, hash] of Object.entries(now.hashes)) {
    const before = earlier.hashes[file];
    if (before !== undefined && before !== hash) lines.push(`${file} has changed`);
  }
  if (sourceOfAnswers(earlier) !== sourceOfAnswers(now))
    lines.push(`it ${sourceOfAnswers(earlier)}, and this run ${sourceOfAnswers(now)}`);
  // A changed recipe or file explains a changed dataset, so the dataset is named only by itself.
  if (lines.length === 0 && checkpointDigest !== earlier.dataset.digest)
    lines.push(`the dataset has changed in its first ${earlier.dataset.rows} rows`);
  if (lines.length === 0) return;
  throw new MatrixError("run_refused", `${path} holds another run`, {
    problems: lines.map((message) => ({ message })),
    hint:
      "start anew with --fresh (the old directory is kept aside), choose another directory with " +
      "-o, or give this recipe a name of its own",
  });
}

function sourceOfAnswers({
  replay,
  replay_ask: ask,
  replay_from: from,
}: Pick<Manifest, "replay" | "replay_ask" | "replay_from">): string {
  if (replay === undefined) return "asks models";
  const asked = ask === undefined ? "" : ` --ask ${ask.join(",")}`;
  return `replays ${replay}${asked}${from === undefined ? "" : ` --from ${from}`}`;
}

function describeDifference({ key, before, now, kind }: Difference): string {
  const shown = (value: unknown) => (value === undefined ? "unset" : JSON.stringify(value));
  const why = kind === "shrinks" ? " (it can only grow)" : "";
  return `${key} was ${shown(before)} and is ${shown(now)} now${why}`;
}
