// Runs a command in a sandbox to its end, under limits of time and output. How it ended is data.

import { MatrixError } from "../error.ts";
import { Capture } from "./capture.ts";
import type { Command, Running, Sandbox } from "./contract.ts";

export interface ExecOptions extends Command {
  readonly stdin?: Uint8Array;
  readonly timeoutMs: number;
  /** Bytes kept of stdout, and of stderr: half from the beginning, and half from the end. */
  readonly outputBytesMax: number;
  /** Kills the command when it aborts; `exec` then fails with the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * `exit`: the command ended by itself or by a signal. `timeout` and `flood`: it was killed, at its
 * time limit or because its output had no end.
 */
export type ExecEnding = "exit" | "timeout" | "flood";

export interface ExecOutcome {
  readonly ending: ExecEnding;
  /** 128 + n after signal n, so 137 after SIGKILL and for a command that ran out of memory. */
  readonly exitCode: number;
  /** Where bytes were left out, a line says how many. */
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
  /** Bytes of output that were left out. */
  readonly droppedBytes: number;
}

/** A command that wrote this much more than is kept will not stop by itself. */
const FLOOD_BYTES = 2 ** 30;
const KILLED = 137;
/** Linux's MAX_ARG_STRLEN. */
const WORD_BYTES_MAX = 131_071;
/** Below a quarter of the usual stack of 8 MiB, which is Linux's limit. */
const WORDS_BYTES_MAX = 1_500_000;

export async function exec(sandbox: Sandbox, options: ExecOptions): Promise<ExecOutcome> {
  const { stdin, timeoutMs, outputBytesMax, signal } = options;
  signal?.throwIfAborted();
  refuseImpossible(options);
  const startedAt = performance.now();
  const running = await sandbox.open(options);
  let ending: ExecEnding = "exit";
  let killing: Promise<void> | null = null;
  const kill = (why: ExecEnding): void => {
    if (killing === null) ending = why;
    killing ??= running.kill();
  };
  const timer = setTimeout(
    () => kill("timeout"),
    Math.max(0, timeoutMs - (performance.now() - startedAt)),
  );
  const abort = () => kill("timeout");
  signal?.addEventListener("abort", abort, { once: true });
  if (signal?.aborted === true) abort();
  try {
    const flood = (total: number): void => {
      if (total > outputBytesMax + FLOOD_BYTES) kill("flood");
    };
    const [stdout, stderr] = [
      new Capture(running.stdout, outputBytesMax, flood),
      new Capture(running.stderr, outputBytesMax, flood),
    ];
    running.stdin.end(stdin ?? new Uint8Array());
    const exitCode = await exitCodeOf(running, () => killing !== null);
    await killing;
    signal?.throwIfAborted();
    return {
      ending,
      exitCode: killing === null ? exitCode : KILLED,
      stdout: stdout.bytes,
      stderr: stderr.bytes,
      droppedBytes: stdout.dropped + stderr.dropped,
    };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

/** Refuses a command that no kernel starts, because each engine would report it in its own way. */
function refuseImpossible({ args, cwd = "", env = {} }: Command): void {
  const words = [...args, cwd, ...Object.entries(env).map((entry) => entry.join("="))];
  if (words.some((word) => word.includes("\0")))
    throw new MatrixError("agent_failed", "a command cannot contain a NUL character");
  const bytes = words.map((word) => Buffer.byteLength(word));
  if (
    bytes.some((one) => one > WORD_BYTES_MAX) ||
    bytes.reduce((sum, one) => sum + one, 0) > WORDS_BYTES_MAX
  )
    throw new MatrixError(
      "agent_failed",
      `a command is too long: at most ${WORD_BYTES_MAX} bytes a word and ${WORDS_BYTES_MAX} in all`,
      { hint: "pass long input as a file, or on stdin" },
    );
}

/** A sandbox that was killed together with its command counts as the command's end. */
async function exitCodeOf({ exited }: Running, wasKilled: () => boolean): Promise<number> {
  try {
    return await exited;
  } catch (thrown) {
    if (wasKilled() && thrown instanceof MatrixError && thrown.code === "sandbox_lost")
      return KILLED;
    throw thrown;
  }
}
