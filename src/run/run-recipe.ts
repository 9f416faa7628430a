// One start of a run in its directory: everything that lives as long as it does is opened here, and closed again whatever
// happens.

import { join } from "node:path";
import { catchInterrupts, type Interrupts } from "../cli/interrupts.ts";
import type { Snapshot } from "../cli/panel.ts";
import { type Progress, startProgress } from "../cli/progress.ts";
import type { Summary } from "../cli/summary.ts";
import type { RowStream } from "../dataset/open.ts";
import type { DatasetScan } from "../dataset/scan.ts";
import { atLeast, type Budget, type Finished, Ledger, usedUp } from "../driver/ledger.ts";
import { connectInMemory } from "../driver/memory-fabric.ts";
import { Rates } from "../driver/rates.ts";
import {
  type Fabric,
  type FabricParts,
  onAbort,
  type Run,
  type RunEnd,
  type RunOptions,
  startRun,
} from "../driver/run.ts";
import { RunningTally } from "../driver/tally.ts";
import { MatrixError } from "../error.ts";
import { captureConsole } from "../host/console.ts";
import { Host } from "../host/host.ts";
import { Role } from "../host/role.ts";
import { catchStrayErrors } from "../host/stray-error.ts";
import { serveMetrics } from "../http/metrics-server.ts";
import { ProcessPermits } from "../model/permits.ts";
import type { HostTransport } from "../peer/transport.ts";
import { runtime } from "../platform.ts";
import { randomId } from "../random-id.ts";
import { JournalTrimmer, removeJournal } from "../records/journal.ts";
import type { RunDirectory } from "../records/run-directory.ts";
import type { SandboxSite } from "../sandbox/site.ts";
import { systemClock } from "../task/clock.ts";
import type { RecordHead } from "../task/record.ts";
import { addSpent, NOTHING_SPENT, type Spent } from "../task/spent.ts";
import { type Log, openLog } from "../telemetry/log.ts";
import { createLogSink, type LogSink } from "../telemetry/log-sink.ts";
import { createMetrics, type Metrics } from "../telemetry/metrics.ts";
import type { Observation } from "../telemetry/observed-metrics.ts";
import { createTracing, type Tracing } from "../telemetry/tracing.ts";
import { version } from "../version.ts";
import { type KeptAnswers, openAnswers, wantsJournal } from "./answers.ts";
import { Cluster, type ClusterFlags, DRIVER_NAME, dismissWorkers, wantsHosts } from "./cluster.ts";
import { readToken } from "./join.ts";
import { ratesOf } from "./limits.ts";
import type { Prepared } from "./prepare.ts";

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
  /** As far as the recipe tells. */
  readonly simulated: boolean;
  readonly scan: DatasetScan;
  /** The run directory whose records they are; null for a dataset. */
  readonly replay: string | null;
  readonly open: () => Promise<RowStream>;
}

/** How often what was spent is noted down: what a killed driver may forget of itself. */
const SPENT_MS = 500;

export async function runRecipe(
  directory: RunDirectory,
  prepared: Prepared,
  work: RunRows,
  flags: RunFlags,
): Promise<Summary> {
  const run = new RecipeRun(directory, prepared, work, flags);
  const end = await run.play();
  return await run.close(end);
}

/** Made, played once, and closed. */
class RecipeRun {
  readonly #directory: RunDirectory;
  readonly #prepared: Prepared;
  readonly #work: RunRows;
  readonly #flags: RunFlags;
  readonly #startedAt = performance.now();
  /** Records that were there before. */
  readonly #before: number;
  readonly #isAlone: boolean;
  readonly #tally = new RunningTally();
  readonly #rates: Rates;
  readonly #ledger: Ledger;
  readonly #progress: Progress;
  readonly #log: Log;
  readonly #logSink: LogSink;
  readonly #interrupts: Interrupts;
  readonly #drain: AbortSignal;
  /** Of this process, among all that write to the journal. */
  readonly #writer = `${DRIVER_NAME}-${randomId(10)}`;
  readonly #journal: JournalTrimmer | null;
  /** What ends with the run, and cannot fail. */
  readonly #releases: (() => void)[] = [];
  #tracing: Tracing | null = null;
  #metrics: Metrics | null = null;
  #rows: RowStream | null = null;
  // Started while the run begins, if it comes to that.
  #running: Run | null = null;
  #cluster: Cluster | null = null;
  #sandboxes: SandboxSite | null = null;
  #answers: KeptAnswers | null = null;
  #scraped: ReturnType<typeof serveMetrics> = null;

