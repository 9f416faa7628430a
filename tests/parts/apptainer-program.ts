// An Apptainer program of a test's own: a script that notes its arguments, runs the container's
// first process as a plain process, and gives it the pipes where it expects them.

import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

/**
 * Runs `exec … IMAGE /bin/sh -c SCRIPT` with the paths of the bridge and the pipes replaced by
 * their sources on this machine. A file `fail` beside the program holds what it writes and fails
 * with, once.
 */
const PROGRAM = `#!/bin/sh
here=$(dirname "$0")
if [ "$1" = --version ]; then echo "apptainer version 9.9"; exit 0; fi
if [ "$1" = buildcfg ]; then echo "APPTAINER_SUID_INSTALL=0"; exit 0; fi
printf '%s\\n' "$@" > "$here/arguments"
echo x >> "$here/starts"
if [ -f "$here/fail" ]; then cat "$here/fail" >&2; rm "$here/fail"; exit 255; fi
bridge= pipes= last=
for argument in "$@"; do
  case $argument in
    type=bind,source=*,destination=/matrix,ro) bridge=\${argument#type=bind,source=}; bridge=\${bridge%,destination=*} ;;
    type=bind,source=*,destination=/matrix-pipes,ro) pipes=\${argument#type=bind,source=}; pipes=\${pipes%,destination=*} ;;
  esac
  last=$argument
done
script=$(printf '%s' "$last" | sed -e "s#'/matrix/lease'#'$bridge/lease'#" -e "s#'/matrix-pipes'#'$pipes'#")
env > "$here/environment"
exec /bin/sh -c "$script"
`;

export interface ApptainerProgram {
  readonly path: string;
  /** Arguments of the last start. */
  arguments(): Promise<readonly string[]>;
  /** Variables of the last start, as `NAME=value`. */
  environment(): Promise<readonly string[]>;
  starts(): Promise<number>;
  /** Makes the next start fail with this text on stderr. */
  fail(text: string): Promise<void>;
}

export async function writeApptainer(folder: string): Promise<ApptainerProgram> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, "apptainer");
  await writeFile(path, PROGRAM);
  await chmod(path, 0o755);
  const read = (name: string) => readFile(join(folder, name), "utf8").catch(() => "");
  return {
    path,
    arguments: async () => (await read("arguments")).split("\n"),
    environment: async () => (await read("environment")).split("\n"),
    starts: async () => (await read("starts")).split("\n").length - 1,
    fail: (text) => writeFile(join(folder, "fail"), text),
  };
}
