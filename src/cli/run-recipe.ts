// One start of a run in its directory: everything that lives as long as it does is opened here, and closed again whatever
// happens.

import { join } from "node:path";
import type { RowStream } from "../dataset/open.ts";
import type { DatasetScan } from "../dataset/scan.ts";
import { Journal, removeJournal } from "../driver/journal.ts";
import { atLeast, Ledger, usedUp } from "../driver/ledger.ts";
import { connectInMemory } from "../driver/memory-fabric.ts";
import { Rates } from "../driver/rates.ts";
import { type Fabric, type FabricParts, type Run, type RunEnd, startRun } from "../driver/run.ts";
import type { RunDirectory } from "../driver/run-directory.ts";
import { RunningTally } from "../driver/tally.ts";
import { MatrixError } from "../error.ts";
import { captureConsole } from "../host/console.ts";
import { Host } from "../host/host.ts";
import { catchStrayErrors } from "../host/stray-error.ts";
import { TurnPermits } from "../model/permits.ts";
import { NOTHING_SPENT } from "../model/site.ts";
import type { HostTransport } from "../peer/transport.ts";
import { runtime } from "../platform.ts";
import { randomId } from "../random-id.ts";
import type { SandboxSite } from "../sandbox/site.ts";
import { systemClock } from "../task/clock.ts";
import type { RecordHead } from "../task/record.ts";
import { type Log, openLog } from "../telemetry/log.ts";
import { createLogSink } from "../telemetry/log-sink.ts";
import { createMetrics } from "../telemetry/metrics.ts";
import { createTracing, type Tracing } from "../telemetry/tracing.ts";
import { version } from "../version.ts";
import { type KeptAnswers, openAnswers, wantsJournal } from "./answers.ts";
import { Cluster, type ClusterFlags, DRIVER_NAME, dismissWorkers, wantsHosts } from "./cluster.ts";
import { catchInterrupts } from "./interrupts.ts";
import { readToken } from "./join.ts";
import { ratesOf } from "./limits.ts";
import { serveMetrics } from "./metrics-server.ts";
import type { Snapshot } from "./panel.ts";
import type { Prepared } from "./prepare.ts";
import { startProgress } from "./progress.ts";
import type { Summary } from "./summary.ts";

export interface RunFlags extends ClusterFlags {
  readonly metrics?: string;
  readonly quiet?: boolean;
}

/** What is run: the rows of a dataset, or the records of another run. */
export interface RunRows {
  /** Records at the end. */
  readonly expected: number;
  readonly trials: number;
  readonly seed: number;
  readonly simulated: boolean;
  readonly scan: DatasetScan;
  /** The run directory whose records they are; null for a dataset. */
  readonly replay: string | null;
  readonly open: () => Promise<RowStream>;
}

/** How often what was spent is noted down: what a killed driver may forget of itself. */
const SPENT_MS = 500;

