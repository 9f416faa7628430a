// One start of a run: takes parsed values, plays the tasks that are not recorded yet, and gives its
// summary. It reads no flags, no environment and no signals, and draws nothing: `RunContext` does.

import { join } from "node:path";
import type { RowStream } from "../dataset/open.ts";
import { createMemoryFabric } from "../driver/memory-fabric.ts";
import { Rates } from "../driver/rates.ts";
import { type DriverTransport, type Fabric, onAbort, Run, type RunEnd } from "../driver/run.ts";
import { MatrixError } from "../error.ts";
import { captureConsole } from "../host/console.ts";
import { catchStrayErrors } from "../host/stray-error.ts";
import { serveMetrics } from "../http/metrics-server.ts";
import type { Replicated } from "../model/contract.ts";
import { ProcessPermits } from "../model/permits.ts";
import { MemoryTransport } from "../peer/memory-transport.ts";
import type { Peer } from "../peer/peer.ts";
import { runtime } from "../platform.ts";
import { randomId } from "../random-id.ts";
import { JournalTrimmer, removeJournal } from "../records/journal.ts";
import { readManifest } from "../records/manifest.ts";
import { RunDirectory } from "../records/run-directory.ts";
import { systemClock } from "../task/clock.ts";
import type { RecordHead } from "../task/record.ts";
import type { Message } from "../task/task.ts";
import { type Log, openLog } from "../telemetry/log.ts";
import { createLogSink, type LogSink } from "../telemetry/log-sink.ts";
import { createMetrics, type Metrics } from "../telemetry/metrics.ts";
import type { Observation } from "../telemetry/observed-metrics.ts";
import { createTracing, type Tracing } from "../telemetry/tracing.ts";
import { version } from "../version.ts";
import { wantsJournal } from "./answers.ts";
import { Books } from "./books.ts";
import { Cluster, type ClusterFabric, DRIVER_NAME } from "./cluster.ts";
import { createHost, createRoles } from "./create-host.ts";
import { identityOf } from "./identity.ts";
import { ratesOf } from "./limits.ts";
import { dismissWorkers } from "./local-workers.ts";
import type { Plan } from "./plan.ts";
import { replayWork } from "./replay.ts";
import { datasetWork, type Work } from "./run-rows.ts";
import type { RunContext, RunSettings } from "./settings.ts";
import { type Display, NO_DISPLAY, type Snapshot } from "./snapshot.ts";
import { Spending } from "./spending.ts";
import type { Summary } from "./summary.ts";

/**
 * How often spending is noted in the manifest: the most that a killed driver forgets of its own.
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
  const work = await openWork(recipe, settings);
  const directory = await RunDirectory.open(settings.directory, {
    identity: identityOf(recipe, work.rows),
    recipeText: recipe.loaded.text,
    checkpointDigest: work.rows.scan.checkpointDigest,
    fresh: settings.fresh === true,
  });
  const run = new RecipeRun(directory, work, settings, context);
  return run.close(await run.play());
}

async function openWork(plan: Plan, { directory, fresh, replay }: RunSettings): Promise<Work> {
  const earlier = fresh === true ? null : await readManifest(directory);
  const checkpoint = earlier?.dataset.rows;
  return replay == null
    ? datasetWork(plan, checkpoint)
    : replayWork(plan, { replay, directory, checkpoint });
}

/** One start of a run: made, played once, and closed. */
class RecipeRun {
  readonly #directory: RunDirectory;
  readonly #work: Work;
  readonly #settings: RunSettings;
  readonly #startedAt = performance.now();
  readonly #rates: Rates;
  readonly #books: Books;
  readonly #display: Display;
  readonly #log: Log;
  readonly #logSink: LogSink;
  /** Aborted: no further task begins. */
  readonly #drain: AbortSignal;
  /** Aborted: the run stops at once. */
  readonly #halt: AbortSignal;
  /** Releases what this start holds; called last to first. */
  readonly #open = new AsyncDisposableStack();
  /** What plays the tasks; null while it is being opened. */
  #playing: Playing | null = null;

