// Files in a sandbox are written, read and compared by commands, so that every engine does it
// alike. It works with a read-only root, and on temporary file systems that an engine's own copy
// command does not reach.

import { MatrixError } from "../error.ts";
import type { Sandbox } from "./contract.ts";
import { type ExecOptions, type ExecOutcome, exec } from "./exec.ts";

export interface FileOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** Size and checksum of each file as `cksum` prints them, by path from the folder. */
export type Snapshot = ReadonlyMap<string, string>;

export interface Change {
  readonly path: string;
  readonly change: "added" | "changed" | "removed";
}

const SNAPSHOT_BYTES_MAX = 64 * 2 ** 20;
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

/** Takes the sizes and checksums of all files under a folder. */
export async function takeSnapshot(
  sandbox: Sandbox,
  folder: string,
  options: FileOptions,
): Promise<Snapshot> {
  const script = 'cd -- "$1" || exit 1; find . -xdev -type f -exec cksum {} + 2>/dev/null || :';
  const { stdout } = await execOrFail(sandbox, `list ${folder}`, {
    ...options,
    args: sh(script, folder),
    outputBytesMax: SNAPSHOT_BYTES_MAX,
  });
  const files = new Map<string, string>();
  for (const line of Buffer.from(stdout).toString("utf8").split("\n")) {
    const [, sum, path] = /^(\d+ \d+) \.\/(.*)$/.exec(line) ?? [];
    if (sum !== undefined && path !== undefined) files.set(path, sum);
  }
  return files;
}

/** Changes between two snapshots, sorted by path. */
export function compareSnapshots(before: Snapshot, after: Snapshot): readonly Change[] {
  const changes: Change[] = [];
  for (const [path, sum] of after) {
    const earlier = before.get(path);
    if (earlier !== sum)
      changes.push({ path, change: earlier === undefined ? "added" : "changed" });
  }
  for (const path of before.keys()) if (!after.has(path)) changes.push({ path, change: "removed" });
  return changes.sort((a, b) => (a.path < b.path ? -1 : 1));
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
