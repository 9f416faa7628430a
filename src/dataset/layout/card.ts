// The card of a dataset: the YAML head of its README.md, or the file .huggingface.yaml. Its field
// `configs` names parts of the dataset, such as languages, each with its own files and splits.

import { parse } from "yaml";
import { MatrixError, messageOf } from "../../error.ts";
import { isJsonObject, type Json, type JsonObject } from "../../task/json.ts";

/** Files that may have a card. What the last of them says comes first. */
export const CARD_FILES = ["README.md", ".huggingface.yaml"] as const;

export interface Config {
  readonly name: string;
  /** The folder that its files are relative to; "" for that of the card. */
  readonly folder: string;
  /** Globs by split; null when names of files and folders tell the splits. */
  readonly patterns: ReadonlyMap<string, readonly string[]> | null;
  /** Settings by which other programs read its files in another way, such as `sep`. */
  readonly settings: readonly string[];
}

export interface Card {
  readonly configs: readonly Config[];
  /** The config that is meant when none is named; null when one must be named. */
  readonly default: string | null;
}

/** Settings that change nothing about which rows there are and which fields they have. */
const PLAIN_SETTINGS: ReadonlySet<string> = new Set([
  ...["config_name", "data_files", "data_dir", "default", "description", "version", "features"],
  ...["drop_labels", "drop_metadata", "license", "builder_name", "chunksize", "batch_size"],
]);

const HEAD = /^\s*---[\r\n]+([\s\S]*?)[\r\n]+---(?:\r\n|\n|$)/;

/**
 * Reads the card of a dataset from the texts of its CARD_FILES. Answers null when none of them has
 * configs. `root` is the name of the dataset in messages. Fails with `dataset_invalid`.
 */
export function parseCard(root: string, texts: ReadonlyMap<string, string>): Card | null {
  let fields: JsonObject = {};
  for (const file of CARD_FILES) {
    const text = texts.get(file);
    const yaml = file === "README.md" ? HEAD.exec(text ?? "")?.[1] : text;
    if (yaml !== undefined) fields = { ...fields, ...parseYaml(`${root}/${file}`, yaml) };
  }
  const entries = fields["configs"];
  if (entries === undefined || entries === null) return null;
  if (!Array.isArray(entries)) throw invalid(root, "`configs` is not a list");
  if (entries.length === 0) return null;
  const configs = entries.map((entry) => configOf(root, entry));
  return { configs, default: defaultOf(root, configs, entries, fields["dataset_info"]) };
}

/** A head that is no YAML matters only where it has configs. */
function parseYaml(file: string, text: string): JsonObject {
  try {
    const value: unknown = parse(text);
    return isJsonObject(value as Json) ? (value as JsonObject) : {};
  } catch (cause) {
    if (!/^configs\s*:/m.test(text)) return {};
    const [why = ""] = messageOf(cause).split("\n");
    throw new MatrixError("dataset_invalid", `the card ${file} is not valid YAML: ${why}`, {
      cause,
    });
  }
}

function configOf(root: string, entry: Json): Config {
  const name = isJsonObject(entry) ? entry["config_name"] : undefined;
  if (!isJsonObject(entry) || (typeof name !== "string" && typeof name !== "number"))
    throw invalid(root, "an entry of `configs` has no `config_name`");
  const { data_dir: folder = null, data_files: files = null } = entry;
  if (folder !== null && (typeof folder !== "string" || !isBelow(folder)))
    throw invalid(root, `\`data_dir\` of the config ${name} is not a folder below the dataset`);
  const patterns = files === null ? null : patternsOf(files);
  const paths = patterns === null ? [] : [...patterns.values()].flat();
  if (files !== null && patterns === null)
    throw invalid(root, `\`data_files\` of the config ${name} are not paths, or paths by split`);
  const outside = paths.find((path) => !isBelow(path));
  if (outside !== undefined)
    throw invalid(root, `the config ${name} has files elsewhere, which are not read: ${outside}`);
  return {
    name: String(name),
    folder: (folder ?? "").replace(/^(?:\.\/)+|^\.$|\/+$/g, ""),
    patterns,
    settings: Object.keys(entry).filter((key) => !PLAIN_SETTINGS.has(key)),
  };
}

/** The globs of each split; null for anything else. Paths without a split are those of train. */
function patternsOf(files: Json): ReadonlyMap<string, readonly string[]> | null {
  const plain = textsOf(files);
  if (plain !== null) return new Map([["train", plain]]);
  const pairs = Array.isArray(files)
    ? files.map((item) => (isJsonObject(item) ? [item["split"], item["path"]] : []))
    : Object.entries(files ?? {});
  const patterns = new Map<string, readonly string[]>();
  for (const [split, path = null] of pairs) {
    const globs = textsOf(path);
    if (typeof split !== "string" || globs === null || patterns.has(split)) return null;
    patterns.set(split, globs);
  }
  return patterns.size === 0 ? null : patterns;
}

/** A text, or a list of texts, as a list; null for anything else. */
function textsOf(value: Json): readonly string[] | null {
  const list = Array.isArray(value) ? value : [value];
  return list.length > 0 && list.every((one) => typeof one === "string") ? list : null;
}

function isBelow(path: string): boolean {
  return (
    !/^[a-z][a-z0-9+.-]*:\/\//i.test(path) &&
    !path.startsWith("/") &&
    !path.split("/").includes("..")
  );
}

/**
 * The only config, the one named "default" or marked `default: true`, or the only one that the card
 * describes.
 */
function defaultOf(
  root: string,
  configs: readonly Config[],
  entries: readonly Json[],
  described: Json | undefined,
): string | null {
  const marked = configs.filter(
    ({ name }, index) =>
      configs.length === 1 || name === "default" || isMarked(entries[index] ?? null),
  );
  const [first, second] = marked;
  if (first !== undefined && second !== undefined)
    throw invalid(root, `it has several default configs: ${first.name} and ${second.name}`);
  if (first !== undefined) return first.name;
  const infos = Array.isArray(described) ? described : [described ?? null];
  const [info, more] = infos.filter((value) => isJsonObject(value));
  const only = more === undefined ? String(info?.["config_name"] ?? "default") : null;
  return configs.some(({ name }) => name === only) ? only : null;
}

function isMarked(entry: Json): boolean {
  return isJsonObject(entry) && entry["default"] === true;
}

function invalid(root: string, what: string): MatrixError {
  return new MatrixError("dataset_invalid", `the card of ${root} cannot be read: ${what}`, {
    hint: `name the files themselves: ${root}/FOLDER or ${root}/*.parquet`,
  });
}
