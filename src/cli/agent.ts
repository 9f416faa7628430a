// `matrix agent` starts hosts of a run as worker processes, watches over them, and replaces one
// that crashes.

import { rm } from "node:fs/promises";
import { hostname } from "node:os";
import { resolve } from "node:path";
import { Command, Option } from "commander";
import { EXIT, EXIT_GONE, EXIT_REJOIN, EXIT_TOLD, MatrixError } from "../error.ts";
import { DEFAULT_PORT, parseAddress, urlOf } from "../http/address.ts";
import { advertisedHost } from "../http/advertise.ts";
import { serveHealth } from "../http/health-server.ts";
import { createIdentity, type Identity } from "../http/identity.ts";
import { exitNow } from "../process.ts";
import {
  createFinder,
  defaultHostName,
  isComplete,
  readToken,
  runDirectoryOf,
} from "../run/join.ts";
import { watchParent } from "../run/worker/parent.ts";
import { Supervisor } from "../run/worker/supervisor.ts";
import { type Leaving, runWorker } from "../run/worker/worker.ts";
import { HOST_KEY, LAST_ERROR, WorkerLives } from "../run/worker/worker-command.ts";
import { printable } from "../task/printable.ts";
import { makeTemporaryFolder } from "../task/temporary-folder.ts";
import type { Log } from "../telemetry/log.ts";
import { formatLine } from "../telemetry/log.ts";
import { isHostName } from "../telemetry/log-sink.ts";
import { checkOtlp } from "../telemetry/otlp.ts";
import {
  advertiseOption,
  healthOption,
  insecureOption,
  listenOption,
  parsePatience,
  patienceOption,
  wholeNumber,
} from "./flags.ts";
import { onInterrupt } from "./interrupts.ts";
import { refuseAddress } from "./local-paths.ts";

interface AgentFlags {
  readonly role?: string;
  readonly join: string;
  readonly listen?: string;
  readonly advertise?: string;
  readonly health?: string;
  readonly name?: string;
  readonly workers: number;
  readonly patience: string;
  readonly insecure?: boolean;
  /** Hidden flags that the watching process gives its workers: see WorkerLives. */
  readonly id?: string;
  readonly replaces?: string;
  readonly watcher?: string;
}

/**
 * A worker that has not ended this long after SIGTERM is killed: it hangs, whatever the grace time.
 */
const STOP_MS = 10 * 60_000;

export function agentCommand(): Command {
  return new Command("agent")
    .description(
      "serve roles of a run that `matrix drive --listen` began, until the run is over (SIGTERM: hand over tasks and leave)",
    )
    .addOption(
      new Option(
        "--role <roles>",
        "roles to serve, separated by commas (default: all of the recipe)",
      ).env("MATRIX_ROLE"),
    )
    .addOption(
      new Option("--join <where>", "the driver's URL, or the run directory on a shared file system")
        .env("MATRIX_JOIN")
        .default(urlOf("127.0.0.1", DEFAULT_PORT, false)),
    )
    .addOption(
      listenOption(
        "host:port where other hosts reach this one (default: a free port at the address that the driver sees)",
      ),
    )
    .addOption(
      advertiseOption(
        "how other hosts reach this one: a hostname, a network interface, or a block such as 10.0.0.0/8",
      ),
    )
    .addOption(
      new Option("--name <name>", "name of the host in records and logs").env("MATRIX_NAME"),
    )
    .addOption(
      new Option("--workers <n>", "processes to start")
        .env("MATRIX_WORKERS")
        .argParser(wholeNumber)
        .default(1),
    )
    .addOption(patienceOption())
    .addOption(healthOption())
    .addOption(insecureOption())
    .addOption(new Option("--id <id>").hideHelp())
    .addOption(new Option("--replaces <id>").hideHelp())
    .addOption(new Option("--watcher <who>").hideHelp())
    .action(async (flags: AgentFlags) => {
      checkOtlp(process.env);
      process.exitCode =
        flags.watcher === undefined ? await watchWorkers(flags) : await work(flags, flags.watcher);
    });
}

