// `matrix export DIR… --to FORMAT -o PATH` writes the records of runs as files that training
// programs load.

import { Command, InvalidArgumentError, Option } from "commander";
import { hubAccess } from "../dataset/hub-access.ts";
import { MatrixError } from "../error.ts";
import { type ExportOptions, type ExportSummary, exportRuns } from "../export/export.ts";
import { FORMATS } from "../export/formats.ts";
import type { HubExportSummary } from "../export/hub/export-to-hub.ts";
import type { Part } from "../export/parts.ts";
import type { PerspectiveOptions } from "../export/perspective.ts";
import type { Judgement, SelectionRules } from "../export/selection.ts";
import { parseSplits, type Split, WHOLE } from "../export/split.ts";
import { omittedParts, unpairedRows } from "../export/tally.ts";
import { nearestWord } from "../recipe/complaint.ts";
import type { Expression } from "../recipe/expression/expression.ts";
import { printable } from "../task/printable.ts";
import { schemeOf } from "../task/scheme.ts";
import { isUnanswered, UNANSWERED, type Unanswered } from "../task/task.ts";
import { celExpression, jsonOption } from "./flags.ts";
import { refuseAddress } from "./local-paths.ts";
import { formatDuration, grouped } from "./text/figures.ts";

interface ExportFlags {
  readonly to: string;
  readonly output: string;
  readonly filter?: Expression;
  readonly annotated?: Judgement;
  readonly minScore?: number;
  readonly include?: ReadonlySet<Unanswered>;
  readonly dedupe?: "exact" | "near";
  readonly split: readonly Split[];
  readonly as?: ReadonlyMap<string, Part>;
  readonly trainOn?: readonly string[];
  readonly tools?: Expression;
  readonly prompts: boolean;
  readonly license?: string;
  readonly structs?: boolean;
  readonly goodScore: number;
  readonly groundTruth?: Expression;
  readonly force?: boolean;
  readonly public?: boolean;
  readonly json?: boolean;
}

/** The name of a format. An unknown name is told the nearest one, such as trl-kto for kto. */
function formatNamed(given: string): string {
  const names = Object.keys(FORMATS);
  if (names.includes(given)) return given;
  const wanted = given.toLowerCase().replaceAll(/[_ ]/g, "-");
  const near = names.find((name) => name.split("-").includes(wanted)) ?? nearestWord(wanted, names);
  throw new InvalidArgumentError(
    `${near === undefined ? "" : `Did you mean ${near}? `}Allowed choices are ${names.join(", ")}.`,
  );
}

