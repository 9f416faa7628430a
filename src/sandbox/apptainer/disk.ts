// The places of root, as the caller or inside alone. Apptainer bounds what a plain user's sandbox
// writes by its configuration, and that of root not at all. Root's places and /dev therefore lie in
// a file system in memory, which no other process sees.

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Mount } from "../contract.ts";

/** Devices that programs expect. */
const DEVICES = ["null", "zero", "full", "random", "urandom", "tty"];

/**
 * Run as `sh -c IN_DISK sh OPTIONS DISK COMMAND…`. A device is read-only, which leaves its data
 * writable: otherwise root inside would change the mode of the machine's own device.
 */
const IN_DISK = `
set -e
mount -t tmpfs -o "$1" tmpfs "$2"
mkdir -p "$2/root" "$2/dev/pts" "$2/dev/shm" "$2/shm"
chmod 1777 "$2/shm"
mount --bind "$2/shm" "$2/dev/shm"
mount -t devpts -o newinstance,nosuid,noexec,ptmxmode=666,mode=620 devpts "$2/dev/pts"
for name in ${DEVICES.join(" ")}; do
  [ -c "/dev/$name" ] || continue
  : >"$2/dev/$name"
  mount --bind "/dev/$name" "$2/dev/$name"
  mount -o remount,bind,ro,nosuid,noexec "$2/dev/$name"
done
ln -s pts/ptmx "$2/dev/ptmx"
ln -s /proc/self/fd "$2/dev/fd"
ln -s fd/0 "$2/dev/stdin"
ln -s fd/1 "$2/dev/stdout"
ln -s fd/2 "$2/dev/stderr"
shift 2
exec "$@"
`;

/** The folder /dev of a sandbox with this disk, whose names are fixed. */
export function devicesOf(disk: string): Mount {
  return { source: join(disk, "dev"), target: "/dev", writable: false };
}

/** The command in a mount namespace of its own, with a disk of this size at `disk`. */
export async function inDisk(
  disk: string,
  { bytes, isRoot }: { readonly bytes: number; readonly isRoot: boolean },
  command: readonly string[],
): Promise<{ readonly file: string; readonly args: readonly string[] }> {
  await mkdir(disk, { recursive: true });
  const options = `size=${bytes},mode=755,nosuid,nodev`;
  return {
    file: "unshare",
    args: [
      ...(isRoot ? [] : ["--map-root-user"]),
      ...["--mount", "--propagation", "private"],
      ...["/bin/sh", "-c", IN_DISK, "matrix-disk", options, disk, ...command],
    ],
  };
}
