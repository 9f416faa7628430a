// The dataset card: README.md of an exported folder. The hub and the `datasets` library read its
// head: files, splits and the types of the columns. The rest is for people: first of all a warning
// if a model was simulated, then the runs that the records come from and what was left out.

import { readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { masked } from "../known-secrets.ts";
import type { JsonObject } from "../task/json.ts";
import { version } from "../version.ts";
import type { Columns, ColumnType } from "./contract.ts";
import type { Source } from "./sources.ts";
import { type ExportTally, omittedParts, unpairedRows } from "./tally.ts";

export interface Card {
  readonly name: string;
  /** The name of the format, as --to takes it. */
  readonly format: string;
  readonly columns: Columns | null;
  /** The dataset's licence; null when the user has not stated one. */
  readonly license: string | null;
  readonly sources: readonly Source[];
  readonly splits: readonly CardSplit[];
  readonly tally: ExportTally;
}

export interface CardSplit {
  readonly name: string;
  /** Its file, which is complete when the card is made. */
  readonly path: string;
  readonly examples: number;
}

/** The text of the card. */
export async function renderCard(card: Card): Promise<string> {
  const head = await headOf(card);
  return [
    "---",
    ...Object.entries(head).map(([key, value]) => `${key}: ${JSON.stringify(value)}`),
    "---",
    "",
    await bodyOf(card),
  ].join("\n");
}

/** The head. Its values are written as JSON, which is YAML too. */
async function headOf({ name, columns, license, splits, tally }: Card): Promise<JsonObject> {
  const sizes = await Promise.all(splits.map(async ({ path }) => (await stat(path)).size));
  const total = splits.reduce((sum, { examples }) => sum + examples, 0);
  const info = {
    features: columns === null ? [] : featuresOf(inFiles(columns, splits)),
    splits: splits.map(({ name, examples }, index) => ({
      name,
      num_bytes: sizes[index] ?? 0,
      num_examples: examples,
    })),
    download_size: sizes.reduce((sum, size) => sum + size, 0),
    dataset_size: sizes.reduce((sum, size) => sum + size, 0),
  };
  return {
    ...(license === null ? {} : { license }),
    pretty_name: name,
    tags: ["synthetic", "matrix", ...(tally.simulated ? ["simulated"] : [])],
    size_categories: [sizeCategory(total)],
    configs: [
      {
        config_name: "default",
        data_files: splits.map(({ name, path }) => ({ split: name, path: basename(path) })),
      },
    ],
    ...(columns === null ? {} : { dataset_info: info }),
  };
}

/** The columns as a file holds them: JSON lines have media as text. */
function inFiles(columns: Columns, [first]: readonly CardSplit[]): Columns {
  if (first?.path.endsWith(".parquet")) return columns;
  const isMedia = (type: ColumnType) =>
    typeof type === "object" && "list" in type && (type.list === "image" || type.list === "audio");
  return Object.fromEntries(
    Object.entries(columns).map(([name, type]) => [
      name,
      isMedia(type) ? { list: "string" } : type,
    ]),
  );
}

function featuresOf(columns: Columns): JsonObject[] {
  return Object.entries(columns).map(([name, type]) => ({ name, ...featureOf(type) }));
}

function featureOf(type: ColumnType): JsonObject {
  if (typeof type === "string") return { dtype: dtypeOf(type) };
  if ("struct" in type) return { struct: featuresOf(type.struct) };
  if (type.list === "audio") return { list: { audio: { decode: false } } };
  if (typeof type.list === "string") return { list: dtypeOf(type.list) };
  return "struct" in type.list
    ? { list: featuresOf(type.list.struct) }
    : { list: featureOf(type.list) };
}

function dtypeOf(type: Extract<ColumnType, string>): string {
  return type === "message" ? "json" : type;
}

/** The size class of a dataset, as the hub names it. */
function sizeCategory(examples: number): string {
  if (examples < 1000) return "n<1K";
  const names = ["1K", "10K", "100K", "1M", "10M", "100M", "1B"];
  const index = Math.min(Math.floor(Math.log10(examples)) - 3, names.length - 2);
  return `${names[index]}<n<${names[index + 1]}`;
}

async function bodyOf(card: Card): Promise<string> {
  const { name, format, license, sources, splits, tally } = card;
  const simulated = tally.simulated
    ? [
        "> **Simulated.** Answers in this dataset come from a simulated model. " +
          "Use it to try things out and not to train a model.",
        "",
      ]
    : [];
  const text = [
    `# ${name}`,
    "",
    ...simulated,
    `Made with matrix ${version}, exported as \`${format}\`.`,
    "",
    "| split | examples |",
    "| --- | ---: |",
    ...splits.map(({ name, examples }) => `| ${name} | ${examples} |`),
    "",
    "## Where it comes from",
    "",
    "| run | records | seed | trials a row | rows | made |",
    "| --- | ---: | ---: | ---: | ---: | --- |",
    ...sources.map(({ manifest }) => runRow(manifest)),
    "",
    `Of ${tally.records} records, left out: ${countsText(tally.leftOut)}.`,
    ...omittedText(tally),
    "",
    "| model | answers | tokens |",
    "| --- | ---: | ---: |",
    ...[...tally.models].map(
      ([model, { answers, completionTokens }]) =>
        `| ${cell(model)} | ${answers} | ${completionTokens} |`,
    ),
    "",
    // Runs of one recipe have the same parts, which are written once.
    ...new Set(sources.flatMap(partsOf)),
    "## Licences",
    "",
    `- this dataset: ${license ?? "not stated yet"}`,
    "- the rows that it was made from: not stated yet",
    ...[...tally.models.keys()].map(
      (model) => `- ${model}, on what its answers may be used for: not stated yet`,
    ),
    "",
    ...(await Promise.all(sources.map(recipeOf))).flat(),
  ].join("\n");
  return masked(text);
}

function runRow({
  name,
  ok,
  failed,
  lost,
  seed,
  trials,
  dataset,
  updated_at: at,
}: Source["manifest"]): string {
  const cells = [cell(name), ok + failed + lost, seed, trials, dataset.rows, at.slice(0, 10)];
  return `| ${cells.join(" | ")} |`;
}

/** Sentences on what the format has no place for, and on rows without a pair; none without any. */
function omittedText({ omitted }: ExportTally): string[] {
  const sentences = [
    ["Without a place in this format", countsText(omittedParts(omitted))],
    ["Rows without a pair", countsText(unpairedRows(omitted))],
  ];
  return sentences.flatMap(([title, counts]) =>
    counts === "none" ? [] : [`${title}: ${counts}.`],
  );
}

function countsText(counts: Readonly<Record<string, number>>): string {
  const reasons = Object.entries(counts).filter(([, count]) => count > 0);
  return reasons.length === 0
    ? "none"
    : reasons.map(([reason, count]) => `${count} ${reason.replaceAll("_", " ")}`).join(", ");
}

/** A sentence about the parts of the recipe's roles; none for a format of whole records. */
function partsOf({ manifest, perspective }: Source): string[] {
  if (perspective === null) return [];
  const parts = [...perspective.parts].map(([role, part]) => {
    const trained = perspective.trained.has(role) ? ", trained on" : "";
    return `\`${role}\` is the ${part}${trained}`;
  });
  return [`In ${manifest.name}, ${parts.join("; ")}.\n`];
}

/**
 * The recipe of a run. Absolute paths are cut to their last name: they lead nowhere on another
 * machine and tell about this one.
 */
async function recipeOf({ directory, manifest }: Source): Promise<string[]> {
  const text = await readFile(join(directory, "recipe.toml"), "utf8").catch(() => "");
  const recipe = text.replace(/"\/(?:[^"\n]*\/)?([^"\n/]*)"/g, '"…/$1"');
  if (recipe === "") return [];
  return [
    "<details>",
    `<summary>Recipe of ${manifest.name}</summary>`,
    "",
    "```toml",
    recipe.trimEnd(),
    "```",
    "",
    "</details>",
    "",
  ];
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}