const OPTIONS: readonly Option[] = [
  new Option("--to <format>", "the format to write")
    .env("MATRIX_TO")
    .choices(Object.keys(FORMATS))
    .argParser(formatNamed)
    .makeOptionMandatory(),
  new Option(
    "-o, --output <path>",
    "a file, a folder for one file per split and a dataset card, or hf://OWNER/NAME on the hub",
  )
    .env("MATRIX_OUTPUT")
    .makeOptionMandatory(),
  new Option(
    "--filter <cel>",
    "take only records for which this is true: score > 0.5 && row.lang == 'en'",
  )
    .env("MATRIX_FILTER")
    .argParser(celExpression),
  new Option(
    "--annotated <what>",
    "take only records that people judged so: accepted, rejected, or label=NAME",
  )
    .env("MATRIX_ANNOTATED")
    .argParser(annotated),
  new Option("--min-score <n>", "take only records with at least this score")
    .env("MATRIX_MIN_SCORE")
    .argParser(number),
  new Option(
    "--include <reasons>",
    `also take records that ended for these reasons: ${UNANSWERED.join(", ")}`,
  )
    .env("MATRIX_INCLUDE")
    .argParser(reasons),
  new Option("--dedupe <how>", "leave out conversations that repeat an earlier one")
    .env("MATRIX_DEDUPE")
    .choices(["exact", "near"]),
  new Option(
    "--split <shares>",
    "train=0.9,test=0.1: shares of the rows; trials of a row stay together",
  )
    .env("MATRIX_SPLIT")
    .argParser(parseSplits)
    .default(WHOLE, "all in train"),
  new Option(
    "--as <roles>",
    "student=assistant,teacher=user: the part of each role; other roles are left out",
  )
    .env("MATRIX_AS")
    .argParser(parseParts),
  new Option("--train-on <roles>", "train only on these of the roles that are assistants")
    .env("MATRIX_TRAIN_ON")
    .argParser(names),
  new Option(
    "--tools <cel>",
    "where the tools of a record are, such as row.tools (default: the tools of the assistant's role)",
  )
    .env("MATRIX_TOOLS")
    .argParser(celExpression),
  new Option(
    "--ground-truth <cel>",
    "where the right answer of a record is (default: row.ground_truth, answer, solution, label or target)",
  )
    .env("MATRIX_GROUND_TRUTH")
    .argParser(celExpression),
  new Option("--good-score <n>", "the score from which on trl-kto calls an answer good")
    .env("MATRIX_GOOD_SCORE")
    .argParser(number)
    .default(0.5),
  new Option(
    "--structs",
    "write columns of plain structs and text in place of JSON, for datasets before 4.7 and for SQL",
  ).env("MATRIX_STRUCTS"),
  new Option("--no-prompts", "leave out the prompts of the recipe").env("MATRIX_NO_PROMPTS"),
  new Option("--license <id>", "license of the dataset, for its card").env("MATRIX_LICENSE"),
  new Option("--force", "replace existing files").env("MATRIX_FORCE"),
  new Option("--public", "with hf://: make a new dataset readable by all (default: private)").env(
    "MATRIX_PUBLIC",
  ),
  jsonOption("print the summary as one object on stdout"),
];

const NO_PAIR =
  "warning: the file is empty, because no row has two answers with other scores and other texts\n" +
  "hint: matrix drive --trials 5 makes more trials of each row";

export function exportCommand(): Command {
  const command = new Command("export")
    .description("write the records of runs as training data")
    .argument("<dir...>", "run directories")
    .addHelpText(
      "after",
      `\nFormats:\n${Object.entries(FORMATS)
        .map(([name, { about }]) => `  ${name.padEnd(11)} ${about}`)
        .join("\n")}`,
    );
  for (const option of OPTIONS) command.addOption(option);
  return command.action(async (directories: readonly string[], flags: ExportFlags) => {
    const format = FORMATS[flags.to];
    if (format === undefined) throw new MatrixError("usage", `no format ${flags.to}`);
    const options = {
      ...{ directories, format, formatName: flags.to, output: flags.output, splits: flags.split },
      ...{ rules: rulesOf(flags), perspective: perspectiveOf(flags) },
      ...{ license: flags.license ?? null, force: flags.force === true },
      ...{ structs: flags.structs === true, goodScore: flags.goodScore },
      groundTruth: flags.groundTruth ?? null,
    };
    const summary = await write(options, flags.public === true);
    console.log(printable(flags.json === true ? JSON.stringify(summary) : textOf(summary)));
    const isEmpty = Object.values(summary.examples).every((count) => count === 0);
    if (flags.to === "trl-dpo" && isEmpty) console.error(NO_PAIR);
  });
}

/** Writes an export to the file, the folder or the dataset of the hub that its output names. */
async function write(
  options: ExportOptions,
  isPublic: boolean,
): Promise<ExportSummary & Partial<HubExportSummary>> {
  if (schemeOf(options.output) === "hf") {
    const { exportToHub } = await import("../export/hub/export-to-hub.ts");
    const access = await hubAccess(process.env);
    return exportToHub({ ...options, access, isPublic, wait: pauseAloud });
  }
  refuseAddress("--output", options.output);
  if (isPublic)
    throw new MatrixError("usage", "--public is for a dataset of the hub", {
      hint: "name one with -o hf://OWNER/NAME, or leave out --public",
    });
  return exportRuns(options);
}

