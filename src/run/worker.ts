// A host of a run, as a process: it joins, fetches the recipe, serves its roles among its peers, and leaves in peace when the
// run is over or a signal comes.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EXIT, MatrixError, messageOf } from "../error.ts";
import { captureConsole } from "../host/console.ts";
import { type DriverAddress, DriverCalls } from "../host/driver-calls.ts";
import type { Host } from "../host/host.ts";
import { Membership } from "../host/membership.ts";
import { Patience } from "../host/patience.ts";
import { catchStrayErrors } from "../host/stray-error.ts";
import {
  type Address,
  hostnameOf,
  isLoopback,
  isWildcard,
  LOOPBACK,
  needsTls,
  urlOf,
} from "../http/address.ts";
import { PeerServer } from "../http/peer-server.ts";
import { type PermitRequest, ProcessPermits } from "../model/permits.ts";
import type { Control } from "../peer/control.ts";
import { Peer } from "../peer/peer.ts";
import { unpackBundle } from "../recipe/bundle.ts";
import { systemClock } from "../task/clock.ts";
import { createMetrics } from "../telemetry/metrics.ts";
import { createStreamedLog, type StreamedLog } from "../telemetry/streamed-log.ts";
import { createTracing } from "../telemetry/tracing.ts";
import { version } from "../version.ts";
import { createHost, createRoles } from "./create-host.ts";
import { ratesOf } from "./limits.ts";
import { watchParent } from "./parent.ts";
import type { Plan } from "./plan.ts";
import { prepare } from "./prepare.ts";
import { Spending } from "./spending.ts";

export interface WorkerOptions {
  readonly id: string;
  readonly name: string;
  /** The life of this worker before this one, which is known to be over. */
  readonly replaces: string | null;
  /** What that life printed last; empty for nothing. */
  readonly lastError: string;
  /** Null: all of the recipe. */
  readonly roles: readonly string[] | null;
  readonly find: () => Promise<DriverAddress | null>;
  /** Once the run is joined; null where this process cannot reach it. */
  readonly runDirectory: () => string | null;
  /** Null: a free port, where the driver can see it. */
  readonly listen: Address | null;
  readonly insecure: boolean;
  readonly patienceMs: number;
  /** The process that this one must not outlive; null: one that may be followed by another. */
  readonly parent: number | null;
}

const JOIN_TIMEOUT_MS = 20_000;
const JOIN_PAUSE_MS = { first: 100, max: 2000 } as const;
const WAITING_SAID_MS = 10_000;
const LOGS_MS = 250;
const LOG_LINES_MAX = 500;
/** The driver answers within a second, also with nothing. */
const TURNS_TIMEOUT_MS = 5000;
const DRAIN_LOOK_MS = 25;
/** Messages held at once beyond what runs; more are refused, and go to another host. */
const CAPACITY_MIN = 20_000;

export async function runWorker(options: WorkerOptions): Promise<number> {
  const show = (line: string): void => void process.stderr.write(`${line}\n`);
  const log = createStreamedLog({ show });
  const releaseErrors = catchStrayErrors(log);
  const releaseConsole = captureConsole(log);
  const leaving: Leaving = Promise.withResolvers();
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.on(signal, () => leaving.resolve("signal"));
  if (options.parent !== null) watchParent(options.parent, () => process.exit(EXIT.resumable));

  const driver = new DriverCalls(options.id, options.find);
  const folder = await mkdtemp(join(tmpdir(), "matrix-host-"));
  try {
    const joined = await joinRun(driver, options, leaving, show);
    if (joined === null) return EXIT.complete;
    const plan = await unpackAndPrepare(joined, folder);
    const why = await serve(plan, joined, driver, options, log, leaving);
    if (why === "gone")
      show(`the driver was not heard of for ${options.patienceMs / 1000} s: leaving`);
    return EXIT.complete;
  } finally {
    releaseErrors();
    releaseConsole();
    driver.close();
    await rm(folder, { recursive: true, force: true });
  }
}

type Welcome = Exclude<Control<"welcome">, { readonly refused: string }>;

type Leaving = PromiseWithResolvers<"signal" | "over" | "gone">;

