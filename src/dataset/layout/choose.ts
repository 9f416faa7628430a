// The files that a path chooses in a folder of data files laid out as the `datasets` library reads
// them, on disk or on the hub: a file, a glob, a config of the card, a folder, a split, or a split
// of a config or folder.

import { matchesGlob } from "node:path";
import { MatrixError } from "../../error.ts";
import { isDataFile } from "../format.ts";
import type { Card, Config } from "./card.ts";
import { isGlob, isMeant } from "./glob.ts";
import { findSplits, matchAll, ofOneFormat, type Splits } from "./splits.ts";

export interface Layout {
  /** The name of the folder in messages. */
  readonly root: string;
  /** Paths of all files, relative to the folder. */
  readonly paths: readonly string[];
  /** Null when the folder has no card, or one without configs. */
  readonly card: Card | null;
}

/**
 * The files that `wanted` chooses, in the order in which they are read. An empty text chooses the
 * whole dataset, or its default config. Fails with `dataset_invalid` when it chooses no file, or
 * several splits or configs.
 */
export function chooseFiles({ root, paths, card }: Layout, wanted: string): readonly string[] {
  const files = paths.filter(isDataFile).sort();
  if (files.includes(wanted)) return [wanted];
  if (card === null && !files.some((path) => isMeant(path, "")))
    throw new MatrixError("dataset_invalid", `${root} has no data files`);
  const folder = new Folder(root, files, card);
  return (
    folder.ofConfig(wanted) ??
    folder.ofGlob(wanted) ??
    folder.ofSplit(wanted) ??
    folder.ofFolder(wanted) ??
    folder.ofName(wanted) ??
    folder.refuse(wanted)
  );
}

class Folder {
  readonly #root: string;
  readonly #files: readonly string[];
  readonly #configs: readonly Config[];
  readonly #default: Config | null;

  constructor(root: string, files: readonly string[], card: Card | null) {
    this.#root = root;
    this.#files = files;
    this.#configs = card?.configs ?? [];
    this.#default = this.#configs.find(({ name }) => name === card?.default) ?? null;
  }

  /** The files of CONFIG or CONFIG/SPLIT; null for another path. */
  ofConfig(wanted: string): readonly string[] | null {
    const named = this.#configs
      .filter(({ name }) => wanted === name || wanted.startsWith(`${name}/`))
      .sort((a, b) => b.name.length - a.name.length);
    for (const config of named) {
      const splits = this.#splitsOf(config);
      const split = wanted.slice(config.name.length + 1);
      if (split === "") return this.#only(splits, config.name);
      const files = splits.get(split);
      if (files !== undefined) return ofOneFormat(files);
    }
    return null;
  }

