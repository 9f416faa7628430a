// Folders and files that only this user may use. A machine has other users, and some of them can
// write where our names are predictable: in /tmp, or beside a run directory. A folder of ours is
// therefore ours and closed (0700), a file of ours is 0600, and neither is reached through a link
// that another user may have made.

import { randomUUID } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  type Stats,
  statSync,
} from "node:fs";
import { chmod, type FileHandle, lstat, mkdir, open, readdir, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { MatrixError } from "../error.ts";

export const OWN_FOLDER = 0o700;
export const OWN_FILE = 0o600;
const ROOT = 0;
const OTHERS_WRITE = 0o022;
const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } = constants;
/** O_NONBLOCK: a pipe with that name must not hold the program up. */
const SAFELY = O_NOFOLLOW | O_NONBLOCK;
/** The way to open a file of ours: to append to it, or to change its content. */
const FLAGS = { a: O_WRONLY | O_APPEND | O_CREAT, "r+": O_RDWR } as const;

/**
 * Makes a folder of ours, with its parents, or closes the one that is there to other users. Fails
 * with `not_private` when the folder is another user's, or a link that another user made, or when
 * something in it is another user's.
 */
export async function makeOwnFolder(path: string): Promise<void> {
  if (await isMade(path)) return;
  const found = await refuseOthers(path);
  if (!found.isDirectory()) throw Object.assign(new Error("it is a file"), { code: "EEXIST" });
  if ((found.mode & 0o077) !== 0) await chmod(path, OWN_FOLDER);
  await refuseForeignEntries(path, found);
}

/** A folder that was open once may hold what another user left there for us to read. */
async function refuseForeignEntries(path: string, folder: Stats): Promise<void> {
  for (const name of await readdir(path)) {
    const entry = await lstat(join(path, name)).catch(() => null);
    // Another process of ours may have removed it meanwhile.
    if (entry === null || isTrusted(entry) || entry.uid === folder.uid) continue;
    throw notPrivate(join(path, name), `it belongs to user ${entry.uid}`);
  }
}

/** False when something is there already. */
async function isMade(path: string): Promise<boolean> {
  try {
    await mkdir(path, { mode: OWN_FOLDER });
    return true;
  } catch (cause) {
    const { code } = cause as { code?: unknown };
    if (code === "EEXIST") return false;
    if (code !== "ENOENT") throw cause;
  }
  await mkdir(dirname(path), { recursive: true });
  return isMade(path);
}

/**
 * Fails with `not_private` when other users decide what is at this path: the file or folder, or the
 * link that leads to it, is theirs. Returns the stats of what is there.
 */
export async function refuseOthers(path: string): Promise<Stats> {
  const link = await lstat(path);
  // A link of our own, such as runs -> /scratch/me/runs, leads where we want.
  if (link.isSymbolicLink() && !isTrusted(link))
    throw notPrivate(path, `it is a link that user ${link.uid} made`);
  const found = link.isSymbolicLink() ? await stat(path) : link;
  if (isOurs(found) || (await isOurDisguise(path, found))) return found;
  throw notPrivate(path, `it belongs to user ${found.uid}`);
}

/** Opens a file of ours, and never another one through a link. Fails with `not_private`. */
export async function openOwn(path: string, flags: keyof typeof FLAGS): Promise<FileHandle> {
  const file = await open(path, FLAGS[flags] | SAFELY, OWN_FILE).catch((cause: unknown) => {
    throw isLinkError(cause) ? notPrivate(path, "it is a link") : cause;
  });
  try {
    refuseForeign(path, await file.stat());
    return file;
  } catch (thrown) {
    await file.close();
    throw thrown;
  }
}

/** The same with a descriptor. */
export function openOwnSync(path: string, flags: keyof typeof FLAGS): number {
  let file: number;
  try {
    file = openSync(path, FLAGS[flags] | SAFELY, OWN_FILE);
  } catch (cause) {
    throw isLinkError(cause) ? notPrivate(path, "it is a link") : cause;
  }
  try {
    refuseForeign(path, fstatSync(file));
    return file;
  } catch (thrown) {
    closeSync(file);
    throw thrown;
  }
}

/**
 * Reads a file of ours that no other user can have written. Fails with `not_private`. The answer is
 * about the file that was opened, whatever another user puts in its place meanwhile.
 */
export async function readOwn(path: string): Promise<string> {
  const file = await open(path, O_RDONLY | O_NONBLOCK);
  try {
    const found = await file.stat();
    if (found.isDirectory()) throw Object.assign(new Error("it is a folder"), { code: "EISDIR" });
    await refuseOthers(path);
    if (!found.isFile()) throw notPrivate(path, "it is not a file");
    if (!isOurs(found) && !(await isOurDisguise(path, found)))
      throw notPrivate(path, `it belongs to user ${found.uid}`);
    if ((found.mode & OTHERS_WRITE) !== 0)
      throw new MatrixError("not_private", `other users may write to ${path}`, {
        hint: `if you trust its content: chmod 600 ${path}`,
      });
    return await file.readFile("utf8");
  } finally {
    await file.close();
  }
}

function refuseForeign(path: string, opened: Stats): void {
  // Not every runtime has O_NOFOLLOW.
  if (lstatSync(path).isSymbolicLink()) throw notPrivate(path, "it is a link");
  // Only root makes devices, such as /dev/null.
  if (opened.isCharacterDevice()) return;
  if (!opened.isFile()) throw notPrivate(path, "it is not a file");
  // Its folder was found to be ours before.
  if (!isOurs(opened) && opened.uid !== statSync(dirname(path)).uid)
    throw notPrivate(path, `it belongs to user ${opened.uid}`);
}

function isLinkError(cause: unknown): boolean {
  return ["ELOOP", "EMLINK", "EFTYPE"].includes(String((cause as { code?: unknown }).code));
}

function isOurs({ uid }: Stats): boolean {
  const own = process.getuid?.();
  return own === undefined || uid === own;
}

/** Links of the system, such as /tmp on macOS, are root's. */
function isTrusted(link: Stats): boolean {
  return isOurs(link) || link.uid === ROOT;
}

/**
 * True where the file system shows our own files under another user, as NFS does with those of
 * root: a file that we make in the folder now has the same owner.
 */
async function isOurDisguise(path: string, found: Stats): Promise<boolean> {
  const probe = join(found.isDirectory() ? path : dirname(path), `.${randomUUID()}.probe`);
  try {
    const file = await open(probe, "wx", OWN_FILE);
    try {
      return (await file.stat()).uid === found.uid;
    } finally {
      await file.close();
      await rm(probe, { force: true });
    }
  } catch {
    return false;
  }
}

function notPrivate(path: string, why: string): MatrixError {
  return new MatrixError("not_private", `${path} is not this user's alone: ${why}`, {
    hint: "remove it, or choose a place that only you can write to (-o, TMPDIR, XDG_CACHE_HOME)",
  });
}
