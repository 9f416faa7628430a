// One start of a run: takes parsed values, plays the tasks that are not recorded yet, and gives its
// summary. It reads no flags, no environment and no signals, and draws nothing: `RunContext` does.

import { join } from "node:path";
import { askedRoles, asksAny } from "../agent/replay-wish.ts";
import type { RowStream } from "../dataset/open.ts";
import { EarlyStop } from "../driver/early-stop.ts";
import { DRIVER_NAME } from "../driver/host-names.ts";
import { Rates } from "../driver/rates.ts";
import { type DriverTransport, onAbort, Run, type RunEnd } from "../driver/run.ts";
import { MatrixError, messageOf } from "../error.ts";
import { captureConsole } from "../host/console.ts";
import { catchStrayErrors } from "../host/stray-error.ts";
import { serveMetrics } from "../http/metrics-server.ts";
import { viewToken } from "../http/proof.ts";
import { ProcessPermits } from "../model/permits.ts";
import type { HostId } from "../peer/member.ts";
import { runtime } from "../platform.ts";
import { formatProblem } from "../recipe/problem.ts";
import { Admissions } from "../records/admissions.ts";
import { JournalTrimmer } from "../records/journal.ts";
import { readManifest } from "../records/manifest.ts";
import { RunDirectory } from "../records/run-directory.ts";
import { systemClock } from "../task/clock.ts";
import { CredentialCount } from "../task/credential-patterns.ts";
import type { RecordHead } from "../task/record.ts";
import type { Task } from "../task/task.ts";
import { type Log, openLog } from "../telemetry/log.ts";
import { createLogSink, type LogSink } from "../telemetry/log-sink.ts";
import { createMetrics, type Metrics } from "../telemetry/metrics.ts";
import { LABEL, METRIC } from "../telemetry/names.ts";
import { checkOtlp } from "../telemetry/otlp.ts";
import { Recorder } from "../telemetry/recorder.ts";
import { createTracing, type Tracing } from "../telemetry/tracing.ts";
import { version } from "../version.ts";
import { createToken } from "../view/guard.ts";
import { loadPage } from "../view/page-files.ts";
import { serveView, userName } from "../view/serve.ts";
import { wantsJournal } from "./answers.ts";
import { Books } from "./books.ts";
import { Cluster } from "./cluster.ts";
import { identityOf } from "./identity.ts";
import { ratesOf } from "./limits.ts";
import { createLiveDriver } from "./live/live-driver.ts";
import { LocalStage } from "./local-stage.ts";
import type { Plan } from "./plan.ts";
import { warnOfEndpoints } from "./probe/endpoints.ts";
import { checkPrograms } from "./probe/programs.ts";
import { replayWork } from "./replay/replay-work.ts";
import { datasetWork, paidFor, type Work } from "./run-rows.ts";
import { observationOf, type Playing, type RunView, snapshotOf } from "./run-view.ts";
import type { RunContext, RunSettings } from "./settings.ts";
import { type Display, NO_DISPLAY } from "./snapshot.ts";
import type { Stage } from "./stage.ts";
import { NEVER, Stopping } from "./stopping.ts";
import { type Summary, summarise } from "./summary.ts";

/**
 * Interval at which the manifest notes spending. A killed driver forgets at most this much of its
 * own.
 */
const SPENT_MS = 500;

/**
 * Plays a run to its end, or as far as it goes. Fails only before the run directory was opened or
 * changed (`usage`, `recipe_invalid`, `dataset_invalid`, `run_refused`); what goes wrong later is
 * the summary's `error`.
 */
export async function runRecipe(
  recipe: Plan,
  settings: RunSettings,
  context: RunContext = {},
): Promise<Summary> {
  checkOtlp(settings.env ?? {});
  const work = await openWork(recipe, settings);
  const directory = await RunDirectory.open(settings.directory, {
    identity: identityOf(recipe, work.rows),
    recipeText: recipe.loaded.text,
    checkpointDigest: work.rows.scan.checkpointDigest,
    fresh: settings.fresh === true,
    signal: context.drain ?? NEVER,
    say: context.say ?? (() => undefined),
    retry: settings.retry ?? null,
    ...(work.rows.replay === null ? {} : { paidFor: (head) => paidFor(work.rows, head) }),
  });
  const run = new RecipeRun(directory, work, settings, context);
  return run.close(await run.play());
}

