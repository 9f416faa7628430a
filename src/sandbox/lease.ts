// The lease of a host: a folder on this machine with a counter that the host renews while it lives.
// The holder of each sandbox watches the counter, and so do the reapers of all hosts. The folder
// also holds the files that are mounted into containers. A guard process ends what is left and
// removes the folder when the host is killed.

import { randomUUID } from "node:crypto";
import { statSync } from "node:fs";
import {
  appendFile,
  chmod,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pythonAgent from "../../sandboxes/matrix_agent.py" with { type: "text" };
import bunAgent from "../../sandboxes/matrix-agent.mjs" with { type: "text" };
import { MatrixError, messageOf } from "../error.ts";
import { makeOwnFolder, refuseOthers } from "../task/own-files.ts";
import type { EngineName, Mount } from "./contract.ts";
import { LEASE_MS, RENEWAL_MS } from "./holder.ts";
import { MARK } from "./marked-processes.ts";
import { MAKE_PLAIN, PlainFiles } from "./plain-files.ts";
import { type Child, environment, spawnChild } from "./spawn.ts";

export interface LeaseOwner {
  /** The run's name. */
  readonly run: string;
  readonly host: string;
}

export interface LeaseOptions {
  /** The folder of all leases; default: one of this user in the folder for temporary files. */
  readonly root?: string;
  readonly renewEveryMs?: number;
}

export class Lease implements AsyncDisposable {
  readonly owner: LeaseOwner;
  readonly folder: string;
  /**
   * Folder mounted read-only into every container: the counter `lease` and the agents' libraries.
   */
  readonly bridge: string;
  /** Names of a sandbox without a network, for engines that would show those of the machine. */
  readonly hosts: string;
  readonly #guard: Child;
  readonly #renewal: NodeJS.Timeout;
  readonly #plainFiles: PlainFiles;
  #renewals = 0;

  /** Fails with `sandbox_unavailable` when the folder cannot be made. */
  static async take(
    owner: LeaseOwner,
    { root = leaseRoot(), renewEveryMs = RENEWAL_MS }: LeaseOptions = {},
  ): Promise<Lease> {
    const folder = join(root, randomUUID());
    try {
      // Closed to other users: inside a container the mount itself opens the folder.
      await makeOwnFolder(root);
      const bridge = join(folder, "bridge");
      await mkdir(bridge, { recursive: true });
      const files = { lease: "0\n", "matrix_agent.py": pythonAgent, "matrix-agent.mjs": bunAgent };
      for (const [name, text] of Object.entries(files)) await writeFile(join(bridge, name), text);
      // Set against the umask, because agents in a container may run as any user.
      for (const path of [bridge, ...Object.keys(files).map((name) => join(bridge, name))])
        await chmod(path, path === bridge ? 0o755 : 0o644);
      await writeFile(join(folder, HOSTS), HOSTS_TEXT);
      await chmod(join(folder, HOSTS), 0o644);
    } catch (cause) {
      if (cause instanceof MatrixError) throw cause;
      throw new MatrixError(
        "sandbox_unavailable",
        `cannot prepare sandboxes in ${root}: ${messageOf(cause)}`,
        {
          cause,
          hint: "set TMPDIR to a folder of this machine that you can write to",
        },
      );
    }
    return new Lease(owner, folder, renewEveryMs);
  }

  private constructor(owner: LeaseOwner, folder: string, renewEveryMs: number) {
    this.owner = owner;
    this.folder = folder;
    this.bridge = join(folder, "bridge");
    this.hosts = join(folder, HOSTS);
    this.#plainFiles = new PlainFiles(this.hosts);
    this.#guard = spawnChild("/bin/sh", ["-c", GUARD, "matrix-guard", folder], {
      env: environment(),
    });
    this.#guard.unref();
    this.#guard.stdout.resume();
    this.#guard.stderr.resume();
    this.#renewal = setInterval(() => void this.#renew(), renewEveryMs);
    this.#renewal.unref();
  }

  /** Makes the folder of one sandbox. */
  async folderOf(sandbox: string): Promise<string> {
    const folder = join(this.folder, sandbox);
    await mkdir(folder, { recursive: true, mode: 0o755 });
    return folder;
  }

  /**
   * Notes the session of a sandbox's outermost process. A killed Apptainer leaves file servers in
   * it.
   */
  async noteSession(sandbox: string, pid: number): Promise<void> {
    await writeFile(join(this.folder, sandbox, SESSION), `${pid}\n`);
  }

  /**
   * Notes mounts that a sandbox may write to, so that the guard makes their files plain when this
   * host is killed.
   */
  async noteWritable(mounts: readonly Mount[]): Promise<void> {
    const paths = writableIn(mounts).map((source) => `${source}\n`);
    if (paths.length > 0) await appendFile(join(this.folder, WRITABLE), paths.join(""));
  }

  /** Makes files plain that a sandbox, which has ended, made set-user-id in these mounts. */
  makePlain(mounts: readonly Mount[]): Promise<void> {
    return this.#plainFiles.make(writableIn(mounts));
  }

  /** Environment variables of every process of a sandbox. */
  marksOf(sandbox: string, engine: EngineName, image: string): Record<string, string> {
    return {
      [MARK.sandbox]: sandbox,
      [MARK.engine]: engine,
      [MARK.image]: image,
      [MARK.lease]: this.folder,
      [MARK.run]: this.owner.run,
      [MARK.host]: this.owner.host,
      [MARK.startedAt]: String(Date.now()),
    };
  }

  /** Lets the guard end what is left, and waits until the folder is gone. */
  async release(): Promise<void> {
    clearInterval(this.#renewal);
    const ended = new Promise<void>((resolve) => this.#guard.once("exit", () => resolve()));
    this.#guard.ref();
    this.#guard.stdin.end();
    if (this.#guard.exitCode === null && this.#guard.signalCode === null) await ended;
    await removeLease(this.folder);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  /** Renames a whole file into place, so that a holder never reads half a number. */
  async #renew(): Promise<void> {
    this.#renewals++;
    const next = join(this.folder, "lease.next");
    // A full disk lets the lease run out and ends the sandboxes, which could not work either.
    await writeFile(next, `${this.#renewals}\n`)
      .then(() => chmod(next, 0o644))
      .then(() => rename(next, join(this.bridge, "lease")))
      .catch(() => undefined);
  }
}

const SESSION = "session";
const WRITABLE = "writable";
const HOSTS = "hosts";
const HOSTS_TEXT = "127.0.0.1 localhost sandbox\n::1 localhost\n";

function writableIn(mounts: readonly Mount[]): readonly string[] {
  return mounts.filter(({ writable }) => writable).map(({ source }) => source);
}

/** Sessions that a lease has notes of. */
export async function sessionsOf(folder: string): Promise<number[]> {
  const names = await readdir(folder).catch(() => []);
  const texts = await Promise.all(
    names.map((name) => readFile(join(folder, name, SESSION), "utf8").catch(() => "")),
  );
  return texts.map(Number).filter((pid) => pid > 0);
}

/**
 * Waits until its stdin closes, and then kills processes that carry the lease in their environment
 * until there are none. It ignores the signals by which terminals and batch systems end a group, so
 * that it outlives the host.
 */
const GUARD = `${MAKE_PLAIN}
trap '' HUP INT TERM
folder=$1
unset ${Object.values(MARK).join(" ")}
cat >/dev/null
# The host is dead, so a word to it would end this shell by SIGPIPE.
exec >/dev/null 2>&1
set -- -e "${MARK.lease}=$folder"
# Commands of Apptainer carry only the name of their sandbox.
for noted in "$folder"/matrix-*; do
  # Without a sandbox, the pattern itself would match those of every host.
  [ ! -d "$noted" ] || set -- "$@" -e "${MARK.sandbox}=\${noted##*/}"
done
round=0
while [ $round -lt 50 ]; do
  pids=$(grep -lasF "$@" /proc/[0-9]*/environ | tr -dc '0-9\\n')
  [ -n "$pids" ] || break
  kill -KILL $pids 2>/dev/null
  round=$((round + 1))
done
for noted in "$folder"/*/${SESSION}; do
  read -r wanted <"$noted" || continue
  for process in /proc/[0-9]*; do
    read -r pid name state parent group session rest <"$process/stat" || continue
    case $session:$name in "$wanted:(squashfuse"* | "$wanted:(fuse"* | "$wanted:(starter"*) kill -KILL "$pid" ;; esac
  done
done 2>/dev/null
since=$folder/${HOSTS}
while read -r path; do make_plain "$path"; done <"$folder/${WRITABLE}" 2>/dev/null
chmod u+r "$folder"/* 2>/dev/null
rm -rf -- "$folder"
`;

/** Removes a lease, with the folders of sandboxes that could not be listed. */
export async function removeLease(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names) await chmod(join(folder, name), 0o700).catch(() => undefined);
  await rm(folder, { recursive: true, force: true });
}

/** The folder of this user's leases on this machine. */
export function leaseRoot(): string {
  return join(tmpdir(), `matrix-sandboxes-${process.getuid?.() ?? 0}`);
}

/** Folders of this user's leases on this machine; none where other users may write. */
export async function allLeases(root: string = leaseRoot()): Promise<string[]> {
  const names = await refuseOthers(root).then(
    () => readdir(root),
    () => [],
  );
  return names.map((name) => join(root, name));
}

/** True while a host renews a lease of this machine, or is just making it. */
export function isRenewed(folder: string): boolean {
  return [join(folder, "bridge", "lease"), folder].some((path) => {
    try {
      return Date.now() - statSync(path).mtimeMs < LEASE_MS;
    } catch {
      return false;
    }
  });
}
