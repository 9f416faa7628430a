// A lock that this process holds. It is touched regularly, so that other machines see its holder
// alive, and looked at before each change of the run directory. A process that stood still (a
// stopped process, a paused machine, a stalled file system) may have been taken for dead meanwhile,
// and must not write any more.

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { replaceFile } from "../durable-file.ts";
import { MatrixError, messageOf } from "../error.ts";
import { openOwn } from "../task/own-files.ts";
import { describeHolder, type Holder, parseHolder } from "./holder.ts";

/** Makes sure that this process still has the run directory; fails with `run_taken` when not. */
export type Confirm = () => Promise<void>;

export interface Lock {
  readonly confirm: Confirm;
  /** Aborted, with the error as its reason, when the lock turns out to be another process's. */
  readonly lost: AbortSignal;
  /**
   * True when the lock was taken from a process that may still run: it was silent, on another
   * machine, or its lock could not be read.
   */
  readonly isFromSilent: boolean;
  /** Remarks for the log on how the lock was taken. */
  readonly notes: readonly string[];
  release(): Promise<void>;
}

export interface HeldLockOptions {
  readonly directory: string;
  readonly number: number;
  readonly holder: Holder;
  readonly isFromSilent: boolean;
  readonly notes: readonly string[];
  readonly heartbeatMs: number;
  /** Milliseconds of any clock that goes on while this process stands still. */
  readonly now: () => number;
}

/** A look at the lock counts for this long. It bounds what a look costs a busy writer. */
const LOOK_MS = 50;
/** A look that took longer than this may be older than a takeover, and is repeated. */
const LOOK_MS_MAX = 20_000;
const LOCK_FILE = /^lock\.(\d+)$/;

export class HeldLock implements Lock {
  readonly isFromSilent: boolean;
  readonly notes: readonly string[];
  readonly #options: HeldLockOptions;
  readonly #path: string;
  readonly #lost = new AbortController();
  readonly #heartbeat: NodeJS.Timeout;
  /** The time at which the last look began that found the lock here. */
  #seenAt: number;

  constructor(options: HeldLockOptions) {
    const { directory, number, heartbeatMs, now } = options;
    this.isFromSilent = options.isFromSilent;
    this.notes = options.notes;
    this.#options = options;
    this.#path = join(directory, `lock.${number}`);
    this.#seenAt = now();
    this.#heartbeat = setInterval(() => void this.#touch(), heartbeatMs);
    this.#heartbeat.unref();
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  readonly confirm: Confirm = async () => {
    const { now } = this.#options;
    this.#lost.signal.throwIfAborted();
    while (Math.abs(now() - this.#seenAt) >= LOOK_MS) {
      const beganAt = now();
      await this.#look();
      if (Math.abs(now() - beganAt) >= LOOK_MS_MAX) continue;
      this.#seenAt = beganAt;
      return;
    }
  };

  async release(): Promise<void> {
    clearInterval(this.#heartbeat);
    const content = JSON.stringify({ ...this.#options.holder, released: true });
    // A deleted directory holds no lock, and on a full disk the next driver soon sees that this
    // process is dead.
    await replaceFile(this.#path, content, { confirm: this.confirm }).catch(() => undefined);
  }

  /** Fails when the lock is another's, or nothing can be seen. */
  async #look(): Promise<void> {
    const { directory, number } = this.#options;
    const numbers = await lockNumbers(directory).catch((cause: unknown) => {
      throw unseen(directory, cause);
    });
    const highest = Math.max(0, ...numbers);
    // A user may have deleted the lock files. Then no other process has the directory either.
    if (highest === number || highest === 0) return;
    const text = await readFile(join(directory, `lock.${highest}`), "utf8").catch(() => "");
    const error = taken(directory, parseHolder(text));
    this.#lost.abort(error);
    clearInterval(this.#heartbeat);
    throw error;
  }

  /**
   * Writes what is there already: the time of the file is then that of the file system's own clock,
   * and clocks of machines may differ.
   */
  async #touch(): Promise<void> {
    try {
      await this.confirm();
      const file = await openOwn(this.#path, "r+");
      try {
        await file.write(JSON.stringify(this.#options.holder), 0);
      } finally {
        await file.close();
      }
    } catch {
      // The next beat tries again, and the next write reports what is wrong.
    }
  }
}

/** Numbers of the lock files in a folder. */
export async function lockNumbers(directory: string): Promise<number[]> {
  return (await readdir(directory)).flatMap((name) => {
    const number = LOCK_FILE.exec(name)?.[1];
    return number === undefined ? [] : [Number(number)];
  });
}

function unseen(directory: string, cause: unknown): MatrixError {
  const isGone = (cause as { code?: unknown }).code === "ENOENT";
  return new MatrixError(
    "storage_failed",
    isGone
      ? `the run directory ${directory} is gone`
      : `cannot look into the run directory ${directory}: ${messageOf(cause)}`,
    { cause, hint: "run the same command again when the storage is back" },
  );
}

function taken(directory: string, by: Holder | null): MatrixError {
  const who = by === null ? "" : ` (${describeHolder(by)})`;
  return new MatrixError(
    "run_taken",
    `another driver${who} has taken over ${directory}, because this one was not heard of for too long: it stops and leaves the directory alone`,
    { hint: "the run goes on there; matrix verify tells when it is complete" },
  );
}
