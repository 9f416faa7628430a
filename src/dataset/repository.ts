// A folder of data files laid out like a Hugging Face dataset, on disk or on the hub. A path below
// it, a glob or the name of a split chooses files. Splits are recognised by the names of files and
// folders, as the `datasets` library does without a card.

import { matchesGlob } from "node:path";
import { MatrixError } from "../error.ts";
import { isDataFile } from "./format.ts";

/** The words in a name by which the `datasets` library recognises a split. */
const SPLITS: Readonly<Record<string, RegExp>> = {
  train: /(?:^|[^a-z])(?:train|training)(?:[^a-z]|$)/,
  validation: /(?:^|[^a-z])(?:validation|valid|dev|val)(?:[^a-z]|$)/,
  test: /(?:^|[^a-z])(?:test|testing|eval|evaluation)(?:[^a-z]|$)/,
};
/** Files that describe a dataset and hold no rows of it. */
const DESCRIPTIONS = /(?:^|\/)(?:dataset_infos?|dataset_dict|state)\.json$/;

/**
 * The files that `wanted` chooses among `paths`, sorted; all data files when it is empty. `root` is
 * the name of the folder in messages. Fails with `dataset_invalid` when no file or several splits
 * are chosen.
 */
export function chooseFiles(
  root: string,
  paths: readonly string[],
  wanted: string,
): readonly string[] {
  const files = paths
    .filter((path) => isDataFile(path) && !DESCRIPTIONS.test(path) && !/(?:^|\/)\./.test(path))
    .sort();
  if (files.includes(wanted)) return [wanted];
  const matched = files.filter((path) => wanted !== "" && matchesGlob(path, wanted));
  if (matched.length > 0) return matched;
  const below = files.filter((path) => wanted === "" || path.startsWith(`${wanted}/`));
  if (below.length > 0) return onlySplit(root, below);
  const split = wanted.slice(wanted.lastIndexOf("/") + 1);
  const folder = wanted.slice(0, -split.length);
  const within = files.filter((path) => path.startsWith(folder));
  // A split with its own name, such as train_sft, comes before the word "train" in that name.
  const named = within.filter((path) => nameOf(path) === split);
  const ofSplit =
    named.length > 0
      ? named
      : within.filter((path) => splitOf(path.slice(folder.length)) === split);
  if (ofSplit.length > 0) return ofSplit;
  if (files.length === 0) throw new MatrixError("dataset_invalid", `${root} has no data files`);
  throw new MatrixError("dataset_invalid", `${root} has no file, folder or split ${wanted}`, {
    hint: `it has ${shown(files)}`,
  });
}

function onlySplit(root: string, files: readonly string[]): readonly string[] {
  const splits = new Set(files.map(splitOf));
  if (splits.size === 1) return files;
  const [first] = [...splits].filter((split) => split !== null);
  throw new MatrixError("dataset_invalid", `${root} has several splits: ${shown(files)}`, {
    hint: `choose one, for example ${root}/${first}`,
  });
}

/**
 * The name of a file without shard number and ending: train_sft for
 * train_sft-00000-of-00003.parquet.
 */
function nameOf(path: string): string {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const dot = name.indexOf(".", name.lastIndexOf("-"));
  const stem = dot === -1 ? name : name.slice(0, dot);
  const shard = /-\d+-of-\d+/.exec(stem)?.index ?? stem.length;
  return dot === -1 ? name : stem.slice(0, shard);
}

/**
 * The split that the names in a path tell, from the file up through its folders; null when no name
 * tells one.
 */
function splitOf(path: string): string | null {
  for (const part of path.toLowerCase().split("/").toReversed()) {
    const found = Object.entries(SPLITS).find(([, words]) => words.test(part));
    if (found !== undefined) return found[0];
  }
  return null;
}

const SHOWN_MAX = 5;

function shown(files: readonly string[]): string {
  const more = files.length > SHOWN_MAX ? ` and ${files.length - SHOWN_MAX} more` : "";
  return files.slice(0, SHOWN_MAX).join(", ") + more;
}
