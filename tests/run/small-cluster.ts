// A driver and its hosts in one process, for tests of runs on many hosts.

import { join } from "node:path";
import { readDriverFile } from "../../src/records/driver-file.ts";
import { createFinder, isComplete, runDirectoryOf } from "../../src/run/join.ts";
import { runRecipe } from "../../src/run/run-recipe.ts";
import type { RunContext, RunSettings } from "../../src/run/settings.ts";
import { runWorker, type WorkerOptions } from "../../src/run/worker/worker.ts";
import { until } from "../parts/until.ts";
import { prepareSmallRun, type SmallRun } from "./small-run.ts";

export const HOSTS = {
  workers: 0,
  listen: { hostname: "127.0.0.1", port: 0 },
  advertise: null,
  insecure: false,
  patienceMs: 10_000,
};

/** Starts a run that waits for hosts, and resolves when its driver can be found. */
export async function listen(
  folder: string,
  small: SmallRun = {},
  settings: Partial<RunSettings> = {},
  context: RunContext = {},
) {
  const plan = await prepareSmallRun(folder, small);
  const directory = join(folder, "run");
  const said: string[] = [];
  const display = () => ({ say: (line: string) => void said.push(line), stop: () => undefined });
  const summary = runRecipe(
    plan,
    { directory, hosts: HOSTS, ...settings },
    { display, ...context },
  );
  await until(async () => (await readDriverFile(directory)) !== null, "the driver listens");
  const { hosts = HOSTS } = settings;
  if (hosts?.listen != null) await until(() => said.length > 0, "the driver takes requests");
  const file = await readDriverFile(directory);
  if (file === null) throw new Error("the driver listens");
  return { summary, directory, said, file };
}

export interface HostSetup {
  readonly id?: string;
  readonly name?: string;
  readonly roles?: readonly string[] | null;
  readonly leave?: AbortSignal;
  readonly lastError?: string;
  readonly find?: WorkerOptions["find"];
  readonly patienceMs?: number;
  readonly advertise?: string;
}

/** A host of the run in this directory, as a separate process would be. */
export function startHost(directory: string, folder: string, setup: HostSetup = {}) {
  const { id = "host-1", name = id, roles = null, lastError = "", patienceMs = 10_000 } = setup;
  const shown: string[] = [];
  const done = runWorker({
    ...{ id, name, replaces: null, lastError, roles, listen: null, insecure: false },
    find: setup.find ?? createFinder(directory, null, false),
    runDirectory: () => runDirectoryOf(directory),
    isComplete: () => isComplete(directory),
    ...{ patienceMs, env: {}, cwd: folder, advertise: setup.advertise ?? null },
    show: (line) => void shown.push(line),
    leave: setup.leave ?? new AbortController().signal,
  });
  return { shown, done };
}