  constructor(directory: RunDirectory, work: Work, settings: RunSettings, context: RunContext) {
    const { display = NO_DISPLAY, ownsProcess = false } = context;
    const { recipe } = work.plan;
    const isReplay = work.rows.replay !== null;
    this.#directory = directory;
    this.#work = work;
    this.#settings = settings;
    this.#rates = new Rates(ratesOf(recipe));
    const budget = isReplay ? null : (recipe.run.budget ?? null);
    this.#books = new Books({ directory, budget, isReplay, isAlone: this.#isAlone });
    this.#display = display(() => this.#snapshot());
    const folder = join(directory.path, "logs");
    this.#log = openLog(join(folder, `${DRIVER_NAME}.log`), this.#display.say);
    this.#logSink = createLogSink({ folder, show: this.#display.say });
    const wishes = this.#heed(context);
    this.#drain = wishes.drain;
    this.#halt = wishes.halt;
    this.#open.defer(() => this.#display.stop());
    this.#open.defer(() => this.#rates.stop());
    const noting = setInterval(() => this.#books.noteSpent(), SPENT_MS);
    this.#open.defer(() => clearInterval(noting));
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
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      return { complete: false, abandoned: 0, error };
    }
  }

  /** Lets go of everything, whatever happened, and sums up. */
  async close(end: RunEnd): Promise<Summary> {
    const elapsedMs = performance.now() - this.#startedAt;
    const state = end.complete ? "complete" : "stopped";
    const spent = this.#books.close(end);
    await this.#open.disposeAsync();
    if (end.complete) await removeJournal(this.#directory.path);
    await this.#logSink.close();
    const closing = await this.#directory.close(state).then(
      () => null,
      (failure: unknown) => failure,
    );
    const { counts } = this.#directory;
    this.#log.write("info", state, { ...counts, abandoned: end.abandoned });
    await this.#log.close();
    const { abandoned } = end;
    return this.#summary({ state, abandoned, elapsedMs, spent, error: end.error ?? closing });
  }

