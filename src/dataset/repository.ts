// A folder of data files laid out as Hugging Face datasets are: which of its files a path below it, a glob or the name of a
// split means. The same on disk and on the hub. Splits are told by file and folder names, as `datasets` tells them without a card.

import { matchesGlob } from "node:path";
import { MatrixError } from "../error.ts";
import { isDataFile } from "./format.ts";

/** What `datasets` calls a split, by the words for it. */
const SPLITS: Readonly<Record<string, RegExp>> = {
  train: /(?:^|[^a-z])(?:train|training)(?:[^a-z]|$)/,
  validation: /(?:^|[^a-z])(?:validation|valid|dev|val)(?:[^a-z]|$)/,
  test: /(?:^|[^a-z])(?:test|testing|eval|evaluation)(?:[^a-z]|$)/,
};
/** Files that describe a dataset and are no part of it. */
const DESCRIPTIONS = /(?:^|\/)(?:dataset_infos?|dataset_dict|state)\.json$/;

/** `paths` are relative to `root`, which is for messages. Fails with `dataset_invalid` when nothing or too much is meant. */
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
  // A name of its own, such as train_sft, goes before the word in it.
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
    hint: `name one: ${root}/${first}`,
  });
}

/** Of train_sft-00000-of-00003.parquet, train_sft. */
function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1).replace(/(?:-\d+-of-\d+.*)?\.[^-]*$/, "");
}

/** Null where no name tells. The name of the file itself goes first. */
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
