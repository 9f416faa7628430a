// `matrix drive RECIPE`: runs it, or goes on with it where its run directory stands.

import { join, resolve } from "node:path";
import { Command, Option } from "commander";
import { openDataset } from "../dataset/open.ts";
import { EXIT, MatrixError } from "../error.ts";

import { runtime } from "../platform.ts";
import type { RunIdentity } from "../records/manifest.ts";
import { readManifest } from "../records/manifest.ts";
import { RunDirectory } from "../records/run-directory.ts";
import { checkCache } from "../run/answers.ts";

import { type Prepared, prepare, previewFirstRow, scanRows } from "../run/prepare.ts";
import { checkReplayOutput, openReplay, type Work } from "../run/replay.ts";
import { type RunFlags, type RunRows, runRecipe } from "../run/run-recipe.ts";
import { version } from "../version.ts";
import { checkClusterFlags } from "./cluster-flags.ts";
import { dryRun } from "./dry-run.ts";
import {
  insecureOption,
  listenOption,
  metricsOption,
  type OverrideFlags,
  overrideOptions,
  overridesOf,
  patienceOption,
  wholeNumber,
} from "./flags.ts";
import { checkReplayFlags } from "./replay-flags.ts";
import { renderSummary, type Summary } from "./summary.ts";

interface DriveFlags extends OverrideFlags, RunFlags {
  readonly dryRun?: boolean;
  readonly like?: string;
  readonly fresh?: boolean;
  /** A run directory. */
  readonly replay?: string;
  readonly json?: boolean;
}

export function driveCommand(): Command {
  const command = new Command("drive")
    .description(
      "run a recipe, or go on with it where its run directory stands (exit 0: complete, 1: too many failed, 3: stopped, can go on)",
    )
    .argument("<recipe>", "a recipe.toml")
    .argument(
      "[key=value...]",
      "recipe keys to override: run.concurrency=500 dataset.path=mine.jsonl",
    );
  for (const option of overrideOptions) command.addOption(option);
  return command
    .addOption(
      new Option("--workers <n>", "start so many local host processes")
        .env("MATRIX_WORKERS")
        .argParser(wholeNumber),
    )
    .addOption(listenOption("wait there for hosts: `matrix agent`"))
    .addOption(insecureOption())
    .addOption(patienceOption())
    .addOption(metricsOption())
    .addOption(
      new Option("--fresh", "begin anew; an earlier run directory is kept as DIR.1").env(
        "MATRIX_FRESH",
      ),
    )
    .addOption(
      new Option(
        "--replay <dir>",
        "the records of another run once more, by this recipe's rules and without a model",
      ).env("MATRIX_REPLAY"),
    )
    .addOption(
      new Option(
        "--dry-run",
        "forecast requests, tokens, money and time; nothing is asked or written",
      ).env("MATRIX_DRY_RUN"),
    )
    .addOption(
      new Option("--like <dir>", "forecast from the records of another run").env("MATRIX_LIKE"),
    )
    .addOption(new Option("--json", "the summary as one object on stdout").env("MATRIX_JSON"))
    .addOption(new Option("-q, --quiet", "no progress").env("MATRIX_QUIET"))
    .action(async (recipe: string, keyValues: readonly string[], flags: DriveFlags) => {
      process.exitCode = await drive(recipe, keyValues, flags);
    });
}

async function drive(
  recipePath: string,
  keyValues: readonly string[],
  flags: DriveFlags,
): Promise<number> {
  checkClusterFlags(flags);
  if (flags.replay !== undefined) checkReplayFlags(flags);
  if (flags.dryRun === true) {
    await dryRun(recipePath, overridesOf(keyValues, flags), flags);
    return EXIT.complete;
  }
  if (flags.like !== undefined)
    throw new MatrixError("usage", "--like is about a forecast: it needs --dry-run");
  const prepared = await prepare(recipePath, overridesOf(keyValues, flags));
  const { recipe } = prepared.loaded;
  const path = resolve(
    recipe.run.output ??
      join("runs", flags.replay === undefined ? recipe.name : `${recipe.name}-replay`),
  );
  if (flags.replay !== undefined) checkReplayOutput(flags.replay, path);
  const earlier = flags.fresh === true ? null : await readManifest(path);
  const work =
    flags.replay === undefined
      ? await openScanned(prepared, earlier?.dataset.rows)
      : await openReplay(prepared, flags.replay, earlier?.dataset.rows);
  const directory = await RunDirectory.open(path, {
    identity: identityOf(prepared, work.rows),
    recipeText: prepared.loaded.text,
    checkpointDigest: work.rows.scan.checkpointDigest,
    fresh: flags.fresh === true,
  });
  const summary = await runRecipe(directory, work.prepared, work.rows, flags);
  // What was refused before it began has no summary.
  if (summary.error?.exitCode === EXIT.refused) throw summary.error;
  console.log(flags.json === true ? JSON.stringify(jsonOf(summary)) : renderSummary(summary));
  if (summary.error !== null) throw summary.error;
  if (summary.state === "stopped") return EXIT.resumable;
  const missed = summary.failed + summary.lost;
  return missed > recipe.run.fail_above * summary.expected ? EXIT.failedAbove : EXIT.complete;
}

function jsonOf({ error, ...summary }: Summary): object {
  return {
    ...summary,
    error: error === null ? null : { code: error.code, message: error.message },
  };
}

function identityOf(
  { loaded, hashes }: Prepared,
  { expected, trials, seed, simulated, scan, replay }: RunRows,
): RunIdentity {
  const { recipe, resolved } = loaded;
  return {
    name: recipe.name,
    expected,
    simulated,
    seed,
    trials,
    dataset: { rows: scan.rows, digest: scan.digest, ids_digest: scan.idsDigest },
    ...(replay === null ? {} : { replay }),
    recipe: resolved,
    hashes,
    versions: { matrix: version, runtime: `${runtime.name} ${runtime.version}` },
  };
}

/** The dataset's rows, when the first of them has come as far as its first role. `checkpoint`: how many there were before. */
async function openScanned(prepared: Prepared, checkpoint: number | undefined): Promise<Work> {
  const scanned = await scanRows(prepared, checkpoint);
  await previewFirstRow(prepared, scanned);
  await checkCache(prepared);
  const { source, scan } = scanned;
  const { trials, seed } = prepared.loaded.recipe.run;
  const open = () => openDataset(source, scan.rows);
  return {
    prepared,
    rows: {
      expected: scan.rows * trials,
      trials,
      seed,
      simulated: prepared.simulated,
      scan,
      replay: null,
      open,
    },
  };
}