/** Asks until there is a driver; null when a signal came first. Fails with `usage` when the driver says no. */
async function joinRun(
  driver: DriverCalls,
  { name, replaces, parent, patienceMs }: WorkerOptions,
  leaving: Leaving,
  show: (line: string) => void,
): Promise<Welcome | null> {
  let pauseMs: number = JOIN_PAUSE_MS.first;
  let saidAt = performance.now() - WAITING_SAID_MS + 1000;
  // A process that a driver started must not wait for it for ever: it may be dead.
  const patience = new Patience(
    parent === null ? patienceMs : Number.POSITIVE_INFINITY,
    performance.now(),
  );
  let isLeaving = false;
  void leaving.promise.then(() => {
    isLeaving = true;
  });
  while (!isLeaving) {
    let why = "there is no driver yet";
    try {
      const welcome = await driver.call(
        "join",
        "join",
        { program: version, name, replaces },
        "welcome",
        JOIN_TIMEOUT_MS,
      );
      if (welcome !== null && "refused" in welcome)
        throw new MatrixError("usage", `the driver refused this host: ${welcome.refused}`);
      if (welcome !== null) return welcome;
    } catch (thrown) {
      if (thrown instanceof MatrixError) throwIfFinal(thrown);
      why = messageOf(thrown);
    }
    if (patience.ask(performance.now()) === "give up") return null;
    if (performance.now() - saidAt > WAITING_SAID_MS) {
      saidAt = performance.now();
      show(`${name}: waiting for the driver: ${why}`);
    }
    await Promise.race([new Promise((resolve) => setTimeout(resolve, pauseMs)), leaving.promise]);
    pauseMs = Math.min(JOIN_PAUSE_MS.max, pauseMs * 2);
  }
  return null;
}

/** A driver that cannot be reached may come back; all other errors are final, and so is a driver's no. */
function throwIfFinal(error: MatrixError): void {
  const { code, status } = error;
  if (code !== "peer_failed" && code !== "wire_invalid") throw error;
  if (status === 401)
    throw new MatrixError("usage", "the driver does not know this token", {
      hint: "take MATRIX_TOKEN from the run directory's driver.json",
    });
  if (status === 426)
    throw new MatrixError("usage", "the driver speaks another version of the protocol", {
      hint: "run the same matrix on every node",
    });
}

async function unpackAndPrepare({ bundle }: Welcome, folder: string): Promise<Plan> {
  const recipe = await unpackBundle(bundle, join(folder, "recipe"));
  // What this machine sets itself comes first.
  return prepare(recipe, { env: { ...bundle.secrets, ...process.env }, cwd: process.cwd() });
}

async function serve(
  plan: Plan,
  { run }: Welcome,
  driver: DriverCalls,
  options: WorkerOptions,
  log: StreamedLog,
  leaving: Leaving,
): Promise<"signal" | "over" | "gone"> {
  const { recipe } = plan;
  const { id, name, insecure, patienceMs } = options;
  if (options.lastError !== "")
    log.write("error", "the process before this one crashed", { stderr: options.lastError });
  const roles = options.roles ?? Object.keys(recipe.roles);
  for (const role of roles) {
    if (role in recipe.roles) continue;
    throw new MatrixError("usage", `--role ${role}: the recipe has no such role`, {
      hint: `its roles: ${Object.keys(recipe.roles).join(", ")}`,
    });
  }
  const found = await options.find();
  if (found === null)
    throw new MatrixError("usage", "the driver has gone before this host was ready");
  const permits = new ProcessPermits(ratesOf(recipe).keys(), {
    ask: (model, wanted) => askTurns(driver, model, wanted),
  });
  const spending = new Spending();
  const tracing = await createTracing(process.env, recipe.name, version);
  const slots = roles.reduce((sum, role) => sum + (recipe.roles[role]?.concurrency ?? 0), 0);
  const live = await plan.open({
    ...{ host: name, roles, permits, log },
    spend: spending.add,
    answers: { directory: options.runDirectory(), writer: id },
  });
  const served = createRoles(recipe, live.agents);
  const listen = options.listen ?? listenBeside(found.url);
  const server = await PeerServer.listen({
    ...listen,
    tls: needsTls(listen.hostname, insecure),
    token: found.token,
    self: id,
    onBug: (error) =>
      log.write("error", `bug: ${messageOf(error)}`, { stack: (error as Error).stack ?? "" }),
  });
  const peer = new Peer({
    server,
    token: found.token,
    delivery: recipe.run.delivery,
    maxAttempts: recipe.run.max_attempts,
    store: recipe.store,
    capacity: Math.max(CAPACITY_MIN, slots * 2),
    roles: served,
    isSink: false,
    statefulSandboxOf: (role) => {
      const sandbox = recipe.roles[role]?.sandbox;
      return sandbox !== undefined && recipe.sandboxes[sandbox]?.stateful === true ? sandbox : null;
    },
    onLoss: () => live.answers.noteLoss(),
    clock: systemClock,
  });
  const host = createHost({ plan, name, roles: served, transport: peer, tracing });
  const metrics = await createMetrics(
    process.env,
    { run: recipe.name, host: name, version },
    () => ({
      roles: served,
      broker: peer.broker.counts,
      refusedRequests: server.refused,
      tasks: null,
      models: live.replicated,
      tokens: host.tokens,
    }),
  );
  peer.start({ receiver: host, routes: {}, metrics: () => metrics.render() });
  const over = { isOver: false };
  const membership = new Membership({
    run,
    host: { id, name, roles, address: addressOf(server, listen, driver) },
    peer,
    driver,
    spent: () => spending.total,
    patienceMs,
    onRated: (models) => permits.addModels(models),
    onEnded: (rowId, trial) => live.sandboxes.release(rowId, trial),
    onOver: () => {
      over.isOver = true;
      leaving.resolve("over");
    },
    onGone: () => leaving.resolve("gone"),
  });
  const logs = setInterval(() => void sendLogs(driver, name, log), LOGS_MS);
  log.write("info", "joined", { run, roles: roles.join(","), pid: process.pid });

  const why = await leaving.promise;
  if (why === "signal")
    await drain(
      host,
      peer,
      membership,
      { graceMs: recipe.run.grace, isOver: () => over.isOver },
      log,
    );
  clearInterval(logs);
  await sendLogs(driver, name, log);
  await membership.stop();
  host.stop();
  await live.sandboxes.stop();
  await peer.stop();
  await Promise.all([live.answers.close(), tracing?.close(), metrics.close()]);
  return why;
}

