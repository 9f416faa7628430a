// Doubts that only the rows and the run directory tell: they do not make the recipe wrong.

import { join, resolve } from "node:path";
import type { Problem } from "../../error.ts";
import { recipeDifferences } from "../../recipe/difference.ts";
import type { LoadedRecipe } from "../../recipe/load.ts";
import { readManifest } from "../../records/manifest.ts";

export async function laterDoubts(
  loaded: LoadedRecipe,
  rows: number,
  cwd: string,
): Promise<readonly Problem[]> {
  return [...limitDoubts(loaded, rows), ...(await otherRun(loaded, cwd))];
}

/** A limit over all shards says nothing about the rows of one. */
function limitDoubts({ recipe, problemAt }: LoadedRecipe, rows: number): readonly Problem[] {
  const { limit, shard, filter } = recipe.dataset;
  if (limit === undefined || shard !== undefined || rows >= limit) return [];
  const left = filter === undefined ? "the dataset has" : "the filter leaves";
  return [problemAt("dataset.limit", `found ${limit}, but ${left} ${rows} rows`)];
}

/** The run directory holds the run of another recipe, which `drive` refuses to go on with. */
async function otherRun(
  { recipe, resolved, problemAt }: LoadedRecipe,
  cwd: string,
): Promise<readonly Problem[]> {
  const { name, run } = recipe;
  const directory = resolve(cwd, run.output ?? join("runs", name));
  const earlier = await readManifest(directory);
  if (earlier === null) return [];
  const { ok, failed, lost, state } = earlier;
  if (state === "stopped" && ok + failed + lost === 0) return [];
  const keys = recipeDifferences(earlier.recipe, resolved)
    .filter(({ kind }) => kind === "conflict" || kind === "shrinks")
    .map(({ key }) => key);
  if (keys.length === 0) return [];
  const more = keys.length === 1 ? "" : ` and ${keys.length - 1} more keys`;
  return [
    problemAt(
      run.output === undefined ? "name" : "run.output",
      `${directory} holds another run, which differs in ${keys[0]}${more}: matrix drive would ` +
        "refuse this one; give it another name or -o, or move the old one aside with --fresh",
    ),
  ];
}
