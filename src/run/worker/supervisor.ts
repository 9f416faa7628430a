// The supervisor starts worker processes on this machine, watches them, replaces those that crash,
// and stops them together. Workers outlive this process when it is killed, so that the next one can
// adopt them.
//
// A worker *runs*, as a child of this process or adopted from an earlier one. It *waits* to be
// started again. Or it is *over*: it left on purpose (exit 0, or out of patience) and is
// not replaced, it refused to run (exit 2), it failed to start again and again, or it was stopped.

import type { ChildProcess } from "node:child_process";
import { closeSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { EXIT, EXIT_GONE, EXIT_REJOIN, EXIT_TOLD, messageOf } from "../../error.ts";
import { isRunning, type ProcessId, startTimeOf } from "../../process.ts";
import type { Log } from "../../telemetry/log.ts";
import { lastErrorOf, StderrFile } from "./stderr-file.ts";

export interface WorkerProcess extends ProcessId {
  readonly name: string;
}

export interface WorkerCommand {
  readonly file: string;
  readonly args: readonly string[];
  /** Variables to add to this process's environment; `undefined` takes a variable away. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface WorkerDeath {
  /** Exit code and signal. Both are null for an adopted process: its end is seen, not told. */
  readonly code: number | null;
  readonly signal: string | null;
  /** The last error that the worker printed, of some lines; empty for none. */
  readonly lastError: string;
  /** Null when the worker is not started again. */
  readonly restartInMs: number | null;
}

export interface SupervisorOptions {
  readonly names: readonly string[];
  readonly command: (name: string) => WorkerCommand;
  /**
   * Processes of this machine that an earlier driver started. They are watched and replaced, too.
   */
  readonly adopted: readonly WorkerProcess[];
  /**
   * True when a worker that left on purpose is started again: another process told it to leave, or
   * it did not hear of this one for too long.
   */
  readonly replacesLeavers?: boolean;
  /** Called before a worker is started again; when it fails the worker is not. */
  readonly confirm?: () => Promise<void>;
  /** Folder of the files NAME.stderr, which hold what workers print. */
  readonly logs: string;
  /** Prints the output of workers here, too. */
  readonly echo?: (text: string) => void;
  /** Tells whether this life of a worker has taken part in the run. */
  readonly hasJoined?: (name: string) => boolean;
  readonly onStart: (worker: WorkerProcess) => void;
  readonly onDeath: (name: string, death: WorkerDeath) => void;
  readonly log: Log;
}

const POLL_MS = 200;
/**
 * Time that a killed process may take to disappear. A process that waits for a dead disk never
 * does.
 */
const KILL_MS = 5000;
/** A worker that lived this long does not crash in a loop. */
const STEADY_MS = 5000;
/** A worker that ends this often in the same way before it takes part in the run always would. */
export const STARTS_MAX = 6;
const RESTARTS_AT_ONCE = 2;
const BACKOFF_FIRST_MS = 250;
const BACKOFF_MAX_MS = 30_000;

type Life =
  | {
      readonly state: "runs";
      readonly process: WorkerProcess;
      readonly child: Child | null;
      readonly startedAt: number;
    }
  | { readonly state: "waits"; readonly timer: NodeJS.Timeout }
  | { readonly state: "over" };

type Child = Pick<ChildProcess, "unref">;

interface Worker {
  readonly name: string;
  readonly stderr: StderrFile;
  /** True for an adopted worker that is not wanted any more. It may stay as long as it lives. */
  readonly isSurplus: boolean;
  life: Life;
  /** Number of crashes in a row, each soon after the start. */
  crashes: number;
  /** Number of lives in a row that ended in the same way before they took part in the run. */
  failedStarts: number;
  /** The end of the last of them; null for a life that took part. */
  startFailure: string | null;
}

interface End extends Pick<WorkerDeath, "code" | "signal" | "lastError"> {
  /** Words for the log on how the worker ended. */
  readonly how: string;
}

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #workers: Worker[] = [];
  readonly #gone = Promise.withResolvers<void>();
  #poll: NodeJS.Timeout | undefined;
  #stopping = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  start(): void {
    const { names, adopted, logs } = this.#options;
    const living = adopted.filter(isRunning);
    const add = (name: string, process: WorkerProcess | undefined, isSurplus: boolean): void => {
      const life: Life =
        process === undefined
          ? { state: "over" }
          : { state: "runs", process, child: null, startedAt: performance.now() };
      const worker: Worker = {
        name,
        stderr: new StderrFile(join(logs, `${name}.stderr`)),
        isSurplus,
        life,
        crashes: 0,
        failedStarts: 0,
        startFailure: null,
      };
      this.#workers.push(worker);
      if (process === undefined) this.#start(worker);
    };
    const wanted = names.map((name) => ({
      name,
      process: living.find((process) => process.name === name),
    }));
    const kept = new Set(wanted.map(({ process }) => process));
    for (const process of living) if (!kept.has(process)) add(process.name, process, true);
    for (const { name, process } of wanted) add(name, process, false);
    this.#poll = setInterval(() => this.#look(), POLL_MS);
  }

  /** Workers that run now. */
  get workers(): readonly WorkerProcess[] {
    return this.#workers.flatMap(({ life }) => (life.state === "runs" ? [life.process] : []));
  }

  /**
   * Asks all workers to leave, kills those that stay longer than the grace time, and resolves when
   * none is left. A second call asks again.
   */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    for (const worker of this.#workers) {
      if (worker.life.state === "waits") {
        clearTimeout(worker.life.timer);
        worker.life = { state: "over" };
      }
      this.#signal(worker, "SIGTERM");
    }
    const kill = setTimeout(() => this.#kill(graceMs), graceMs);
    const abandon = setTimeout(() => this.#abandon(), graceMs + KILL_MS);
    this.#settle();
    await this.#gone.promise;
    clearTimeout(kill);
    clearTimeout(abandon);
    clearInterval(this.#poll);
  }

  /** Neither stops nor watches the workers any longer. */
  abandon(): void {
    this.#stopping = true;
    clearInterval(this.#poll);
    for (const { life } of this.#workers) {
      if (life.state === "waits") clearTimeout(life.timer);
      if (life.state === "runs") life.child?.unref();
    }
  }

  async #restart(worker: Worker): Promise<void> {
    try {
      await this.#options.confirm?.();
      if (!this.#stopping) this.#start(worker);
    } catch {
      worker.life = { state: "over" };
      this.#settle();
    }
  }

  #start(worker: Worker): void {
    const startedAt = performance.now();
    const descriptor = worker.stderr.open();
    if (descriptor === null)
      this.#options.log.write(
        "warning",
        `what ${worker.name} prints is not kept: its file cannot be opened`,
      );
    let child: ReturnType<typeof spawn>;
    try {
      child = spawn(this.#options.command(worker.name), descriptor);
    } catch (thrown) {
      this.#ended(worker, startedAt, notStarted(messageOf(thrown)));
      return;
    } finally {
      if (descriptor !== null) closeSync(descriptor);
    }
    const { pid, nodeChildProcess } = child;
    void child.then(({ exitCode: code = null, signal = null, originalMessage = "" }) => {
      if (pid === undefined) this.#ended(worker, startedAt, notStarted(originalMessage));
      else {
        const isCrash = !isLeaver(code) && code !== EXIT_REJOIN;
        const lastError = isCrash ? lastErrorOf(worker.stderr.tail()) : "";
        this.#ended(worker, startedAt, { code, signal, how: signal ?? `exit ${code}`, lastError });
      }
    });
    if (pid === undefined) return;
    const process = { name: worker.name, pid, startTime: startTimeOf(pid) };
    worker.life = { state: "runs", process, child: nodeChildProcess, startedAt };
    this.#options.onStart(process);
  }

  /** Looks for adopted processes that have died: they are no children of this process. */
  #look(): void {
    for (const worker of this.#workers) {
      this.#echo(worker);
      worker.stderr.bound();
      const { life } = worker;
      if (life.state !== "runs" || life.child !== null || isRunning(life.process)) continue;
      this.#ended(worker, life.startedAt, {
        code: null,
        signal: null,
        how: "unseen",
        lastError: lastErrorOf(worker.stderr.tail()),
      });
    }
  }

  #echo({ stderr }: Worker): void {
    const text = stderr.takeNew();
    if (text !== "") this.#options.echo?.(text);
  }

  #ended(worker: Worker, startedAt: number, end: End): void {
    this.#echo(worker);
    if (worker.life.state === "runs") killGroup(worker.life.process.pid);
    worker.crashes = performance.now() - startedAt >= STEADY_MS ? 1 : worker.crashes + 1;
    this.#countStart(worker, startedAt, end);
    const restartInMs = this.#isDone(worker, end) ? null : restartDelayMs(worker.crashes);
    worker.life =
      restartInMs === null
        ? { state: "over" }
        : { state: "waits", timer: setTimeout(() => void this.#restart(worker), restartInMs) };
    this.#report(worker, end, restartInMs);
    const { code, signal, lastError } = end;
    this.#options.onDeath(worker.name, { code, signal, lastError, restartInMs });
    this.#settle();
  }

  /** Words of an error may differ between lives, so only the exit code or the signal counts. */
  #countStart(worker: Worker, startedAt: number, { code, how }: End): void {
    const hasJoined =
      this.#options.hasJoined?.(worker.name) ?? performance.now() - startedAt >= STEADY_MS;
    const failure = hasJoined || isLeaver(code) ? null : how;
    const isSame = failure !== null && failure === worker.startFailure;
    worker.failedStarts = isSame ? worker.failedStarts + 1 : 1;
    worker.startFailure = failure;
  }

  #isDone(worker: Worker, { code }: End): boolean {
    if (worker.failedStarts >= STARTS_MAX) return true;
    if (this.#stopping || worker.isSurplus || code === EXIT.refused) return true;
    return isLeaver(code) && this.#options.replacesLeavers !== true;
  }

  #report(
    { name, crashes, failedStarts }: Worker,
    { code, how, lastError }: End,
    restartInMs: number | null,
  ): void {
    const { log } = this.#options;
    const [why = ""] = lastError.split("\n");
    const words = why === "" ? "" : `; its last words: ${why}`;
    if (restartInMs !== null) {
      const when =
        restartInMs === 0
          ? "at once"
          : `in ${restartInMs / 1000} s, after ${crashes} crashes in a row`;
      if (code === EXIT_REJOIN) log.write("info", `${name} begins another life ${when}`);
      else if (isLeaver(code))
        log.write("warning", `${name} left (${how}) and is started again ${when}`);
      else log.write("error", `${name} crashed (${how}) and is started again ${when}${words}`);
    } else if (code === EXIT.refused)
      log.write("error", `${name} cannot run (${how}) and is not started again${words}`);
    else if (failedStarts >= STARTS_MAX)
      log.write(
        "error",
        `${name} failed to start ${failedStarts} times in the same way and is not started again${words}`,
      );
    else log.write("info", `${name} has ended (${how})`);
    if (lastError.includes("\n"))
      log.write("info", `the last words of ${name}`, { stderr: lastError });
  }

  #kill(graceMs: number): void {
    for (const worker of this.#workers) {
      if (this.#signal(worker, "SIGKILL"))
        this.#options.log.write(
          "warning",
          `${worker.name} did not end within ${graceMs / 1000} s and was killed`,
        );
    }
  }

  #abandon(): void {
    for (const worker of this.#workers) {
      if (worker.life.state !== "runs") continue;
      this.#options.log.write("error", `${worker.name} cannot be killed and is left alone`, {
        pid: worker.life.process.pid,
      });
      worker.life.child?.unref();
    }
    this.#gone.resolve();
  }

  /** Sends a signal. False when the worker does not run. */
  #signal({ life }: Worker, signal: "SIGTERM" | "SIGKILL"): boolean {
    if (life.state !== "runs" || !isRunning(life.process)) return false;
    // A worker that has to be killed may have children that do not hear of it.
    return send(signal === "SIGKILL" ? -life.process.pid : life.process.pid, signal);
  }

  #settle(): void {
    if (this.#stopping && this.#workers.every(({ life }) => life.state === "over"))
      this.#gone.resolve();
  }
}