/** Beside a driver on this machine, on this machine alone; else on every address. */
function listenBeside(driverUrl: string): Address {
  return isLoopback(hostnameOf(driverUrl)) ? LOOPBACK : { hostname: "0.0.0.0", port: 0 };
}

function addressOf(server: PeerServer, { hostname }: Address, driver: DriverCalls): string {
  const seen = isWildcard(hostname) ? (driver.localAddress ?? hostname) : hostname;
  return urlOf(seen, server.port, server.tls);
}

/** Hands over what waits, finishes what runs, and answers for what others keep, for as long as it may take. */
async function drain(
  host: Host,
  peer: Peer,
  membership: Membership,
  { graceMs, isOver }: { readonly graceMs: number; readonly isOver: () => boolean },
  log: StreamedLog,
): Promise<void> {
  log.write("info", "leaving: hands over what waits and finishes what runs");
  membership.leave();
  peer.broker.leave();
  const deadline = performance.now() + graceMs;
  while (!(host.idle && peer.broker.idle) && !isOver() && performance.now() < deadline) {
    host.receive(peer.broker.relocate(host.takeWaiting()));
    await new Promise((resolve) => setTimeout(resolve, DRAIN_LOOK_MS));
  }
  const { held, sent } = peer.broker.counts;
  if (held + sent > 0)
    log.write("warning", "left with work that was not done within run.grace: others take it over", {
      held,
      sent,
    });
}

/** Turns are the driver's to give: they hold for all hosts. */
async function askTurns(
  driver: DriverCalls,
  model: string,
  { tokens, settled }: PermitRequest,
): Promise<readonly number[]> {
  const turns = await driver.call(
    "permits",
    "permits",
    { model, tokens: [...tokens], settled },
    "turns",
    TURNS_TIMEOUT_MS,
  );
  if (turns === null) throw new Error("there is no driver");
  return turns.waits;
}

/** What cannot be sent waits, and is dropped when it is too much. */
async function sendLogs(driver: DriverCalls, name: string, log: StreamedLog): Promise<void> {
  const lines = log.take(LOG_LINES_MAX);
  if (lines.length === 0) return;
  const copies = lines.map((line) => ({ ...line, fields: { ...line.fields } }));
  const sent = await driver
    .call("logs", "logs", { name, lines: copies }, "done", JOIN_TIMEOUT_MS)
    .catch(() => undefined);
  if (sent === undefined) log.giveBack(lines);
}
