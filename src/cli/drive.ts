// `matrix drive RECIPE`: runs it, or goes on with it where its run directory stands.

import { join, resolve } from "node:path";
import { Command, Option } from "commander";
import { openDataset } from "../dataset/open.ts";
import { readManifest } from "../driver/manifest.ts";
import { connectInMemory } from "../driver/memory-fabric.ts";
import { type FabricParts, type Run, startRun } from "../driver/run.ts";
import { RunDirectory, type RunIdentity } from "../driver/run-directory.ts";
import { RunningTally } from "../driver/tally.ts";
import { EXIT, MatrixError } from "../error.ts";
import { Host } from "../host/host.ts";
import { catchStrayErrors } from "../host/stray-error.ts";
import type { Transport } from "../peer/transport.ts";
import { runtime } from "../platform.ts";
import { systemClock } from "../task/clock.ts";
import { openLog } from "../telemetry/log.ts";
import { createLogSink } from "../telemetry/log-sink.ts";
import { createTracing } from "../telemetry/tracing.ts";
import { version } from "../version.ts";
import { Cluster, type ClusterFlags, checkClusterFlags, wantsHosts } from "./cluster.ts";
import { type OverrideFlags, overrideOptions, overridesOf, wholeNumber } from "./flags.ts";
import { catchInterrupts } from "./interrupts.ts";
import { insecureOption, listenOption, patienceOption } from "./join.ts";
import type { Snapshot } from "./panel.ts";
import { type Prepared, prepare, previewFirstRow, type Scanned, scanRows } from "./prepare.ts";
import { startProgress } from "./progress.ts";
import { renderSummary, type Summary } from "./summary.ts";

/** The one host of a run in one process, as it stands in records. */
const HOST_ID = "driver";