async function openWork(plan: Plan, settings: RunSettings): Promise<Work> {
  const { directory, fresh, replay, ask = [], from = null, retry = null } = settings;
  const earlier = fresh === true ? null : await readManifest(directory);
  if (retry !== null && earlier === null)
    throw new MatrixError("usage", `--retry: there is no run in ${directory}`, {
      hint: "leave out --retry, or name the directory of the run with -o",
    });
  // Hosts on other machines may have what this one lacks.
  if (settings.hosts?.listen == null) await checkPrograms(plan);
  const checkpoint = earlier?.dataset.rows;
  return replay == null
    ? datasetWork(plan, checkpoint)
    : replayWork(plan, { replay, directory, checkpoint, ask, from });
}

/** One start of a run: made, played once, and closed. */
class RecipeRun {
  readonly #directory: RunDirectory;
  readonly #work: Work;
  readonly #settings: RunSettings;
  readonly #startedAt = performance.now();
  readonly #recorder = new Recorder();
  readonly #credentials = new CredentialCount(() => performance.now());
  readonly #rates: Rates;
  readonly #books: Books;
  readonly #earlyStop: EarlyStop;
  readonly #display: Display;
  readonly #log: Log;
  readonly #logSink: LogSink;
  readonly #stopping: Stopping;
  /** Everything that this start has to release, in reverse order. */
  readonly #open = new AsyncDisposableStack();
  /** The parts that play the tasks; null while they are being opened. */
  readonly #ownsProcess: boolean;
  #playing: Playing | null = null;