async function pauseAloud(ms: number): Promise<void> {
  console.error(`the hub is busy: next try in ${formatDuration(ms)}`);
  await new Promise((resolve) => setTimeout(resolve, ms));
}

function rulesOf({
  filter,
  annotated: judged,
  minScore,
  include,
  dedupe,
}: ExportFlags): SelectionRules {
  return {
    filter: filter ?? null,
    annotated: judged ?? null,
    minScore: minScore ?? null,
    include: include ?? new Set(),
    dedupe: dedupe ?? null,
  };
}

function perspectiveOf({ as, trainOn, tools, prompts }: ExportFlags): PerspectiveOptions {
  return { as: as ?? null, trainOn: trainOn ?? null, tools: tools ?? null, withPrompts: prompts };
}

function textOf(summary: ExportSummary & Partial<HubExportSummary>): string {
  const { files, records, left_out: leftOut, omitted, examples, simulated, hub } = summary;
  const parts = Object.entries(examples).map(([name, count]) => `${name} ${grouped(count)}`);
  const label = simulated ? " (simulated model)" : "";
  return [
    `${files.join(", ")}: ${parts.join(", ")}, from ${grouped(records)} records${label}`,
    ...countsText("left out", leftOut),
    ...omittedText(omittedParts(omitted)),
    ...countsText("rows without a pair", unpairedRows(omitted)),
    ...(hub === undefined ? [] : hubText(hub)),
  ].join("\n");
}

function hubText(hub: HubExportSummary["hub"]): string[] {
  return [
    `${hub.private ? "private" : "public"} dataset: ${hub.url}`,
    hub.commit === null
      ? "the dataset had exactly these files already"
      : `commit ${hub.commit}, ${grouped(hub.uploaded_bytes)} bytes uploaded`,
  ];
}

/** Counts of parts that are not in the files, in sentences of their own where they need one. */
function omittedText(omitted: Readonly<Record<string, number>>): string[] {
  const { examples_without_prompt, answers_without_score, lone_surrogates, ...parts } = omitted;
  return [
    ...countsText("no place in this format", parts),
    ...sentence(examples_without_prompt, "left out because nothing comes before the first answer"),
    ...sentence(answers_without_score, "answers left out because they have no score"),
    ...sentence(lone_surrogates, "examples with halves of characters, each replaced by U+FFFD"),
  ];
}

function sentence(count = 0, what: string): string[] {
  return count === 0 ? [] : [`${what}: ${grouped(count)}`];
}

/** A line with the counts that are not 0; none without any. */
function countsText(title: string, counts: Readonly<Record<string, number>>): string[] {
  const found = Object.entries(counts).filter(([, count]) => count > 0);
  const texts = found.map(([name, count]) => `${name.replaceAll("_", " ")} ${grouped(count)}`);
  return texts.length === 0 ? [] : [`${title}: ${texts.join(", ")}`];
}

function annotated(text: string): Judgement {
  const label = /^label=(.+)$/s.exec(text)?.[1];
  if (label !== undefined) return { label };
  if (text === "accepted" || text === "rejected") return { verdict: text };
  throw new InvalidArgumentError("It must be accepted, rejected, or label=NAME.");
}

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value))
    throw new InvalidArgumentError("It must be a number.");
  return value;
}

function reasons(text: string): ReadonlySet<Unanswered> {
  const given = names(text);
  if (given.every(isUnanswered)) return new Set(given);
  throw new InvalidArgumentError(
    `It must be some of ${UNANSWERED.join(", ")}, separated by commas.`,
  );
}

function names(text: string): readonly string[] {
  return text.split(",").map((name) => name.trim());
}

function parseParts(text: string): ReadonlyMap<string, Part> {
  const pairs = names(text).map((pair) => pair.split("=").map((word) => word.trim()));
  return new Map(
    pairs.map(([role = "", part = "", ...more]) => {
      if (role !== "" && more.length === 0 && (part === "assistant" || part === "user"))
        return [role, part];
      throw new InvalidArgumentError(
        "It must be ROLE=assistant or ROLE=user, several separated by commas.",
      );
    }),
  );
}
