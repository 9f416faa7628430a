// Child processes of this machine, each with its three streams: how they are started, awaited and
// killed.

import { type ChildProcess, type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";

export type Child = ChildProcessByStdio<Writable, Readable, Readable>;

export interface SpawnOptions {
  readonly cwd?: string;
  /** The whole environment: nothing of ours is added. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * The end of a child process. The code is 128 + n after signal n, and 127 when the file is missing.
 */
export interface ChildEnd {
  readonly code: number;
  /** The reason why the process could not be started, or null. */
  readonly failure: string | null;
}

/** Starts a process in its own session, so that a Ctrl-C on our terminal does not reach it. */
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
  // A broken pipe needs no handler, because the end of the process reports it too.
  for (const stream of [child.stdin, child.stdout, child.stderr])
    stream.on("error", () => undefined);
  return child;
}

/** Resolves when the process has ended, even while another process still holds its streams. */
export function endOf(child: ChildProcess): Promise<ChildEnd> {
  return new Promise((resolve) => {
    child.once("error", (error) => resolve({ code: 127, failure: error.message }));
    child.once("exit", (code, signal) =>
      resolve({ code: code ?? 128 + signalNumber(signal), failure: null }),
    );
  });
}

/** Silence after which the output of an ended command counts as complete. */
const SILENCE_MS = 200;

/**
 * Waits for both outputs of an ended command, and closes them. A background process that the
 * command left behind may keep the pipes open without end, so silence counts as the end.
 */
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
    // A listener would start a stream that has no reader yet, and lose its data.
    if (stream.readableFlowing !== null) stream.on("data", () => timer.refresh());
    if (stream.readableEnded || stream.destroyed) finish();
  });
}

export interface Finished extends ChildEnd {
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a short command to its end. The command is killed when the signal aborts. */
export async function runChild(
  file: string,
  args: readonly string[],
  options: Partial<SpawnOptions> & { readonly signal?: AbortSignal } = {},
): Promise<Finished> {
  const { signal, ...where } = options;
  const child = spawnChild(file, args, { env: environment(), ...where });
  const kill = () => killGroup(child.pid);
  signal?.addEventListener("abort", kill, { once: true });
  if (signal?.aborted === true) kill();
  child.stdin.end();
  const finished = await finish(child);
  signal?.removeEventListener("abort", kill);
  return finished;
}

/** Waits for the end of a child, with all that it writes. */
export async function finish(child: Child): Promise<Finished> {
  const end = endOf(child);
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  const { code, failure } = await end;
  await outputEnd(child);
  return { code, failure, stdout: stdout(), stderr: stderr() };
}

/** A copy of our environment for a child process. */
export function environment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    ),
  );
}

/** Kills the process group of a child. */
export function killGroup(pid: number | undefined): void {
  if (pid !== undefined) sendKill(-pid);
}

/** Sends SIGKILL to a process, or to the group of a negative number. */
export function sendKill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // The process is gone, or belongs to another user.
  }
}

/** Collects a stream; the returned function gives the text that has come so far. */
function collect(stream: Readable): () => string {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString("utf8");
}

/** Numbers of the signals that end processes in practice, the same on Linux and macOS. */
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