export async function runRecipe(directory: RunDirectory, prepared: Prepared, work: RunRows, flags: RunFlags): Promise<Summary> {
  const { loaded, rule, simulatedModels, modelSite } = prepared;
  const { name, run } = loaded.recipe;
  const { expected, simulated } = work;
  const isReplay = work.replay !== null;
  const before = directory.recorded.ids.size;
  const tally = new RunningTally();
  const isAlone = !wantsHosts(flags);
  const rates = new Rates(ratesOf(loaded.recipe));
  // Nobody is left who could go on with what a host has said before.
  const alone = { ...atLeast(directory.spent, isReplay ? NOTHING_SPENT : directory.recorded.used), hosts: {} };
  const ledger = new Ledger(isAlone ? alone : directory.spent, run.budget);
  if (isAlone) {
    modelSite.permits = new TurnPermits(rates.models, rates);
    modelSite.onSpent = (spent) => ledger.report(DRIVER_NAME, spent);
  }
  const startedAt = performance.now();
  let running: Run | null = null;
  let cluster: Cluster | null = null;
  /** Started while the run begins, if it comes to that. */
  const started: { sandboxes: SandboxSite | null; scraped: ReturnType<typeof serveMetrics>; answers: KeptAnswers | null } = {
    sandboxes: null,
    scraped: null,
    answers: null,
  };

  const snapshot = (): Snapshot => ({
    name,
    simulated,
    expected,
    ...directory.counts,
    before,
    inFlight: running?.inFlight ?? 0,
    elapsedMs: performance.now() - startedAt,
    roles: running?.roles ?? [],
    promptTokens: tally.usage.prompt_tokens,
    completionTokens: tally.usage.completion_tokens,
    cost: tally.cost,
    stopping: drain.aborted,
  });
  const progress = startProgress(snapshot, flags.quiet === true);
  const log = openLog(join(directory.path, "logs", `${DRIVER_NAME}.log`), progress.say);
  const logSink = createLogSink({ folder: join(directory.path, "logs"), show: progress.say });
  const releaseErrors = catchStrayErrors(log);
  const releaseConsole = captureConsole(log);
  const interrupts = catchInterrupts(run.grace, (message) => log.write("warning", message));
  const drain = AbortSignal.any([interrupts.drain, ledger.spentUp]);
  if (directory.recorded.tornBytes > 0)
    log.write("warning", "cut a torn last line: its task runs again", { bytes: directory.recorded.tornBytes });
  log.write("info", before > 0 ? "goes on" : "begins", { run: name, expected, recorded: before, runtime: runtime.name, version });

  onAbort(ledger.spentUp, () => {
    log.write(
      "warning",
      `run.budget is used up (${usedUp(ledger.spent, run.budget ?? {})}): no further task begins, what is in flight may finish`,
    );
  });
  const spending = setInterval(() => directory.noteSpent(ledger.recorded), SPENT_MS);
  modelSite.say = (level, what) => log.write(level, what);
  const tracing = await createTracing(process.env, name, version);
  const metrics = await createMetrics(process.env, { run: name, host: DRIVER_NAME, version }, () => ({
    roles: running?.roles ?? [],
    broker: cluster?.peer.broker.counts ?? null,
    refusedRequests: cluster?.peer.refused ?? {},
    tasks: { inFlight: running?.inFlight ?? 0, expected, ...directory.counts },
    models: modelSite.models,
    tokens: { prompt: tally.usage.prompt_tokens, completion: tally.usage.completion_tokens },
  }));
  const rows = await work.open();
  const writer = `${DRIVER_NAME}-${randomId(10)}`;
  const journal =
    isReplay || !wantsJournal(loaded.recipe)
      ? null
      : new Journal({
          directory: directory.path,
          isRecorded: (rowId, trial) => directory.recorded.ids.has(rowId, trial),
          isWriting: (id) => id === writer || cluster?.peer.routing.has(id) === true,
        });
  const isRecorded = (rowId: string, trial: number) => before > 0 && directory.recorded.ids.has(rowId, trial);
  const connect = async (parts: FabricParts): Promise<Fabric> => {
    started.scraped = serveMetrics(flags.metrics, await readToken(process.env), () => metrics.render());
    if (started.scraped !== null) progress.say(`metrics at ${started.scraped.url}/metrics`);
    if (isAlone) {
      await dismissWorkers(directory.path);
      started.sandboxes = await prepared.openSandboxes(DRIVER_NAME, Object.keys(loaded.recipe.roles), log);
      if (!isReplay) started.answers = await openAnswers(prepared, { directory: directory.path, writer, log });
      return connectInMemory(parts, (transport) => createLocalHost(prepared, transport, tracing));
    }
    const { say } = progress;
    cluster = await Cluster.open(
      { flags, prepared, directory: directory.path, isRecorded, log, logSink, metrics: () => metrics.render(), rates, ledger, say },
      parts,
    );
    return cluster;
  };
  const starting = startRun({
    rows,
    trials: work.trials,
    seed: work.seed,
    concurrency: run.concurrency,
    delivery: run.delivery,
    maxAttempts: run.max_attempts,
    rule,
    simulatedModels,
    isRecorded,
    append: (lines, counts) => directory.append(lines, counts),
    connect,
    onRecord: (record, hops) => {
      tally.add(record, hops);
      if (!isAlone) ledger.record(record, performance.now());
      if (journal !== null) directory.recorded.ids.add(record.id, record.trial);
      (started.sandboxes ?? cluster)?.release(record.id, record.trial);
      logFailure(log, record);
    },
    hold: () => (isAlone ? null : ledger.hold(performance.now())),
    clock: systemClock,
    tracing,
    drain,
    halt: interrupts.halt,
  });
  const end = await starting.then(
    (begun) => {
      running = begun;
      return begun.ended;
    },
    (error: Error): RunEnd => ({ complete: false, abandoned: 0, error }),
  );
  const elapsedMs = performance.now() - startedAt;

  clearInterval(spending);
  rates.stop();
  directory.noteSpent(ledger.recorded);
  interrupts.dispose();
  releaseErrors();
  releaseConsole();
  progress.stop();
  await rows.close();
  await Promise.all([started.scraped?.stop(), started.sandboxes?.stop(), started.answers?.close(), journal?.stop()]);
  if (end.complete) await removeJournal(directory.path);
  await Promise.all([tracing?.close(), metrics.close(), logSink.close()]);
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
    simulated,
    replayed: isReplay,
    expected,
    ...directory.counts,
    recorded_before: before,
    abandoned: end.abandoned,
    elapsed_ms: Math.round(elapsedMs),
    hops: tally.hops,
    usage: tally.usage,
    cost: tally.cost,
    spent: ledger.spent,
    budget: run.budget ?? null,
    stop_reasons: tally.stopReasons,
    errors: tally.errors,
    score: tally.score.count === 0 ? null : { scored: tally.score.count, mean: tally.score.sum / tally.score.count },
    wire_bytes: wireBytesOf(cluster),
    error: error instanceof MatrixError || error === null ? error : new MatrixError("storage_failed", String(error), { cause: error }),
  };
}

function onAbort(signal: AbortSignal, act: () => void): void {
  if (signal.aborted) act();
  else signal.addEventListener("abort", act, { once: true });
}

function wireBytesOf(cluster: Cluster | null): number | null {
  return cluster === null ? null : cluster.wireBytes;
}

/** Every role, in this process. */
function createLocalHost({ loaded, agents, rule }: Prepared, transport: HostTransport, tracing: Tracing | null): Host {
  const { run, roles } = loaded.recipe;
  return new Host({
    id: DRIVER_NAME,
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
}

function logFailure(log: Log, { error, id, trial }: RecordHead): void {
  if (error === null) return;
  const { code, message, role, hop } = error;
  log.write("info", `failed: ${code}: ${message}`, {
    row: id,
    trial,
    ...(role === null ? {} : { role }),
    ...(hop === null ? {} : { hop }),
  });
}
