// The command by which a process starts this program again as a host that it supervises.

import { createIdentity, createSeed } from "../../http/identity.ts";
import { ownCommand } from "../../platform.ts";
import { randomId } from "../../random-id.ts";
import type { WorkerCommand } from "./supervisor.ts";

/**
 * The supervisor of a worker: a driver, which another driver may follow, or the pid of a `matrix
 * agent`, with which the worker ends.
 */
export type Watcher = "driver" | number;

export interface WorkerFlags {
  readonly name: string;
  readonly join: string;
  readonly role?: string | undefined;
  readonly listen?: string | undefined;
  readonly advertise?: string | undefined;
  readonly patienceMs: number;
  readonly insecure: boolean;
  readonly watcher: Watcher;
}

/** Variables of the supervisor that are not the worker's, which has its own flags. */
const NOT_INHERITED = [
  "MATRIX_LISTEN",
  "MATRIX_ADVERTISE",
  "MATRIX_ROLE",
  "MATRIX_JOIN",
  "MATRIX_NAME",
  "MATRIX_WORKERS",
  "MATRIX_PATIENCE",
  "MATRIX_HEALTH",
  "MATRIX_INSECURE",
];

/** The variable that carries the last error of a worker's life to the next life. */
export const LAST_ERROR = "MATRIX_LAST_ERROR";
/** The variable that carries the secret with which a worker proves its id. */
export const HOST_KEY = "MATRIX_HOST_KEY";
/** Most characters of the name in an id: an id is a name, a random part and a fingerprint. */
const NAME_CHARS_MAX = 37;

/** Makes the command of each next life of a worker, with the ids of that life and of the last. */
export class WorkerLives {
  readonly #flags: Omit<WorkerFlags, "name">;
  readonly #ids = new Map<string, string>();
  /** All lives of a worker have one key, so that each can tell of the end of the last. */
  readonly #keys = new Map<string, string>();

  constructor(flags: Omit<WorkerFlags, "name">) {
    this.#flags = flags;
  }

  /** Host id of the latest life of a worker. */
  idOf(name: string): string | undefined {
    return this.#ids.get(name);
  }

  adopt(name: string, id: string): void {
    this.#ids.set(name, id);
  }

  /** `lastError` is the last error of the life before. The worker tells the driver of it. */
  next(name: string, token: string | null, lastError = ""): WorkerCommand {
    const { join, role, listen, advertise, patienceMs, insecure, watcher } = this.#flags;
    const before = this.#ids.get(name);
    const key = this.#keys.get(name) ?? createSeed();
    this.#keys.set(name, key);
    const plain = name.replace(/[^\w-]/g, "-").slice(0, NAME_CHARS_MAX);
    const { id } = createIdentity(`${plain}-${randomId(10)}`, key);
    this.#ids.set(name, id);
    const { file, args } = ownCommand();
    const flags: [string, string | undefined][] = [
      ["--join", join],
      ["--name", name],
      ["--id", id],
      ["--replaces", before],
      ["--role", role],
      ["--listen", listen],
      ["--advertise", advertise],
      ["--patience", `${patienceMs}ms`],
      ["--watcher", String(watcher)],
    ];
    return {
      file,
      args: [
        ...args,
        "agent",
        ...flags.flatMap(([flag, value]) => (value === undefined ? [] : [flag, value])),
        ...(insecure ? ["--insecure"] : []),
      ],
      env: {
        ...Object.fromEntries(NOT_INHERITED.map((name) => [name, undefined])),
        ...(token === null ? {} : { MATRIX_TOKEN: token }),
        [LAST_ERROR]: lastError,
        [HOST_KEY]: key,
      },
    };
  }
}