  constructor(directory: RunDirectory, prepared: Prepared, work: RunRows, flags: RunFlags) {
    const { recipe } = prepared.loaded;
    this.#directory = directory;
    this.#prepared = prepared;
    this.#work = work;
    this.#flags = flags;
    this.#before = directory.recorded.ids.size;
    this.#isAlone = !wantsHosts(flags);
    this.#rates = new Rates(ratesOf(recipe));
    this.#ledger = this.#openLedger();
    this.#progress = startProgress(() => this.#snapshot(), flags.quiet === true);
    const folder = join(directory.path, "logs");
    this.#log = openLog(join(folder, `${DRIVER_NAME}.log`), this.#progress.say);
    this.#logSink = createLogSink({ folder, show: this.#progress.say });
    this.#interrupts = catchInterrupts(recipe.run.grace, (message) =>
      this.#log.write("warning", message),
    );
    this.#drain = AbortSignal.any([this.#interrupts.drain, this.#ledger.spentUp]);
    this.#journal = this.#openJournal();
    const spending = setInterval(() => this.#noteSpent(), SPENT_MS);
    this.#releases.push(
      catchStrayErrors(this.#log),
      captureConsole(this.#log),
      () => clearInterval(spending),
      () => this.#rates.stop(),
      () => this.#interrupts.dispose(),
      () => this.#progress.stop(),
    );
  }

  /** From the first task to the last. Never fails: an error is an end like any other. */
  async play(): Promise<RunEnd> {
    try {
      this.#running = await this.#begin();
      return await this.#running.ended;
    } catch (thrown) {
      return {
        complete: false,
        abandoned: 0,
        error: thrown instanceof Error ? thrown : new Error(String(thrown)),
      };
    }
  }

  /** Lets go of everything, whatever happened, and says what came of it. */
  async close(end: RunEnd): Promise<Summary> {
    const elapsedMs = performance.now() - this.#startedAt;
    const state = end.complete ? "complete" : "stopped";
    const spent = this.#spentBy(end);
    this.#directory.noteSpent({ ...this.#ledger.recorded, ...spent });
    for (const release of this.#releases) release();
    await this.#rows?.close();
    await Promise.all([
      this.#scraped?.stop(),
      this.#sandboxes?.stop(),
      this.#answers?.close(),
      this.#journal?.stop(),
    ]);
    if (end.complete) await removeJournal(this.#directory.path);
    await Promise.all([this.#tracing?.close(), this.#metrics?.close(), this.#logSink.close()]);
    const error = await this.#directory.close(state).then(
      () => end.error,
      (failure: unknown) => end.error ?? failure,
    );
    this.#log.write("info", state, { ...this.#directory.counts, abandoned: end.abandoned });
    await this.#log.close();
    return this.#summary({ state, abandoned: end.abandoned, elapsedMs, spent, error });
  }

  async #begin(): Promise<Run> {
    const { loaded, modelSite } = this.#prepared;
    const { name } = loaded.recipe;
    modelSite.say = (level, what) => this.#log.write(level, what);
    this.#sayBeginning();
    this.#tracing = await createTracing(process.env, name, version);
    this.#metrics = await createMetrics(
      process.env,
      { run: name, host: DRIVER_NAME, version },
      () => this.#observation(),
    );
    this.#rows = await this.#work.open();
    return await startRun(this.#options(this.#rows));
  }

  /** What was spent counts from the first start on. Alone, this process spends; else hosts tell what they did. */
  #openLedger(): Ledger {
    const { spent, recorded } = this.#directory;
    const budget = this.#budget;
    if (!this.#isAlone) return new Ledger(spent, budget);
    // Nobody is left who could go on with what a host has said before.
    const earlier = atLeast(spent, this.#work.replay === null ? recorded.used : NOTHING_SPENT);
    const ledger = new Ledger({ ...earlier, hosts: {} }, budget);
    const { modelSite } = this.#prepared;
    modelSite.permits = new ProcessPermits(this.#rates.models, this.#rates);
    modelSite.onSpent = (now) => ledger.report(DRIVER_NAME, now);
    return ledger;
  }

  /** A replay asks no model: what its records used is not spent again. */
  get #budget(): Budget | undefined {
    return this.#work.replay === null ? this.#prepared.loaded.recipe.run.budget : undefined;
  }

  #openJournal(): JournalTrimmer | null {
    if (this.#work.replay !== null || !wantsJournal(this.#prepared.loaded.recipe)) return null;
    return new JournalTrimmer({
      directory: this.#directory.path,
      isRecorded: (rowId, trial) => this.#directory.recorded.ids.has(rowId, trial),
      isWriting: (id) => id === this.#writer || this.#cluster?.peer.routing.has(id) === true,
    });
  }

  #sayBeginning(): void {
    const { name } = this.#prepared.loaded.recipe;
    const { tornBytes } = this.#directory.recorded;
    if (tornBytes > 0)
      this.#log.write("warning", "cut a torn last line: its task runs again", { bytes: tornBytes });
    const { expected } = this.#work;
    const fields = { run: name, expected, recorded: this.#before, runtime: runtime.name, version };
    this.#log.write("info", this.#before > 0 ? "goes on" : "begins", fields);
    void onAbort(this.#ledger.spentUp, () => {
      const used = usedUp(this.#ledger.spent, this.#budget ?? {});
      this.#log.write(
        "warning",
        `run.budget is used up (${used}): no further task begins, what is in flight may finish`,
      );
    });
  }

  #options(rows: RowStream): RunOptions {
    const { loaded, rule } = this.#prepared;
    const { concurrency, delivery, max_attempts: maxAttempts } = loaded.recipe.run;
    const { trials, seed } = this.#work;
    return {
      rows,
      trials,
      seed,
      concurrency,
      delivery,
      maxAttempts,
      rule,
      isRecorded: (rowId, trial) => this.#isRecorded(rowId, trial),
      append: (lines, counts) => this.#directory.append(lines, counts),
      connect: (parts) => this.#connect(parts),
      onRecord: (record, hops) => this.#onRecord(record, hops),
      hasRoom: (inFlight) =>
        this.#budget === undefined || this.#ledger.hasRoom(inFlight, this.#finished),
      hold: () => (this.#isAlone ? null : this.#ledger.hold(performance.now())),
      clock: systemClock,
      tracing: this.#tracing,
      drain: this.#drain,
      halt: this.#interrupts.halt,
    };
  }

  get #finished(): Finished {
    const { counts, usage, cost } = this.#tally;
    const used = addSpent(this.#directory.recorded.used, { ...usage, cost: cost ?? 0 });
    return { tasks: this.#before + counts.ok + counts.failed + counts.lost, used };
  }

  #isRecorded(rowId: string, trial: number): boolean {
    return this.#before > 0 && this.#directory.recorded.ids.has(rowId, trial);
  }

  async #connect(parts: FabricParts): Promise<Fabric> {
    const render = async (): Promise<string> => (await this.#metrics?.render()) ?? "";
    this.#scraped = serveMetrics(this.#flags.metrics, await readToken(process.env), render);
    if (this.#scraped !== null) this.#progress.say(`metrics at ${this.#scraped.url}/metrics`);
    return this.#isAlone ? this.#connectInMemory(parts) : this.#openCluster(parts, render);
  }

  async #connectInMemory(parts: FabricParts): Promise<Fabric> {
    const directory = this.#directory.path;
    await dismissWorkers(directory);
    this.#sandboxes = await this.#prepared.openSandboxes(
      DRIVER_NAME,
      Object.keys(this.#prepared.loaded.recipe.roles),
      this.#log,
    );
    if (this.#work.replay === null)
      this.#answers = await openAnswers(this.#prepared, {
        directory,
        writer: this.#writer,
        log: this.#log,
      });
    return connectInMemory(parts, (transport) =>
      createLocalHost(this.#prepared, transport, this.#tracing),
    );
  }

  async #openCluster(parts: FabricParts, metrics: () => Promise<string>): Promise<Fabric> {
    this.#cluster = await Cluster.open(
      {
        flags: this.#flags,
        prepared: this.#prepared,
        directory: this.#directory.path,
        isRecorded: (rowId, trial) => this.#isRecorded(rowId, trial),
        log: this.#log,
        logSink: this.#logSink,
        metrics,
        rates: this.#rates,
        ledger: this.#ledger,
        say: this.#progress.say,
      },
      parts,
    );
    return this.#cluster;
  }

  #onRecord(record: RecordHead, hops: number): void {
    this.#tally.add(record, hops);
    if (record.simulated) this.#directory.noteSimulated();
    if (!this.#isAlone) this.#ledger.record(record, performance.now());
    if (this.#journal !== null) this.#directory.recorded.ids.add(record.id, record.trial);
    (this.#sandboxes ?? this.#cluster)?.release(record.id, record.trial);
    logFailure(this.#log, record);
  }

  /** A process that was killed may not have told what it was answered last. Where hosts may yet tell, that would count twice. */
  #spentBy({ complete }: RunEnd): Spent {
    const { spent } = this.#ledger;
    const isAllTold = complete || this.#isAlone;
    return this.#work.replay === null && isAllTold ? atLeast(spent, this.#finished.used) : spent;
  }

  #noteSpent(): void {
    this.#directory.noteSpent(this.#ledger.recorded);
  }

  #snapshot(): Snapshot {
    return {
      name: this.#prepared.loaded.recipe.name,
      simulated: this.#directory.simulated,
      expected: this.#work.expected,
      ...this.#directory.counts,
      before: this.#before,
      inFlight: this.#running?.inFlight ?? 0,
      elapsedMs: performance.now() - this.#startedAt,
      roles: this.#running?.roles ?? [],
      promptTokens: this.#tally.usage.prompt_tokens,
      completionTokens: this.#tally.usage.completion_tokens,
      cost: this.#tally.cost,
      stopping: this.#drain.aborted,
      waitedFor: this.#rates.waitedFor,
    };
  }

  #observation(): Observation {
    const { usage } = this.#tally;
    return {
      roles: this.#running?.roles ?? [],
      broker: this.#cluster?.peer.broker.counts ?? null,
      refusedRequests: this.#cluster?.peer.server.refused ?? {},
      tasks: {
        inFlight: this.#running?.inFlight ?? 0,
        expected: this.#work.expected,
        ...this.#directory.counts,
      },
      models: this.#prepared.modelSite.models,
      tokens: { prompt: usage.prompt_tokens, completion: usage.completion_tokens },
    };
  }

