// A command in a sandbox, run to its end under limits of time and output. How it ended is data.

import type { Readable } from "node:stream";
import { MatrixError } from "../error.ts";
import type { Command, Running, Sandbox } from "./contract.ts";

export interface ExecOptions extends Command {
  readonly stdin?: Uint8Array;
  readonly timeoutMs: number;
  /** Of each of stdout and stderr that is kept; what comes after is dropped. */
  readonly outputBytesMax: number;
  /** Ends the command when it aborts; `exec` then fails with its reason. */
  readonly signal?: AbortSignal;
}

/** `exit`: by itself, also by a signal. The others were killed: at their time limit, or for output without end. */
export type ExecEnding = "exit" | "timeout" | "flood";

export interface ExecOutcome {
  readonly ending: ExecEnding;
  /** 128 + n after signal n, so 137 for SIGKILL and for what ran out of memory. Of a killed command: 137. */
  readonly exitCode: number;
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
  /** Bytes that came but were not kept. */
  readonly droppedBytes: number;
  readonly durationMs: number;
}

/** A command that writes this much more than is kept of it will not stop by itself. */
const FLOOD_BYTES = 2 ** 30;
const KILLED = 137;
/** Linux: MAX_ARG_STRLEN, and less than a quarter of the usual stack. */
const WORD_BYTES_MAX = 131_071;
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
    const flood = () => kill("flood");
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
      durationMs: performance.now() - startedAt,
    };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

/** No kernel starts these, and every engine says so in a way of its own. */
function refuseImpossible({ args, cwd = "", env = {} }: Command): void {
  const words = [...args, cwd, ...Object.entries(env).map((entry) => entry.join("="))];
  if (words.some((word) => word.includes("\0")))
    throw new MatrixError("agent_failed", "a command cannot have a NUL in it");
  const bytes = words.map((word) => Buffer.byteLength(word));
  if (
    Math.max(...bytes) > WORD_BYTES_MAX ||
    bytes.reduce((sum, one) => sum + one, 0) > WORDS_BYTES_MAX
  )
    throw new MatrixError(
      "agent_failed",
      `a command is too long: ${WORD_BYTES_MAX} bytes a word, ${WORDS_BYTES_MAX} in all`,
      {
        hint: "give it as a file, or on stdin",
      },
    );
}

/** A sandbox that had to be killed with its command is the command's end, not an error of its own. */
async function exitCodeOf({ exited }: Running, wasKilled: () => boolean): Promise<number> {
  try {
    return await exited;
  } catch (thrown) {
    if (wasKilled() && thrown instanceof MatrixError && thrown.code === "sandbox_lost")
      return KILLED;
    throw thrown;
  }
}

/** Keeps the beginning of a stream and counts the rest. */
class Capture {
  readonly #chunks: Buffer[] = [];
  #kept = 0;
  dropped = 0;

  constructor(stream: Readable, bytesMax: number, onFlood: () => void) {
    stream.on("data", (chunk: Buffer) => {
      const room = bytesMax - this.#kept;
      const part = chunk.length <= room ? chunk : chunk.subarray(0, room);
      if (part.length > 0) this.#chunks.push(part);
      this.#kept += part.length;
      this.dropped += chunk.length - part.length;
      if (this.dropped > FLOOD_BYTES) onFlood();
    });
  }

  get bytes(): Uint8Array {
    return Buffer.concat(this.#chunks);
  }
}