  constructor(directory: RunDirectory, work: Work, settings: RunSettings, context: RunContext) {
    const { display = NO_DISPLAY, ownsProcess = false } = context;
    const { recipe } = work.plan;
    this.#directory = directory;
    this.#work = work;
    this.#settings = settings;
    this.#rates = new Rates(ratesOf(recipe));
    const budget = this.#asksModels ? (recipe.run.budget ?? null) : null;
    this.#books = new Books({ directory, budget, isAlone: this.#isAlone });
    this.#earlyStop = new EarlyStop({
      after: this.#asksModels ? recipe.run.stop_after : 0,
      hasSucceeded: directory.counts.ok > 0,
    });
    this.#display = display(() => snapshotOf(this.#view));
    const folder = join(directory.path, "logs");
    this.#log = openLog(join(folder, `${DRIVER_NAME}.log`), this.#display.say, directory.confirm);
    const { confirm } = directory;
    this.#logSink = createLogSink({ folder, show: this.#display.say, confirm });
    this.#stopping = new Stopping({
      wishes: context,
      graceMs: recipe.run.grace,
      spentUp: this.#books.ledger.spentUp,
      usedUp: () => this.#books.usedUp(),
      earlyStop: this.#earlyStop,
      log: this.#log,
      canFinish: () => this.#playing?.fabric.canFinish ?? true,
    });
    this.#open.defer(() => this.#stopping.close());
    this.#open.defer(() => this.#display.stop());
    this.#open.defer(() => this.#rates.stop());
    const noting = setInterval(() => this.#books.noteSpent(), SPENT_MS);
    this.#open.defer(() => clearInterval(noting));
    this.#ownsProcess = ownsProcess;
    if (ownsProcess) {
      this.#open.defer(captureConsole(this.#log));
      this.#open.defer(catchStrayErrors(this.#log));
    }
  }

  /** Plays the tasks. Never fails: an error is an end like any other. */
  async play(): Promise<RunEnd> {
    try {
      this.#sayBeginning();
      return await this.#play();
    } catch (thrown) {
      // The run was told to stop while it got its images.
      const { drain } = this.#stopping;
      if (drain.aborted && thrown === drain.reason)
        return { complete: false, abandoned: 0, error: null };
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      return { complete: false, abandoned: 0, error };
    }
  }

  /** Releases everything and computes the summary, also after an error. */
  async close(end: RunEnd): Promise<Summary> {
    const elapsedMs = performance.now() - this.#startedAt;
    const spent = this.#books.close(end);
    await this.#open.disposeAsync().catch((thrown: unknown) => {
      this.#log.write("warning", "cleaning up failed", { why: messageOf(thrown) });
    });
    await this.#logSink.close();
    const asked = end.complete ? "complete" : "stopped";
    const stopping = end.complete ? null : this.#stopping.reason(end.error);
    const closing = await this.#directory.close(asked, stopping ?? undefined).then(
      () => null,
      (failure: Error) => failure,
    );
    const stopped = stopping ?? (closing === null ? null : this.#stopping.reason(closing));
    const { counts } = this.#directory;
    const state = stopped === null ? "complete" : "stopped";
    this.#log.write("info", state, { ...counts, abandoned: end.abandoned });
    await this.#log.close();
    const { abandoned } = end;
    const wireBytes = this.#playing?.fabric.wireBytes ?? null;
    const error = end.error ?? closing;
    const isRetry = (this.#settings.retry ?? null) !== null;
    const { found: credentials } = this.#credentials;
    const ended = {
      ...{ stopped, abandoned, isRetry, elapsedMs, wireBytes, spent, credentials, error },
    };
    return summarise(this.#work, this.#directory, this.#books, ended);
  }

  async #play(): Promise<RunEnd> {
    const { env = {} } = this.#settings;
    const { name } = this.#work.plan.recipe;
    const described = { run: name, host: DRIVER_NAME, version };
    const observe = () => observationOf(this.#view);
    const metrics = await createMetrics(env, described, observe, this.#recorder);
    const tracing = await createTracing(env, name, version);
    // Both at once, because each waits for its collector.
    this.#open.defer(async () => void (await Promise.all([metrics.close(), tracing?.close()])));
    const { replay } = this.#work.rows;
    this.#open.defer(async () => replay?.source.close());
    const rows = await this.#work.rows.open();
    this.#open.defer(() => rows.close());
    this.#serveMetrics(metrics);
    await this.#serveView();
    this.#probeEndpoints();
    const stage = await this.#openStage(metrics, tracing);
    this.#open.defer(() => stage.stop());
    this.#trimJournal(stage);
    const admissions = await Admissions.open(this.#directory.path, (rowId, trial) =>
      this.#books.isRecorded(rowId, trial),
    );
    this.#open.defer(() => admissions.close());
    const run = this.#createRun(rows, stage.transport, tracing, admissions);
    const fabric = stage.connect(run);
    this.#playing = { run, fabric, stage };
    const { lost } = this.#directory;
    void onAbort(lost, () => run.fail(lost.reason));
    if (stage.invitation !== null) this.#display.say(stage.invitation);
    return run.play(fabric);
  }

  /** Tells the user at once what an endpoint refuses. */
  #probeEndpoints(): void {
    const { plan, rows } = this.#work;
    const isAsked = this.#asksModels && this.#books.before < rows.expected;
    if (!isAsked || this.#settings.hosts?.listen != null) return;
    const roles = rows.replay === null ? undefined : askedRoles(rows.replay.wish);
    this.#open.defer(warnOfEndpoints(plan, this.#log, roles));
  }

  /** Any process that had the task may have spoilt it. The last of them handed it over. */
  #refuseSpoilt(task: Task, problem: string, host: HostId | null): void {
    const text = "a host handed over something that is not a record, so the row starts again";
    this.#log.write("warning", text, { task: task.rowId, problem, host: host ?? "unknown" });
    if (host !== null) this.#playing?.fabric.shutOut(host);
  }

  #serveMetrics(metrics: Metrics): void {
    const { token = null, metrics: address = null } = this.#settings;
    if (address === null) return;
    const server = serveMetrics(address, token, () => metrics.render());
    this.#open.defer(() => server.stop());
    this.#display.say(`metrics at ${server.url}/metrics`);
  }

  async #serveView(): Promise<void> {
    const { token = null, view: address = null } = this.#settings;
    if (address === null) return;
    const server = await serveView({
      ...{ places: [this.#directory.path], cwd: "/", address, page: await loadPage() },
      token: token === null ? createToken() : viewToken(token),
      who: userName(),
      driver: createLiveDriver(() => this.#view, this.#recorder),
    });
    this.#open.defer(() => server.stop());
    this.#display.say(`watch the run at ${server.url}`);
  }

  async #openStage(metrics: Metrics, tracing: Tracing | null): Promise<Stage> {
    const { hosts = null, token = null, env = {} } = this.#settings;
    const { plan } = this.#work;
    const { path: directory } = this.#directory;
    const { ledger } = this.#books;
    const log = this.#log;
    if (hosts === null)
      return LocalStage.open({
        ...{ plan, directory, log, tracing, recorder: this.#recorder },
        asksModels: this.#asksModels,
        ownsProcess: this.#ownsProcess,
        confirm: this.#directory.confirm,
        permits: new ProcessPermits(this.#rates.models, this.#rates),
        onSpent: (total) => ledger.report(DRIVER_NAME, total),
        signal: this.#stopping.drain,
      });
    return Cluster.listen({
      ...{ plan, directory, log, hosts, token, env, ledger },
      lock: this.#directory,
      replay: this.#work.rows.replay,
      logSink: this.#logSink,
      metrics: () => metrics.render(),
      rates: this.#rates,
    });
  }

  #createRun(
    rows: RowStream,
    transport: DriverTransport,
    tracing: Tracing | null,
    admissions: Admissions,
  ): Run {
    const { concurrency, delivery, max_attempts: maxAttempts } = this.#work.plan.recipe.run;
    const { trials, seed } = this.#work.rows;
    return new Run({
      ...{ rows, trials, seed, concurrency, delivery, maxAttempts, transport, tracing, admissions },
      taskTimeoutMs: this.#work.plan.recipe.run.timeout,
      rule: this.#work.plan.rule,
      isRecorded: (rowId, trial) => this.#books.isRecorded(rowId, trial),
      beginningOf: (rowId, trial) => this.#books.beginningOf(rowId, trial),
      hasRoom: (inFlight) => this.#books.hasRoom(inFlight),
      keeper: {
        append: (lines, records) => {
          const appended = this.#directory.append(lines, records);
          this.#credentials.look(lines);
          return appended;
        },
        wrote: (record, hops, task) => this.#wrote(record, hops, task),
        heldBack: ({ rowId, trial }) => {
          admissions.withdraw({ rowId, trial });
          this.#playing?.fabric.settle(rowId, trial);
        },
        hold: () => this.#books.hold(),
      },
      onSpoilt: (task, problem, host) => this.#refuseSpoilt(task, problem, host),
      earlyStop: this.#earlyStop,
      clock: systemClock,
      drain: this.#stopping.drain,
      halt: this.#stopping.halt,
    });
  }

  get #view(): RunView {
    return {
      work: this.#work,
      directory: this.#directory,
      books: this.#books,
      elapsedMs: performance.now() - this.#startedAt,
      isStopping: this.#stopping.drain.aborted,
      waitedFor: this.#rates.waitedFor,
      playing: this.#playing,
    };
  }

  #trimJournal(stage: Stage): void {
    if (!this.#keepsJournal) return;
    const journal = new JournalTrimmer({
      directory: this.#directory.path,
      isRecorded: (rowId, trial) => this.#directory.recorded.ids.has(rowId, trial),
      isWriting: (writer) => stage.isWriting(writer),
      confirm: this.#directory.confirm,
    });
    this.#open.defer(() => journal.stop());
  }

  /** Notes a record that was written. */
  #wrote(record: RecordHead, hops: number, task: Task): void {
    const { rows } = this.#work;
    // The history of a task that came over the wire is parsed only where it is looked at.
    const head = rows.replay === null ? record : { ...record, history: task.history };
    this.#books.record(record, hops, paidFor(rows, head));
    rows.replay?.source.release(record.id, record.trial);
    this.#recorder
      .histogram(METRIC.taskDuration, { [LABEL.status]: record.status })
      .record(record.timing.total_ms / 1000);
    if (this.#keepsJournal) this.#directory.recorded.ids.add(record.id, record.trial);
    this.#playing?.fabric.settle(record.id, record.trial);
    logFailure(this.#log, record);
  }

  get #keepsJournal(): boolean {
    return this.#asksModels && wantsJournal(this.#work.plan.recipe);
  }

  /** True unless every answer comes from records. */
  get #asksModels(): boolean {
    const { replay } = this.#work.rows;
    return replay === null || asksAny(replay.wish);
  }

  get #isAlone(): boolean {
    return this.#settings.hosts == null;
  }

  #sayBeginning(): void {
    for (const note of this.#directory.notes) this.#log.write("warning", note);
    const { doubts } = this.#work.plan.loaded;
    for (const { file: _, line: __, ...doubt } of doubts)
      this.#log.write("warning", formatProblem(doubt));
    const { tornBytes } = this.#directory.recorded;
    if (tornBytes > 0)
      this.#log.write("warning", "cut a torn last line: its task runs again", { bytes: tornBytes });
    const { moved } = this.#directory;
    if (moved > 0)
      this.#log.write("info", "moved records to superseded: their tasks run again", { moved });
    const { before } = this.#books;
    this.#log.write("info", before > 0 ? "goes on" : "begins", {
      run: this.#work.plan.recipe.name,
      expected: this.#work.rows.expected,
      recorded: before,
      runtime: runtime.name,
      version,
    });
  }
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
