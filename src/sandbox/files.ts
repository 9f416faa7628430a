// Files in a sandbox are written and read by commands, so that every engine does it alike. It works
// with a read-only root, and on temporary file systems that an engine's own copy command does not
// reach. A model reads the errors, so they speak of its file and of nothing else.

import { MatrixError } from "../error.ts";
import type { Sandbox } from "./contract.ts";
import { type ExecOptions, type ExecOutcome, exec } from "./exec.ts";

export interface FileOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

const MESSAGE_BYTES_MAX = 4096;
/** A file that is just replaced by a pipe could be waited for without end. */
const TIMEOUT_MS_MAX = 30_000;

/** The kinds of path that are refused. The first that holds is printed, and the script ends. */
const REFUSE = `
no() { echo "$1" >&2; exit 1; }
case $1 in */) no 'its name ends in /, so it is a folder' ;; esac
[ ! -d "$1" ] || no 'it is a folder'
[ ! -e "$1" ] || [ -f "$1" ] || no 'it is a pipe, a socket or a device, not a file'
`;
/** The rest of the input is read: an engine may report a closed input in place of the failure. */
const WRITE = `trap 'code=$?; [ "$code" -eq 0 ] || cat >/dev/null; exit "$code"' EXIT
${REFUSE}
case $1 in */*) mkdir -p -- "\${1%/*}/" || exit 1 ;; esac
cat >"$1"
`;
/** A file may be sparse or grow, so no more is read than is wanted. */
const READ = `${REFUSE}
[ -e "$1" ] || { [ -L "$1" ] && no 'it is a link to a file that is not there'; }
[ -e "$1" ] || no 'there is no such file'
[ -r "$1" ] || no 'it may not be read'
head -c "$2" <"$1"
`;

/** Causes as the kernel names them, in the words of an answer. */
const CAUSES: readonly (readonly [RegExp, string])[] = [
  [/No space left|quota/i, "there is no space left, and it may be written in part"],
  [/Read-only/i, "this place cannot be written to; use /tmp or the working directory"],
  [/Permission denied|not permitted/i, "there is no permission for it"],
  [/Not a directory|File exists/i, "a part of its path is a file, not a folder"],
  [/name too long/i, "its name is too long"],
  [/symbolic links|Symlink loop/i, "its path is a circle of links"],
  [/No such file|nonexistent/, "its folder is not there"],
];

/** Writes a file and makes the folders above it. Fails with `agent_failed` when it cannot. */
export async function upload(
  sandbox: Sandbox,
  path: string,
  bytes: Uint8Array,
  options: FileOptions,
): Promise<void> {
  await execOrFail(sandbox, `write ${path}`, {
    ...options,
    args: ["/bin/sh", "-c", WRITE, "sh", path],
    stdin: bytes,
    outputBytesMax: MESSAGE_BYTES_MAX,
  });
}

/** Fails with `agent_failed` when it is no file, cannot be read, or is larger than `bytesMax`. */
export async function download(
  sandbox: Sandbox,
  path: string,
  bytesMax: number,
  options: FileOptions,
): Promise<Uint8Array> {
  const { stdout } = await execOrFail(sandbox, `read ${path}`, {
    ...options,
    args: ["/bin/sh", "-c", READ, "sh", path, String(bytesMax + 1)],
    // The shell's own words go to stderr, which shares this bound.
    outputBytesMax: Math.max(bytesMax + 1, MESSAGE_BYTES_MAX),
  });
  if (stdout.length > bytesMax)
    throw new MatrixError(
      "agent_failed",
      `cannot read ${path}: it is larger than ${bytesMax} bytes; read a part of it by a command`,
    );
  return stdout;
}

async function execOrFail(
  sandbox: Sandbox,
  what: string,
  options: ExecOptions,
): Promise<ExecOutcome> {
  const timeoutMs = Math.min(options.timeoutMs, TIMEOUT_MS_MAX);
  const outcome = await exec(sandbox, { ...options, timeoutMs });
  if (outcome.ending === "exit" && outcome.exitCode === 0) return outcome;
  const said = Buffer.from(outcome.stderr).toString("utf8").trim();
  const why =
    outcome.ending === "exit"
      ? causeOf(said) || `exit ${outcome.exitCode}`
      : `it took longer than ${timeoutMs} ms`;
  throw new MatrixError("agent_failed", `cannot ${what}: ${why}`);
}

function causeOf(said: string): string {
  return CAUSES.find(([pattern]) => pattern.test(said))?.[1] ?? said;
}