/**
 * Starts a worker in its own process group, so that Ctrl-C on the terminal reaches only this
 * process.
 */
function spawn({ file, args, env }: WorkerCommand, descriptor: number | null) {
  // execa accepts any descriptor, but its types stop at 9.
  const output = (descriptor ?? "ignore") as 9 | "ignore";
  return execa(file, args, {
    env: env as Record<string, string>,
    stdin: "ignore",
    stdout: output,
    stderr: output,
    buffer: false,
    detached: true,
    cleanup: false,
    reject: false,
  });
}

/** True for a worker that left on purpose: with its run, when told to, or out of patience. */
function isLeaver(code: number | null): boolean {
  return code === EXIT.complete || code === EXIT_GONE || code === EXIT_TOLD;
}

function notStarted(message: string): End {
  return { code: null, signal: null, how: "it could not be started", lastError: message };
}

/** Pause before a worker with this many crashes in a row is started again. */
export function restartDelayMs(crashes: number): number {
  return crashes <= RESTARTS_AT_ONCE
    ? 0
    : Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** (crashes - RESTARTS_AT_ONCE - 1));
}

/**
 * Kills what a dead worker has started and left behind. While a process of its group lives, no
 * other group gets its number.
 */
function killGroup(pid: number): void {
  if (!isRunning({ pid, startTime: null })) send(-pid, "SIGKILL");
}

function send(pid: number, signal: "SIGTERM" | "SIGKILL"): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    // The group has just gone.
    return false;
  }
}