  ofGlob(wanted: string): readonly string[] | null {
    const files = this.#files.filter(
      (path) => wanted !== "" && matchesGlob(path, wanted) && isMeant(path, wanted),
    );
    return files.length === 0 ? null : files;
  }

  /** The files below a folder; those of the default config when `wanted` is empty. */
  ofFolder(wanted: string): readonly string[] | null {
    if (wanted === "" && this.#configs.length > 0)
      return this.#only(this.#splitsOf(this.#chosen()), "");
    const splits = this.#splitsBelow(wanted);
    return splits.size === 0 ? null : this.#only(splits, wanted);
  }

  /** The files of SPLIT, in the default config, or of FOLDER/SPLIT. */
  ofSplit(wanted: string): readonly string[] | null {
    const { folder, name } = partsOf(wanted);
    const files = this.#splitsAt(folder)?.get(name);
    return files === undefined ? null : ofOneFormat(files);
  }

  /** The files with this name but for shard number and ending, such as train_sft. */
  ofName(wanted: string): readonly string[] | null {
    const { folder, name } = partsOf(wanted);
    // Such a file could be of any config.
    if (folder === "" && this.#configs.length > 0) return null;
    const named = this.#below(folder).filter((path) => nameOf(path) === name && isMeant(path, ""));
    return named.length === 0 ? null : ofOneFormat(withFolder(named, folder));
  }

  refuse(wanted: string): never {
    if (this.#configs.length > 0 && !wanted.includes("/")) this.#chosen();
    const names = this.#configs.map(({ name }) => name);
    const config = names.find((name) => wanted.startsWith(`${name}/`));
    const found = this.#configs.find(({ name }) => name === config);
    const hint =
      found !== undefined
        ? `the config ${found.name} has the splits ${[...this.#splitsOf(found).keys()].join(", ")}`
        : names.length > 0
          ? `it has the configs ${shown(names)}`
          : `it has ${this.#shownFiles()}`;
    throw new MatrixError(
      "dataset_invalid",
      `${this.#root} has no file, folder, config or split ${wanted}`,
      { hint },
    );
  }

  /** The default config. Fails when one must be named. */
  #chosen(): Config {
    if (this.#default !== null) return this.#default;
    const names = this.#configs.map(({ name }) => name);
    throw new MatrixError("dataset_invalid", `${this.#root} has several configs: ${shown(names)}`, {
      hint: `choose one, for example ${this.#root}/${names[0]}`,
    });
  }

  #splitsOf({ name, folder, patterns, settings }: Config): Splits {
    if (settings.length > 0)
      throw new MatrixError(
        "dataset_invalid",
        `the config ${name} of ${this.#root} is read with settings that are not known here: ` +
          settings.join(", "),
        { hint: `name its files themselves, for example ${this.#root}/${this.#files[0]}` },
      );
    if (patterns === null) return this.#nonEmpty(this.#splitsBelow(folder), name);
    const below = this.#below(folder);
    const splits = new Map<string, readonly string[]>();
    for (const [split, globs] of patterns) {
      const missing = globs.find((glob) => !isGlob(glob) && matchAll(below, [glob]).length === 0);
      if (missing !== undefined)
        throw new MatrixError(
          "dataset_invalid",
          `the config ${name} of ${this.#root} names the file ${missing}, which is not a data file`,
          { hint: `it has ${shown(below)}` },
        );
      splits.set(split, withFolder(matchAll(below, globs), folder));
    }
    return this.#nonEmpty(splits, name);
  }

  /** The splits of a folder; null when the user must name a config first. */
  #splitsAt(folder: string): Splits | null {
    if (folder !== "" || this.#configs.length === 0) return this.#splitsBelow(folder);
    return this.#default === null ? null : this.#splitsOf(this.#default);
  }

  #nonEmpty(splits: Splits, config: string): Splits {
    const filled = new Map([...splits].filter(([, files]) => files.length > 0));
    if (filled.size > 0) return filled;
    throw new MatrixError(
      "dataset_invalid",
      `${this.#root} has no data files of the config ${config}`,
      { hint: `it has ${this.#shownFiles()}` },
    );
  }

  #shownFiles(): string {
    return shown(this.#files.filter((path) => isMeant(path, "")));
  }

  #splitsBelow(folder: string): Splits {
    const splits = findSplits(this.#below(folder));
    return new Map([...splits].map(([split, files]) => [split, withFolder(files, folder)]));
  }

  /** Paths of the files below a folder, relative to it. */
  #below(folder: string): readonly string[] {
    if (folder === "") return this.#files;
    return this.#files
      .filter((path) => path.startsWith(`${folder}/`))
      .map((path) => path.slice(folder.length + 1));
  }

  /** The files of the only split; the hint keeps the config or folder that was chosen. */
  #only(splits: Splits, chosen: string): readonly string[] {
    const [first, ...others] = [...splits.keys()];
    const place = chosen === "" ? this.#root : `${this.#root}/${chosen}`;
    if (first !== undefined && others.length === 0) return ofOneFormat(splits.get(first) ?? []);
    throw new MatrixError(
      "dataset_invalid",
      `${place} has several splits: ${[...splits.keys()].join(", ")}`,
      { hint: `choose one, for example ${place}/${first}` },
    );
  }
}

/** The folder and the last name of a path. */
function partsOf(path: string): { readonly folder: string; readonly name: string } {
  const slash = path.lastIndexOf("/");
  return { folder: path.slice(0, Math.max(slash, 0)), name: path.slice(slash + 1) };
}

function withFolder(files: readonly string[], folder: string): readonly string[] {
  return folder === "" ? files : files.map((path) => `${folder}/${path}`);
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

const SHOWN_MAX = 5;

function shown(names: readonly string[]): string {
  const more = names.length > SHOWN_MAX ? ` and ${names.length - SHOWN_MAX} more` : "";
  return names.slice(0, SHOWN_MAX).join(", ") + more;
}