  /** The user's wishes and the budget's, as two signals. */
  #heed(context: RunContext): { readonly drain: AbortSignal; readonly halt: AbortSignal } {
    const { drain: asked = NEVER, halt: haltAsked = NEVER } = context;
    const { grace } = this.#work.plan.recipe.run;
    const graceOver = new AbortController();
    void onAbort(asked, () => {
      this.#log.write(
        "warning",
        `stopping: tasks in flight may finish within ${grace / 1000} s; a second signal stops at once`,
      );
      const timer = setTimeout(() => graceOver.abort(), grace);
      this.#open.defer(() => clearTimeout(timer));
    });
    const { spentUp } = this.#books.ledger;
    void onAbort(spentUp, () =>
      this.#log.write(
        "warning",
        `run.budget is used up (${this.#books.usedUp()}): no further task begins, tasks in flight may finish`,
      ),
    );
    return {
      drain: AbortSignal.any([asked, spentUp]),
      halt: AbortSignal.any([haltAsked, graceOver.signal]),
    };
  }

  async #play(): Promise<RunEnd> {
    const { env = {} } = this.#settings;
    const { name } = this.#work.plan.recipe;
    const tracing = await createTracing(env, name, version);
    this.#open.defer(async () => tracing?.close());
    const described = { run: name, host: DRIVER_NAME, version };
    const metrics = await createMetrics(env, described, () => this.#observation());
    this.#open.defer(() => metrics.close());
    const rows = await this.#work.rows.open();
    this.#open.defer(() => rows.close());
    this.#serveMetrics(metrics);
    return this.#isAlone
      ? this.#playAlone(rows, tracing)
      : this.#playOnHosts(rows, tracing, metrics);
  }

  #serveMetrics(metrics: Metrics): void {
    const { token = null, metrics: address = null } = this.#settings;
    if (address === null) return;
    const server = serveMetrics(address, token, () => metrics.render());
    this.#open.defer(() => server.stop());
    this.#display.say(`metrics at ${server.url}/metrics`);
  }

  /** Plays with every role in this process. */
  async #playAlone(rows: RowStream, tracing: Tracing | null): Promise<RunEnd> {
    const { plan } = this.#work;
    const directory = this.#directory.path;
    await dismissWorkers(directory);
    // Names this process among all that ever write to the journal.
    const writer = `${DRIVER_NAME}-${randomId(10)}`;
    const live = await plan.open({
      host: DRIVER_NAME,
      roles: Object.keys(plan.recipe.roles),
      permits: new ProcessPermits(this.#rates.models, this.#rates),
      spend: new Spending((total) => this.#books.ledger.report(DRIVER_NAME, total)).add,
      answers: this.#work.rows.replay === null ? { directory, writer } : null,
      log: this.#log,
    });
    this.#open.defer(() => live.stop());
    this.#trimJournal((id) => id === writer);
    const transport = new MemoryTransport();
    const roles = createRoles(plan.recipe, live.agents);
    const host = createHost({ plan, name: DRIVER_NAME, roles, transport, tracing });
    const release = (): void => undefined;
    const submit = (message: Message): void => transport.submit(message);
    const run = this.#createRun(rows, { submit, release }, tracing);
    const settle = (rowId: string, trial: number) => live.sandboxes.release(rowId, trial);
    const fabric = createMemoryFabric({ transport, host, sink: run, settle });
    this.#playing = { run, fabric, models: live.replicated, network: null };
    return run.play(fabric);
  }

  /** Plays on hosts of their own. */
  async #playOnHosts(rows: RowStream, tracing: Tracing | null, metrics: Metrics): Promise<RunEnd> {
    const { hosts, token = null, env = {} } = this.#settings;
    if (hosts == null) throw new Error("bug: a cluster without hosts");
    const directory = this.#directory.path;
    const cluster = await Cluster.listen({
      ...{ hosts, token, env, directory },
      plan: this.#work.plan,
      log: this.#log,
      logSink: this.#logSink,
      metrics: () => metrics.render(),
      rates: this.#rates,
      ledger: this.#books.ledger,
    });
    const { peer, url } = cluster;
    this.#trimJournal((id) => peer.routing.has(id));
    const run = this.#createRun(rows, cluster.transport, tracing);
    const fabric = cluster.connect(run);
    this.#playing = { run, fabric, models: [], network: { peer, fabric } };
    if (hosts.listen !== null)
      this.#display.say(`listening at ${url}; hosts join with: matrix agent --join ${directory}`);
    return run.play(fabric);
  }

  #createRun(rows: RowStream, transport: DriverTransport, tracing: Tracing | null): Run {
    const { concurrency, delivery, max_attempts: maxAttempts } = this.#work.plan.recipe.run;
    const { trials, seed } = this.#work.rows;
    return new Run({
      ...{ rows, trials, seed, concurrency, delivery, maxAttempts, transport, tracing },
      rule: this.#work.plan.rule,
      isRecorded: (rowId, trial) => this.#books.isRecorded(rowId, trial),
      hasRoom: (inFlight) => this.#books.hasRoom(inFlight),
      keeper: {
        append: (lines, counts) => this.#directory.append(lines, counts),
        wrote: (record, hops) => this.#wrote(record, hops),
        hold: () => this.#books.hold(),
      },
      clock: systemClock,
      drain: this.#drain,
      halt: this.#halt,
    });
  }

  #trimJournal(isWriting: (writer: string) => boolean): void {
    if (!this.#keepsJournal) return;
    const journal = new JournalTrimmer({
      directory: this.#directory.path,
      isRecorded: (rowId, trial) => this.#directory.recorded.ids.has(rowId, trial),
      isWriting,
    });
    this.#open.defer(() => journal.stop());
  }

  /** Notes a record that was written. */
  #wrote(record: RecordHead, hops: number): void {
    this.#books.record(record, hops);
    if (this.#keepsJournal) this.#directory.recorded.ids.add(record.id, record.trial);
    this.#playing?.fabric.settle(record.id, record.trial);
    logFailure(this.#log, record);
  }

  get #keepsJournal(): boolean {
    return this.#work.rows.replay === null && wantsJournal(this.#work.plan.recipe);
  }

  get #isAlone(): boolean {
    return this.#settings.hosts == null;
  }

  #sayBeginning(): void {
    const { tornBytes } = this.#directory.recorded;
    if (tornBytes > 0)
      this.#log.write("warning", "cut a torn last line: its task runs again", { bytes: tornBytes });
    const { before } = this.#books;
    this.#log.write("info", before > 0 ? "goes on" : "begins", {
      run: this.#work.plan.recipe.name,
      expected: this.#work.rows.expected,
      recorded: before,
      runtime: runtime.name,
      version,
    });
  }

  #snapshot(): Snapshot {
    const { usage, cost } = this.#books.tally;
    return {
      name: this.#work.plan.recipe.name,
      simulated: this.#directory.simulated,
      expected: this.#work.rows.expected,
      ...this.#directory.counts,
      before: this.#books.before,
      inFlight: this.#playing?.run.inFlight ?? 0,
      elapsedMs: performance.now() - this.#startedAt,
      roles: this.#playing?.fabric.roles ?? [],
      promptTokens: usage.prompt_tokens,
      completionTokens: usage.completion_tokens,
      cost,
      stopping: this.#drain.aborted,
      waitedFor: this.#rates.waitedFor,
    };
  }

  #observation(): Observation {
    const { usage } = this.#books.tally;
    const { expected } = this.#work.rows;
    const peer = this.#playing?.network?.peer;
    const inFlight = this.#playing?.run.inFlight ?? 0;
    return {
      roles: this.#playing?.fabric.roles ?? [],
      broker: peer?.broker.counts ?? null,
      refusedRequests: peer?.server.refused ?? {},
      tasks: { inFlight, expected, ...this.#directory.counts },
      models: this.#playing?.models ?? [],
      tokens: { prompt: usage.prompt_tokens, completion: usage.completion_tokens },
    };
  }

  #summary({ state, abandoned, elapsedMs, spent, error }: Ended): Summary {
    const { hops, usage, cost, stopReasons, errors, score } = this.#books.tally;
    return {
      name: this.#work.plan.recipe.name,
      directory: this.#directory.path,
      state,
      simulated: this.#directory.simulated,
      replayed: this.#work.rows.replay !== null,
      expected: this.#work.rows.expected,
      ...this.#directory.counts,
      recorded_before: this.#books.before,
      abandoned,
      elapsed_ms: Math.round(elapsedMs),
      ...{ hops, usage, cost, spent },
      budget: this.#books.budget,
      stop_reasons: stopReasons,
      errors,
      score: score.count === 0 ? null : { scored: score.count, mean: score.sum / score.count },
      wire_bytes: this.#playing?.network?.fabric.wireBytes ?? null,
      error: toMatrixError(error),
    };
  }
}

/** What plays the tasks. */
interface Playing {
  readonly run: Run;
  readonly fabric: Fabric;
  /** Models that this process asks, for metrics. */
  readonly models: readonly Replicated[];
  /** Null in one process. */
  readonly network: { readonly peer: Peer; readonly fabric: ClusterFabric } | null;
}

interface Ended extends Pick<Summary, "state" | "abandoned" | "spent"> {
  readonly elapsedMs: number;
  readonly error: unknown;
}

const NEVER = new AbortController().signal;

function toMatrixError(error: unknown): MatrixError | null {
  if (error === null || error instanceof MatrixError) return error;
  return new MatrixError("storage_failed", String(error), { cause: error });
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
