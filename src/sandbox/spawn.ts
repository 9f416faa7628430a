// Child processes of this machine: start one with its three streams, wait for it, and end every process that carries a mark in
// its environment, however it was started and whoever is its parent by now.

import { type ChildProcess, type ChildProcessByStdio, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import type { Readable, Writable } from "node:stream";

export type Child = ChildProcessByStdio<Writable, Readable, Readable>;

export interface SpawnOptions {
  readonly cwd?: string;
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
}

/** What a child process ended with: its exit code, 128 + n after signal n, 127 where the file is not there. */
export interface ChildEnd {
  readonly code: number;
  /** Why it could not be started, or null. */
  readonly failure: string | null;
}

/** Starts a process in a session of its own, so that a Ctrl-C of ours does not reach it. */
export function spawnChild(
  file: string,
  args: readonly string[],
  { cwd, env }: SpawnOptions,
): Child {
  const child = spawn(file, [...args], {
    ...(cwd === undefined ? {} : { cwd }),
    env,
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
  });
  // A pipe whose other end is gone is told of by the end of the process.
  for (const stream of [child.stdin, child.stdout, child.stderr])
    stream.on("error", () => undefined);
  return child;
}

/** Resolves when the process has ended, whatever still holds its streams. */
export function endOf(child: ChildProcess): Promise<ChildEnd> {
  return new Promise((resolve) => {
    child.once("error", (error) => resolve({ code: 127, failure: error.message }));
    child.once("exit", (code, signal) =>
      resolve({ code: code ?? 128 + signalNumber(signal), failure: null }),
    );
  });
}

/** After its command has ended, output may fall silent for this long: what runs on in the background holds no pipe for longer. */
const SILENCE_MS = 200;

/** Resolves when both outputs have ended or fallen silent after the end of their command, and lets go of them. */
export async function outputEnd({
  stdout,
  stderr,
}: Pick<Child, "stdout" | "stderr">): Promise<void> {
  await Promise.all([stdout, stderr].map(streamEnd));
}

function streamEnd(stream: Readable): Promise<void> {
  return new Promise((resolve) => {
    const finish = (): void => {
      clearTimeout(timer);
      stream.destroy();
      resolve();
    };
    const timer = setTimeout(finish, SILENCE_MS);
    stream.once("end", finish);
    stream.once("close", finish);
    // Listening must not start a stream that nobody reads yet.
    if (stream.readableFlowing !== null) stream.on("data", () => timer.refresh());
    if (stream.readableEnded || stream.destroyed) finish();
  });
}

export interface Finished extends ChildEnd {
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a short command of this machine to its end. It is killed when the signal aborts. */
export async function runChild(
  file: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly signal?: AbortSignal } = {},
): Promise<Finished> {
  const { signal, ...where } = options;
  const child = spawnChild(file, args, { env: environment(), ...where });
  const end = endOf(child);
  const kill = () => killGroup(child.pid);
  signal?.addEventListener("abort", kill, { once: true });
  if (signal?.aborted === true) kill();
  child.stdin.end();
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  const { code, failure } = await end;
  await outputEnd(child);
  signal?.removeEventListener("abort", kill);
  return { code, failure, stdout: stdout(), stderr: stderr() };
}

/** This process's environment, as a child's. */
export function environment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    ),
  );
}

/** Kills a process and its group. */
export function killGroup(pid: number | undefined): void {
  if (pid !== undefined) killOne(-pid);
}

/** Rounds of a hunt: a process that forks while it is hunted is found again. */
const HUNTS_MAX = 20;

/** Kills every process of this machine that has `mark` (`NAME=value`) in its environment; false when some could not be killed. */
export function killMarked(mark: string): boolean {
  for (let hunt = 0; hunt < HUNTS_MAX; hunt++) {
    const pids = markedPids(mark);
    if (pids.length === 0) return true;
    for (const pid of pids) killOne(pid);
  }
  return false;
}

const KILL_TIMEOUT_MS = 5000;
const HUNT_EVERY_MS = 50;

/**
 * Kills every process with the mark again and again until the command has ended. One look is not
 * enough: a process shows no environment while the kernel starts it. A command that survives for
 * 5 s takes its sandbox along.
 */
export async function killUntil(
  mark: string,
  ended: Promise<unknown>,
  stopSandbox: () => Promise<void>,
): Promise<void> {
  const hunt = setInterval(() => killMarked(mark), HUNT_EVERY_MS);
  const timer = setTimeout(() => void stopSandbox(), KILL_TIMEOUT_MS);
  killMarked(mark);
  await ended.catch(() => undefined);
  clearInterval(hunt);
  clearTimeout(timer);
}

/** What serves a container's file systems from outside of it, and has no mark: Apptainer gives it an empty environment. */
const FILE_SERVERS = /^\((?:squashfuse|fuse|starter)/;

/** Kills file servers that were left in the session of a child that is dead. */
export function killFileServers(session: number): void {
  for (const pid of allPids()) {
    const [, comm = "", , , , sid] = statusOf(pid);
    if (Number(sid) === session && FILE_SERVERS.test(comm)) killOne(pid);
  }
}

/** The first fields of /proc/PID/stat (proc(5)): pid, (name), state, parent, group, session. Names with spaces do not matter here. */
function statusOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(" ", 6);
  } catch {
    return [];
  }
}

function killOne(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It is gone, or not ours.
  }
}

/** Processes with a mark, without those that are dead already; none where there is no /proc. */
export function markedPids(mark: string): number[] {
  return allPids().filter((pid) => environmentOf(pid).includes(mark));
}

/** `NAME=value` entries of a process; none when it is gone, dead or another user's. */
export function environmentOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  } catch {
    return [];
  }
}

export function allPids(): number[] {
  try {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}

/** The text of a stream as far as it has come. */
function collect(stream: Readable): () => string {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString("utf8");
}

/** Of the signals that end processes in practice, on Linux and macOS alike. */
const SIGNALS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
};

function signalNumber(signal: string | null): number {
  return SIGNALS[signal ?? ""] ?? 0;
}
