// How a process starts another one of this program as a host that it watches over.

import { ownCommand } from "../platform.ts";
import { randomId } from "../random-id.ts";
import type { WorkerCommand } from "./supervisor.ts";

/** Who watches over a worker: a driver, which may be followed by another, or a `matrix agent`, with which it ends. */
export type Watcher = "driver" | number;

export interface WorkerFlags {
  readonly name: string;
  readonly join: string;
  readonly role?: string | undefined;
  readonly listen?: string | undefined;
  readonly patienceMs: number;
  readonly insecure: boolean;
  readonly watcher: Watcher;
}

/** Settings of whoever starts a worker that are not the worker's: it has flags of its own. */
const NOT_INHERITED = [
  "MATRIX_LISTEN",
  "MATRIX_ROLE",
  "MATRIX_JOIN",
  "MATRIX_NAME",
  "MATRIX_WORKERS",
  "MATRIX_PATIENCE",
  "MATRIX_INSECURE",
];

/** The variable that carries the last words of a worker's life to the next. */
export const LAST_ERROR = "MATRIX_LAST_ERROR";
/** Of an id, which is a name and something that no other life has. */
const NAME_CHARS_MAX = 48;

/** The command of each next life of a worker, with the id of that life and of the one before. */
export class WorkerLives {
  readonly #flags: Omit<WorkerFlags, "name">;
  readonly #ids = new Map<string, string>();

  constructor(flags: Omit<WorkerFlags, "name">) {
    this.#flags = flags;
  }

  /** Of the latest life. */
  idOf(name: string): string | undefined {
    return this.#ids.get(name);
  }

  adopt(name: string, id: string): void {
    this.#ids.set(name, id);
  }

  /** `lastError`: what the life before this one printed last; the worker tells the driver. */
  next(name: string, token: string | null, lastError = ""): WorkerCommand {
    const { join, role, listen, patienceMs, insecure, watcher } = this.#flags;
    const before = this.#ids.get(name);
    const id = `${name.replace(/[^\w-]/g, "-").slice(0, NAME_CHARS_MAX)}-${randomId(10)}`;
    this.#ids.set(name, id);
    const { file, args } = ownCommand();
    const flags: [string, string | undefined][] = [
      ["--join", join],
      ["--name", name],
      ["--id", id],
      ["--replaces", before],
      ["--role", role],
      ["--listen", listen],
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
      },
    };
  }
}
