// The lease of a host: a folder on this machine that says who owns what, in which a counter is renewed while the host lives.
// Every sandbox of the host hangs on it; its holder looks at the counter, and so does everybody's reaper. The folder also
// carries what is mounted into containers. A guard process clears it away when the host is killed.

import { randomUUID } from "node:crypto";
import { statSync } from "node:fs";
import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pythonAgent from "../../sandboxes/matrix_agent.py" with { type: "text" };
import bunAgent from "../../sandboxes/matrix-agent.mjs" with { type: "text" };
import { MatrixError, messageOf } from "../error.ts";
import type { EngineName } from "./contract.ts";
import { LEASE_MS, RENEWAL_MS } from "./holder.ts";
import { type Child, environment, spawnChild } from "./spawn.ts";

export interface LeaseOwner {
  /** The run's name. */
  readonly run: string;
  readonly host: string;
}

export class Lease implements AsyncDisposable {
  readonly owner: LeaseOwner;
  /** The folder of everything below. */
  readonly folder: string;
  /** Mounted read-only into every container: the counter `lease` and the agents' libraries. */
  readonly bridge: string;
  readonly #guard: Child;
  readonly #renewal: NodeJS.Timeout;
  #renewals = 0;

  /** Fails with `sandbox_unavailable` where the folder cannot be made. */
  static async take(owner: LeaseOwner, root: string = leaseRoot()): Promise<Lease> {
    const folder = join(root, randomUUID());
    try {
      // Nobody else's programs read here; inside a container the mount itself is the entrance.
      await mkdir(root, { recursive: true, mode: 0o700 });
      const bridge = join(folder, "bridge");
      await mkdir(bridge, { recursive: true });
      const files = { lease: "0\n", "matrix_agent.py": pythonAgent, "matrix-agent.mjs": bunAgent };
      for (const [name, text] of Object.entries(files)) await writeFile(join(bridge, name), text);
      // Whatever the umask: agents in a container may run as anybody.
      for (const path of [bridge, ...Object.keys(files).map((name) => join(bridge, name))])
        await chmod(path, path === bridge ? 0o755 : 0o644);
    } catch (cause) {
      throw new MatrixError(
        "sandbox_unavailable",
        `cannot prepare sandboxes in ${root}: ${messageOf(cause)}`,
        {
          cause,
          hint: "set TMPDIR to a folder of this machine that you can write to",
        },
      );
    }
    return new Lease(owner, folder);
  }

  private constructor(owner: LeaseOwner, folder: string) {
    this.owner = owner;
    this.folder = folder;
    this.bridge = join(folder, "bridge");
    this.#guard = spawnChild("/bin/sh", ["-c", GUARD, "matrix-guard", folder], {
      env: environment(),
    });
    this.#guard.unref();
    this.#guard.stdout.resume();
    this.#guard.stderr.resume();
    this.#renewal = setInterval(() => void this.#renew(), RENEWAL_MS);
    this.#renewal.unref();
  }

  /** A folder of one sandbox, on this machine. */
  async folderOf(sandbox: string): Promise<string> {
    const folder = join(this.folder, sandbox);
    await mkdir(folder, { recursive: true, mode: 0o755 });
    return folder;
  }

  /** Notes the session of a sandbox's outermost process, in which Apptainer leaves file servers when it is killed. */
  async noteSession(sandbox: string, pid: number): Promise<void> {
    await writeFile(join(this.folder, sandbox, SESSION), `${pid}\n`);
  }

  /** What every process of a sandbox carries in its environment. */
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

  /** The guard ends everything that is left and removes the folder. */
  async release(): Promise<void> {
    clearInterval(this.#renewal);
    const ended = new Promise<void>((resolve) => this.#guard.once("exit", () => resolve()));
    this.#guard.ref();
    this.#guard.stdin.end();
    if (this.#guard.exitCode === null && this.#guard.signalCode === null) await ended;
    await rm(this.folder, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  /** Whole or not at all: a holder never reads half a number. */
  async #renew(): Promise<void> {
    this.#renewals++;
    const next = join(this.folder, "lease.next");
    // On a full disk the lease runs out, and with it the sandboxes: they could not work either.
    await writeFile(next, `${this.#renewals}\n`)
      .then(() => chmod(next, 0o644))
      .then(() => rename(next, join(this.bridge, "lease")))
      .catch(() => undefined);
  }
}

const SESSION = "session";

/** Sessions that were noted in a lease. */
export async function sessionsOf(folder: string): Promise<number[]> {
  const names = await readdir(folder).catch(() => []);
  const texts = await Promise.all(
    names.map((name) => readFile(join(folder, name, SESSION), "utf8").catch(() => "")),
  );
  return texts.map(Number).filter((pid) => pid > 0);
}

/** Environment variables by which processes of sandboxes are known. */
export const MARK = {
  sandbox: "MATRIX_SANDBOX",
  lease: "MATRIX_LEASE",
  run: "MATRIX_SANDBOX_RUN",
  host: "MATRIX_SANDBOX_HOST",
  engine: "MATRIX_SANDBOX_ENGINE",
  image: "MATRIX_SANDBOX_IMAGE",
  startedAt: "MATRIX_SANDBOX_STARTED",
  /** Of one command, with all that it starts. */
  command: "MATRIX_COMMAND",
} as const;

/**
 * Waits until its stdin closes, then kills what carries the lease in its environment until nothing does. It ignores the
 * signals by which terminals and batch systems end a group, so that it outlives the host that it cleans up after.
 */
const GUARD = `
trap '' HUP INT TERM
folder=$1
unset ${Object.values(MARK).join(" ")}
cat >/dev/null
round=0
while [ $round -lt 50 ]; do
  pids=$(grep -las "${MARK.lease}=$folder" /proc/[0-9]*/environ | tr -dc '0-9\\n')
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
rm -rf -- "$folder"
`;

/** Where leases of this user lie on this machine. */
export function leaseRoot(): string {
  return join(tmpdir(), `matrix-sandboxes-${process.getuid?.() ?? 0}`);
}

/** Folders of all leases of this user on this machine. */
export async function allLeases(root: string = leaseRoot()): Promise<string[]> {
  const names = await readdir(root).catch(() => []);
  return names.map((name) => join(root, name));
}

/** Whether a host still renews a lease of this machine, or is just making it. */
export function isRenewed(folder: string): boolean {
  return [join(folder, "bridge", "lease"), folder].some((path) => {
    try {
      return Date.now() - statSync(path).mtimeMs < LEASE_MS;
    } catch {
      return false;
    }
  });
}