interface DriveFlags extends OverrideFlags, ClusterFlags {
  readonly fresh?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

export function driveCommand(): Command {
  const command = new Command("drive")
    .description(
      "run a recipe, or go on with it where its run directory stands (exit 0: complete, 1: too many failed, 3: stopped, can go on)",
    )
    .argument("<recipe>", "a recipe.toml")
    .argument("[key=value...]", "recipe keys to override: run.concurrency=500 dataset.path=mine.jsonl");
  for (const option of overrideOptions) command.addOption(option);
  return command
    .addOption(new Option("--workers <n>", "start so many local host processes").env("MATRIX_WORKERS").argParser(wholeNumber))
    .addOption(listenOption("wait there for hosts: `matrix agent`"))
    .addOption(insecureOption())
    .addOption(patienceOption())
    .addOption(new Option("--fresh", "begin anew; an earlier run directory is kept as DIR.1").env("MATRIX_FRESH"))
    .addOption(new Option("--json", "the summary as one object on stdout").env("MATRIX_JSON"))
    .addOption(new Option("-q, --quiet", "no progress").env("MATRIX_QUIET"))
    .action(async (recipe: string, keyValues: readonly string[], flags: DriveFlags) => {
      process.exitCode = await drive(recipe, keyValues, flags);
    });
}

async function drive(recipePath: string, keyValues: readonly string[], flags: DriveFlags): Promise<number> {
  checkClusterFlags(flags);
  const prepared = await prepare(recipePath, overridesOf(keyValues, flags));
  const { recipe } = prepared.loaded;
  const path = resolve(recipe.run.output ?? join("runs", recipe.name));
  const earlier = flags.fresh === true ? null : await readManifest(path);
  const scanned = await scanRows(prepared, earlier?.dataset.rows);
  await previewFirstRow(prepared, scanned);
  const directory = await RunDirectory.open(path, {
    identity: identityOf(prepared, scanned),
    recipeText: prepared.loaded.text,
    checkpointDigest: scanned.scan.checkpointDigest,
    fresh: flags.fresh === true,
  });
  const summary = await runIn(directory, prepared, scanned, flags);
  console.log(flags.json === true ? JSON.stringify(jsonOf(summary)) : renderSummary(summary));
  if (summary.error !== null) throw summary.error;
  if (summary.state === "stopped") return EXIT.resumable;
  const missed = summary.failed + summary.lost;
  return missed > recipe.run.fail_above * summary.expected ? EXIT.failedAbove : EXIT.complete;
}

function jsonOf({ error, ...summary }: Summary): object {
  return { ...summary, error: error === null ? null : { code: error.code, message: error.message } };
}

function identityOf({ loaded, simulatedModels, hashes }: Prepared, { scan }: Scanned): RunIdentity {
  const { recipe, resolved } = loaded;
  return {
    name: recipe.name,
    expected: scan.rows * recipe.run.trials,
    simulated: simulatedModels.size > 0,
    seed: recipe.run.seed,
    trials: recipe.run.trials,
    dataset: { rows: scan.rows, digest: scan.digest, ids_digest: scan.idsDigest },
    recipe: resolved,
    hashes,
    versions: { matrix: version, runtime: `${runtime.name} ${runtime.version}` },
  };
}

async function runIn(directory: RunDirectory, prepared: Prepared, { source, scan }: Scanned, flags: DriveFlags): Promise<Summary> {
  const { loaded, agents, rule, simulatedModels } = prepared;
  const { name, run, roles } = loaded.recipe;
  const expected = scan.rows * run.trials;
  const before = directory.recorded.ids.size;
  const tally = new RunningTally();
  const startedAt = performance.now();

  const snapshot = (): Snapshot => ({
    name,
    simulated: simulatedModels.size > 0,
    expected,
    ...directory.counts,
    before,
    inFlight: running?.inFlight ?? 0,
    elapsedMs: performance.now() - startedAt,
    roles: running?.roles ?? [],
    promptTokens: tally.usage.prompt_tokens,
    completionTokens: tally.usage.completion_tokens,
    cost: tally.cost,
    stopping: interrupts.drain.aborted,
  });
  let running: Run | null = null;
  let cluster: Cluster | null = null;
  const progress = startProgress(snapshot, flags.quiet === true);
  const log = openLog(join(directory.path, "logs", `${HOST_ID}.log`), progress.say);
  const releaseErrors = catchStrayErrors(log);
  const interrupts = catchInterrupts(run.grace, (message) => log.write("warning", message));
  if (directory.recorded.tornBytes > 0)
    log.write("warning", "cut a torn last line: its task runs again", { bytes: directory.recorded.tornBytes });
  log.write("info", before > 0 ? "goes on" : "begins", { run: name, expected, recorded: before, runtime: runtime.name, version });

  const tracing = await createTracing(process.env, name, version);
  const rows = await openDataset(source, scan.rows);
  const isRecorded = (rowId: string, trial: number) => before > 0 && directory.recorded.ids.has(rowId, trial);
  const logSink = createLogSink({ folder: join(directory.path, "logs"), show: progress.say });
  const createHost = (transport: Transport) =>
    new Host({
      id: HOST_ID,
      roles: [...agents].map(([name, { agent }]) => ({
        name,
        agent,
        concurrency: roles[name]?.concurrency ?? 1,
        timeoutMs: roles[name]?.timeout ?? 0,
      })),
      rule,
      taskTimeoutMs: run.timeout,
      transport,
      clock: systemClock,
      tracing,
    });
  const connect = async (parts: FabricParts) => {
    if (!wantsHosts(flags)) return connectInMemory(parts, createHost);
    cluster = await Cluster.open({ flags, prepared, directory: directory.path, isRecorded, log, logSink, say: progress.say }, parts);
    return cluster;
  };
  running = await startRun({
    rows,
    trials: run.trials,
    seed: run.seed,
    concurrency: run.concurrency,
    delivery: run.delivery,
    rule,
    simulatedModels,
    isRecorded,
    append: (lines, counts) => directory.append(lines, counts),
    connect,
    onRecord: (record, hops) => {
      tally.add(record, hops);
      if (record.error === null) return;
      const { code, message, role, hop } = record.error;
      log.write("info", `failed: ${code}: ${message}`, {
        row: record.id,
        trial: record.trial,
        ...(role === null ? {} : { role }),
        ...(hop === null ? {} : { hop }),
      });
    },
    clock: systemClock,
    tracing,
    drain: interrupts.drain,
    halt: interrupts.halt,
  });
  const end = await running.ended;
  const elapsedMs = performance.now() - startedAt;

  interrupts.dispose();
  releaseErrors();
  progress.stop();
  await rows.close();
  await tracing?.close();
  await logSink.close();
  const error = await directory.close(end.complete ? "complete" : "stopped").then(
    () => end.error,
    (failure: unknown) => end.error ?? failure,
  );
  log.write("info", end.complete ? "complete" : "stopped", { ...directory.counts, abandoned: end.abandoned });
  await log.close();
  return {
    name,
    directory: directory.path,
    state: end.complete ? "complete" : "stopped",
    simulated: simulatedModels.size > 0,
    expected,
    ...directory.counts,
    recorded_before: before,
    abandoned: end.abandoned,
    elapsed_ms: Math.round(elapsedMs),
    hops: tally.hops,
    usage: tally.usage,
    cost: tally.cost,
    stop_reasons: tally.stopReasons,
    errors: tally.errors,
    score: tally.score.count === 0 ? null : { scored: tally.score.count, mean: tally.score.sum / tally.score.count },
    error: error instanceof MatrixError || error === null ? error : new MatrixError("storage_failed", String(error), { cause: error }),
  };
}
