// A host of a run as a process: it joins, unpacks the recipe, serves its roles among its peers, and
// leaves when the run is over, when it is told to, or when its driver is gone for too long.

import { rm } from "node:fs/promises";
import { join } from "node:path";
import { MatrixError } from "../../error.ts";
import { captureConsole } from "../../host/console.ts";
import { type DriverAddress, DriverCalls } from "../../host/driver-calls.ts";
import type { DriverNews } from "../../host/membership.ts";
import { catchStrayErrors } from "../../host/stray-error.ts";
import type { Address } from "../../http/address.ts";
import type { Identity } from "../../http/identity.ts";
import { unpackBundle } from "../../recipe/bundle.ts";
import type { Environment } from "../../recipe/compose.ts";
import type { Recipe } from "../../recipe/schema/schema.ts";
import { makeTemporaryFolder } from "../../task/temporary-folder.ts";
import { createStreamedLog, type StreamedLog } from "../../telemetry/streamed-log.ts";
import type { Plan } from "../plan.ts";
import { prepare } from "../prepare.ts";
import { recordedPlan } from "../replay/recorded-plan.ts";
import { RemoteSource } from "../replay/remote-source.ts";
import { HostProcess } from "./host-process.ts";
import { joinRun, type Welcome, waitsFor } from "./join-run.ts";

export interface WorkerOptions {
  /** Id of this life of the host. */
  readonly id: string;
  readonly name: string;
  /** Proves `id` to peers; null for an id without a fingerprint. */
  readonly identity?: Identity | null;
  /** The life before this one, which is known to be over. */
  readonly replaces: string | null;
  /** The last error that that life printed; empty for none. */
  readonly lastError: string;
  /** Null for all roles of the recipe. */
  readonly roles: readonly string[] | null;
  /** Finds the driver; null while there is none. */
  readonly find: () => Promise<DriverAddress | null>;
  /** The run directory, once the run is joined; null where this process cannot reach it. */
  readonly runDirectory: () => string | null;
  /** Null for a free port: on loopback when the driver is there too, else on every address. */
  readonly listen: Address | null;
  /** The hostname under which other hosts reach this one; null for one that is found out. */
  readonly advertise?: string | null;
  readonly insecure: boolean;
  /** The worker waits this long for a driver that is not there yet, or is gone. */
  readonly patienceMs: number;
  /** Tells whether the files of the run say that it is complete. */
  readonly isComplete: () => Promise<boolean>;
  /** Values of `${env:…}`, and OTEL_… variables. They come before the driver's. */
  readonly env: Environment;
  readonly cwd: string;
  /** Prints a line on the terminal. */
  readonly show: (line: string) => void;
  /** Aborted: the host hands over what it holds and leaves. */
  readonly leave: AbortSignal;
}

/**
 * Why a host has left: the run is `over`, it was `told` to leave, the driver was `gone` for longer
 * than its patience, or it is to `rejoin` with the recipe and the secrets of the driver.
 */
export type Leaving = "over" | "told" | "gone" | "rejoin";

/**
 * Resolves when the host has left. Fails with `usage` when the driver refuses the host, or the
 * recipe has no such role.
 */
export async function runWorker(options: WorkerOptions): Promise<Leaving> {
  const { show } = options;
  const log = createStreamedLog({ show });
  await using open = new AsyncDisposableStack();
  open.defer(catchStrayErrors(log));
  open.defer(captureConsole(log));
  const driver = new DriverCalls(options.id, options.find, options.identity);
  open.defer(() => driver.close());
  const runDirectory = options.runDirectory();
  const places = runDirectory === null ? [] : [runDirectory];
  const folder = await makeTemporaryFolder("matrix-host-", places);
  open.defer(() => rm(folder, { recursive: true, force: true }));

  const welcome = await joinRun(driver, { ...options, signal: options.leave });
  if (welcome === "told") return welcome;
  const why =
    typeof welcome === "string" ? welcome : await serve(welcome, folder, driver, options, log);
  show(`${options.name}: ${lastWords(why, options)}`);
  return why;
}

function lastWords(why: Leaving, { patienceMs }: WorkerOptions): string {
  const seconds = patienceMs / 1000;
  if (why === "over") return "the run is complete: leaving";
  if (why === "told") return "told to leave: other hosts go on with its tasks";
  if (why === "gone") return `no word from the driver for ${seconds} s (--patience): leaving`;
  return "the driver runs without this life of the host: joining anew";
}

function driverNews(news: DriverNews, patienceMs: number): string {
  if (news === "back") return "the driver is back";
  const lost =
    news === "silent" ? "the driver is silent" : "the driver stopped before the run was complete";
  return `${lost}: the host keeps its tasks; ${waitsFor(patienceMs)}`;
}

async function unpack(
  { bundle }: Welcome,
  folder: string,
  { env, cwd }: WorkerOptions,
): Promise<Plan> {
  const recipe = await unpackBundle(bundle, folder);
  return prepare(recipe, { env: { ...bundle.secrets, ...env }, cwd });
}

/** Serves its roles until the run is over, the driver is gone, or this host is told to leave. */
async function serve(
  welcome: Welcome,
  folder: string,
  driver: DriverCalls,
  options: WorkerOptions,
  log: StreamedLog,
): Promise<Leaving> {
  const { run, replay } = welcome;
  const { name, find, runDirectory, lastError, leave, show, patienceMs } = options;
  const recipe = await unpack(welcome, join(folder, "recipe"), options);
  const plan =
    replay === undefined ? recipe : recordedPlan(recipe, replay, new RemoteSource(driver));
  if (lastError !== "")
    log.write("error", "the process before this one crashed", { stderr: lastError });
  const roles = checkRoles(plan.recipe, options.roles);
  const found = await find();
  if (found === null)
    throw new MatrixError("peer_failed", "the driver has gone before this host was ready");
  const directory = runDirectory();
  const host = await HostProcess.open({
    ...options,
    onDriver: (news) => show(`${name}: ${driverNews(news, patienceMs)}`),
    ...{ plan, run, roles, driver, found, log, runDirectory: directory, signal: leave },
  }).catch((thrown: unknown) => {
    if (leave.aborted && thrown === leave.reason) return null;
    throw thrown;
  });
  // It was told to leave while it got its images.
  if (host === null) return "told";
  show(`${name}: joined the run at ${found.url} with ${roles.join(", ")}`);
  const why = await Promise.race([host.membership.ended, told(leave)]);
  if (why === "told") await host.drain();
  await host.stop();
  return why;
}

function checkRoles({ roles }: Recipe, wanted: readonly string[] | null): readonly string[] {
  const known = Object.keys(roles);
  const unknown = wanted?.find((role) => !known.includes(role));
  if (unknown === undefined) return wanted ?? known;
  throw new MatrixError("usage", `--role ${unknown}: the recipe has no such role`, {
    hint: `its roles: ${known.join(", ")}`,
  });
}

function told(leave: AbortSignal): Promise<"told"> {
  return new Promise((resolve) => {
    if (leave.aborted) resolve("told");
    else leave.addEventListener("abort", () => resolve("told"), { once: true });
  });
}