async function work(flags: AgentFlags, watcher: string): Promise<number> {
  const {
    id = "",
    name = "",
    role,
    listen,
    advertise,
    replaces,
    patience,
    insecure = false,
  } = flags;
  const { env } = process;
  const patienceMs = parsePatience(patience);
  const leaving = new AbortController();
  onInterrupt(() => leaving.abort());
  const parent = watcher === "driver" ? null : Number(watcher);
  if (parent !== null) watchParent(parent, () => exitNow(EXIT.resumable));
  const why = await runWorker({
    ...{ id, name, insecure, patienceMs, env },
    identity: identityOf(id, takeKey(env)),
    replaces: replaces ?? null,
    lastError: env[LAST_ERROR] ?? "",
    roles: rolesOf(role),
    find: createFinder(flags.join, await readToken(env), insecure),
    runDirectory: () => runDirectoryOf(flags.join),
    listen: listen === undefined ? null : parseAddress(listen),
    advertise: advertise === undefined ? null : advertisedHost(advertise),
    isComplete: () => isComplete(flags.join),
    cwd: process.cwd(),
    show: (line) => void process.stderr.write(`${printable(line)}\n`),
    leave: leaving.signal,
  });
  return EXIT_OF[why];
}

const EXIT_OF = {
  over: EXIT.complete,
  told: EXIT_TOLD,
  gone: EXIT_GONE,
  rejoin: EXIT_REJOIN,
} as const satisfies Record<Leaving, number>;

/** The secret is this process's alone: programs that it starts do not inherit it. */
function takeKey(env: NodeJS.ProcessEnv): string | undefined {
  const key = env[HOST_KEY];
  delete env[HOST_KEY];
  return key;
}

function identityOf(id: string, key: string | undefined): Identity | null {
  return key === undefined ? null : createIdentity(id.replace(/\.[^.]*$/, ""), key);
}

/** Starts the workers and stays until the run is over or a signal comes. */
async function watchWorkers(flags: AgentFlags): Promise<number> {
  const { role, listen, advertise, insecure = false, patience, workers } = flags;
  const name = flags.name ?? defaultHostName(process.env, hostname(), process.pid);
  if (!isHostName(name))
    throw new MatrixError("usage", `--name "${name}" is not a name of a host`, {
      hint: "a name has letters, digits, '_', '.' and '-'",
    });
  if (workers < 1) throw new MatrixError("usage", "--workers: at least 1");
  rolesOf(role);
  parsePatience(patience);
  const token = await readToken(process.env);
  const isUrl = /^https?:/.test(flags.join);
  if (!isUrl) refuseAddress("--join", flags.join);
  const target = isUrl ? flags.join : resolve(flags.join);
  // A fault is reported here once, and not by each worker.
  createFinder(target, token, insecure);
  if (advertise !== undefined) advertisedHost(advertise);
  const lives = new WorkerLives({
    join: target,
    role,
    listen,
    advertise,
    patienceMs: parsePatience(patience),
    insecure,
    watcher: process.pid,
  });
  const folder = await makeTemporaryFolder("matrix-agent-");
  let worst: number = EXIT.complete;
  const over = Promise.withResolvers<void>();
  const names =
    workers === 1 ? [name] : Array.from({ length: workers }, (_, index) => `${name}-${index + 1}`);
  const left = new Set(names);
  const lastErrors = new Map<string, string>();
  const supervisor = new Supervisor({
    names,
    command: (worker) => lives.next(worker, token, lastErrors.get(worker)),
    adopted: [],
    logs: folder,
    // Programs draw progress with carriage returns; here they begin lines.
    echo: (text) => void process.stderr.write(printable(text.replace(/\r\n?/g, "\n"))),
    onStart: () => undefined,
    onDeath: (worker, { code, lastError, restartInMs }) => {
      lastErrors.set(worker, lastError);
      if (restartInMs !== null) return;
      // A worker that cannot run counts for more than one that left early.
      if (code === EXIT.refused) worst = code;
      else if (code !== EXIT.complete && worst === EXIT.complete) worst = EXIT.resumable;
      left.delete(worker);
      if (left.size === 0) over.resolve();
    },
    log: terminalLog,
  });
  const onSignal = (): void => void supervisor.stop(STOP_MS).then(over.resolve);
  onInterrupt(onSignal);
  const problem = () => (supervisor.workers.length === 0 ? "no process of this host runs" : null);
  const { health } = flags;
  const probed = health === undefined ? null : serveHealth(parseAddress(health), problem);
  supervisor.start();
  await over.promise;
  await supervisor.stop(0);
  await probed?.stop();
  await rm(folder, { recursive: true, force: true });
  return worst;
}

function rolesOf(text: string | undefined): readonly string[] | null {
  if (text === undefined) return null;
  const roles = text.split(",").map((role) => role.trim());
  if (roles.some((role) => role === ""))
    throw new MatrixError("usage", `--role "${text}": a name between commas is missing`);
  return roles;
}

/** Warnings and errors about workers go to stderr. */
const terminalLog: Log = {
  write: (level, message, fields = {}) => {
    if (level !== "info") console.error(formatLine(level, message, fields));
  },
  close: () => Promise.resolve(),
};