  #summary({
    state,
    abandoned,
    elapsedMs,
    spent,
    error,
  }: Pick<Summary, "state" | "abandoned" | "spent"> & {
    elapsedMs: number;
    error: unknown;
  }): Summary {
    const { name } = this.#prepared.loaded.recipe;
    const { hops, usage, cost, stopReasons, errors, score } = this.#tally;
    return {
      name,
      directory: this.#directory.path,
      state,
      simulated: this.#directory.simulated,
      replayed: this.#work.replay !== null,
      expected: this.#work.expected,
      ...this.#directory.counts,
      recorded_before: this.#before,
      abandoned,
      elapsed_ms: Math.round(elapsedMs),
      hops,
      usage,
      cost,
      spent,
      budget: this.#budget ?? null,
      stop_reasons: stopReasons,
      errors,
      score: score.count === 0 ? null : { scored: score.count, mean: score.sum / score.count },
      wire_bytes: this.#cluster?.wireBytes ?? null,
      error:
        error instanceof MatrixError || error === null
          ? error
          : new MatrixError("storage_failed", String(error), { cause: error }),
    };
  }
}

/** Every role, in this process. */
function createLocalHost(
  { loaded, agents, rule }: Prepared,
  transport: HostTransport,
  tracing: Tracing | null,
): Host {
  const { run, roles } = loaded.recipe;
  return new Host({
    id: DRIVER_NAME,
    roles: [...agents].map(
      ([name, { agent }]) =>
        new Role({
          name,
          agent,
          concurrency: roles[name]?.concurrency ?? 1,
          timeoutMs: roles[name]?.timeout ?? 0,
        }),
    ),
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
