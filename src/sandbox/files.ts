// Files in a sandbox are written and read by commands, so that every engine does it
// alike. It works with a read-only root, and on temporary file systems that an engine's own copy
// command does not reach.

import { MatrixError } from "../error.ts";
import type { Sandbox } from "./contract.ts";
import { type ExecOptions, type ExecOutcome, exec } from "./exec.ts";

export interface FileOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

const MESSAGE_BYTES_MAX = 4096;

/** Writes a file and makes the folders above it. Fails with `agent_failed` when it cannot. */
export async function upload(
  sandbox: Sandbox,
  path: string,
  bytes: Uint8Array,
  options: FileOptions,
): Promise<void> {
  const script = 'case "$1" in */*) mkdir -p -- "${1%/*}/" || exit 1;; esac; cat > "$1"';
  await execOrFail(sandbox, `write ${path}`, {
    ...options,
    args: sh(script, path),
    stdin: bytes,
    outputBytesMax: MESSAGE_BYTES_MAX,
  });
}

/** Fails with `agent_failed` when the file is missing or larger than `bytesMax`. */
export async function download(
  sandbox: Sandbox,
  path: string,
  bytesMax: number,
  options: FileOptions,
): Promise<Uint8Array> {
  const { stdout, droppedBytes } = await execOrFail(sandbox, `read ${path}`, {
    ...options,
    args: sh('cat < "$1"', path),
    outputBytesMax: bytesMax,
  });
  if (droppedBytes > 0)
    throw new MatrixError("agent_failed", `${path} is larger than ${bytesMax} bytes`);
  return stdout;
}

function sh(script: string, argument: string): readonly string[] {
  return ["/bin/sh", "-c", script, "sh", argument];
}

async function execOrFail(
  sandbox: Sandbox,
  what: string,
  options: ExecOptions,
): Promise<ExecOutcome> {
  const outcome = await exec(sandbox, options);
  if (outcome.ending === "exit" && outcome.exitCode === 0) return outcome;
  const said = Buffer.from(outcome.stderr).toString("utf8").trim();
  const why =
    outcome.ending === "exit"
      ? said || `exit ${outcome.exitCode}`
      : `it took longer than ${options.timeoutMs} ms`;
  throw new MatrixError("agent_failed", `cannot ${what} in the sandbox: ${why}`);
}
