// A build that leaves nothing when it is interrupted, not even after SIGKILL of this process: a
// shell beside the build notices that our end of its stdin closed, ends the build, and removes what
// it made so far.

import { type Child, killGroup, spawnChild } from "../spawn.ts";

export interface GuardedBuild {
  /** The program that builds, and its arguments. */
  readonly command: readonly string[];
  readonly cwd?: string;
  readonly env: Readonly<Record<string, string>>;
  /** Files and folders that an interrupted build must not leave. */
  readonly leaves: readonly string[];
  readonly signal?: AbortSignal;
}

/**
 * Run as `sh -c GUARD sh COUNT PATH… COMMAND…`. The build has a second to remove files of its own;
 * the last kill ends everything in the session, this shell included.
 */
const GUARD = `
trap : HUP INT TERM
count=$1 leaves= n=0
shift
while [ $n -lt $count ]; do
  leaves="$leaves '$(printf %s "$1" | sed "s/'/'\\\\\\\\''/g")'"
  n=$((n + 1))
  shift
done
exec 9<&0
"$@" </dev/null 9<&- &
build=$!
(
  while read -r line; do :; done
  # The first shell would end this one when the build ends.
  kill -KILL $$
  kill -TERM $build
  sleep 1
  eval "rm -rf -- $leaves"
  kill -KILL 0
) <&9 >/dev/null 2>&1 &
watcher=$!
exec 9<&-
wait $build
code=$?
# A signal interrupts the wait with a code above 128.
while [ $code -gt 128 ] && kill -0 $build 2>/dev/null; do wait $build; code=$?; done
kill -KILL $watcher
exit $code
`;

/** Starts the build. It ends with the code of its command, and is interrupted when stdin closes. */
export function startGuarded({ command, cwd, env, leaves, signal }: GuardedBuild): Child {
  const args = ["-c", GUARD, "matrix-build", String(leaves.length), ...leaves, ...command];
  const child = spawnChild("/bin/sh", args, { env, ...(cwd === undefined ? {} : { cwd }) });
  const kill = () => killGroup(child.pid);
  signal?.addEventListener("abort", kill, { once: true });
  if (signal?.aborted === true) kill();
  child.once("exit", () => signal?.removeEventListener("abort", kill));
  return child;
}
