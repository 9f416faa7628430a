// Receives the log lines of all hosts at the driver. The lines of host NAME are appended to
// logs/NAME.log. Warnings and errors also go to the driver's terminal: a few from each host, then
// the number of the others. Hosts are not trusted: every line is checked, bounded and made
// harmless. No file stays open, and a slow disk costs lines, never memory.

import { rename } from "node:fs/promises";
import { join } from "node:path";
import { openOwn } from "../task/own-files.ts";
import { formatLine, type Level, type LogFields } from "./log.ts";
import type { LogLine } from "./streamed-log.ts";

export interface LogSinkOptions {
  /** The logs folder of the run directory. */
  readonly folder: string;
  /** Prints a line above whatever is drawn on the terminal. */
  readonly show: (line: string) => void;
  /** Called before lines are written; lines for which it fails are dropped. */
  readonly confirm?: () => Promise<void>;
  /** Milliseconds in which at most `SHOWN_PER_HOST_MAX` and `SHOWN_MAX` lines are shown. */
  readonly windowMs?: number;
}

interface Waiting {
  readonly texts: string[];
  chars: number;
  dropped: number;
}

export interface LogSink {
  /**
   * Takes lines of a host as they came in. Lines under a name that `isHostName` refuses are
   * ignored.
   */
  accept(host: string, lines: unknown): void;
  /** Resolves when every line that can be written is written. */
  close(): Promise<void>;
}

const WINDOW_MS = 5000;
const SHOWN_PER_HOST_MAX = 3;
const SHOWN_MAX = 20;
/** Characters that may wait to be written, for one host and for all. */
const WAITING_PER_HOST_CHARS_MAX = 2 * 1024 * 1024;
const WAITING_CHARS_MAX = 16 * 1024 * 1024;
const FILE_BYTES_MAX = 64 * 1024 * 1024;
const FIELDS_MAX = 20;

/** Tells whether a host may have this name. Its log is a file of that name. */
export function isHostName(name: string): boolean {
  return /^\w[\w.-]{0,127}$/.test(name);
}

export function createLogSink({
  folder,
  show,
  confirm = async () => undefined,
  windowMs = WINDOW_MS,
}: LogSinkOptions): LogSink {
  const files = new Appender(folder, confirm);
  const screen = createScreen(show, windowMs);
  return {
    accept: (host, lines) => {
      if (!isHostName(host) || !Array.isArray(lines)) return;
      for (const candidate of lines) {
        const line = parseLogLine(candidate);
        if (line === null) continue;
        const { at, level, message, fields } = line;
        files.append(
          host,
          `${new Date(at).toISOString()} ${formatLine(level, message, { host, ...fields })}\n`,
        );
        if (level !== "info") screen.show(host, () => formatLine(level, message, fields));
      }
    },
    close: async () => {
      screen.close();
      await files.close();
    },
  };
}

const LEVELS: ReadonlySet<unknown> = new Set<Level>(["info", "warning", "error"]);
const YEAR_9999_MS = 253_402_300_799_999;

function parseLogLine(value: unknown): LogLine | null {
  if (typeof value !== "object" || value === null) return null;
  const { at, level, message, fields } = value as Record<keyof LogLine, unknown>;
  if (typeof at !== "number" || !(at >= 0 && at <= YEAR_9999_MS)) return null;
  if (!LEVELS.has(level) || typeof message !== "string") return null;
  if (typeof fields !== "object" || fields === null || Array.isArray(fields)) return null;
  const known = Object.entries(fields).filter(
    (field): field is [string, string | number] =>
      /^\w{1,64}$/.test(field[0]) && ["string", "number"].includes(typeof field[1]),
  );
  return {
    at,
    level: level as Level,
    message,
    fields: inOrder(Object.fromEntries(known.slice(0, FIELDS_MAX))),
  };
}

/**
 * Puts role and task first. The host is the sender of the line, so a `host` in its fields is
 * dropped.
 */
function inOrder({ host: _host, role, task, ...others }: LogFields): LogFields {
  return {
    ...(role === undefined ? {} : { role }),
    ...(task === undefined ? {} : { task }),
    ...others,
  };
}

/** Appends to many files. None of them is open for longer than a write. */
class Appender {
  readonly #folder: string;
  readonly #confirm: () => Promise<void>;
  readonly #waiting = new Map<string, Waiting>();
  #waitingChars = 0;
  #writing: Promise<void> | null = null;

  constructor(folder: string, confirm: () => Promise<void>) {
    this.#folder = folder;
    this.#confirm = confirm;
  }

  append(host: string, text: string): void {
    const waiting = this.#waiting.get(host) ?? { texts: [], chars: 0, dropped: 0 };
    this.#waiting.set(host, waiting);
    if (
      waiting.chars + text.length > WAITING_PER_HOST_CHARS_MAX ||
      this.#waitingChars + text.length > WAITING_CHARS_MAX
    ) {
      waiting.dropped++;
      return;
    }
    waiting.texts.push(text);
    waiting.chars += text.length;
    this.#waitingChars += text.length;
    this.#writing ??= this.#writeAll();
  }

  async close(): Promise<void> {
    while (this.#writing !== null) await this.#writing;
  }

  async #writeAll(): Promise<void> {
    for (
      let next = this.#waiting.entries().next();
      !next.done;
      next = this.#waiting.entries().next()
    ) {
      const [host, { texts, chars, dropped }] = next.value;
      this.#waiting.delete(host);
      if (dropped > 0)
        texts.push(
          `${new Date().toISOString()} ` +
            `warning lines were dropped: the disk is slow host=${host} dropped=${dropped}\n`,
        );
      // A log that cannot be written must not end the run.
      await this.#confirm()
        .then(() => appendBounded(join(this.#folder, `${host}.log`), texts.join("")))
        .catch(() => undefined);
      this.#waitingChars -= chars;
    }
    this.#writing = null;
  }
}

/** A file that has grown too large becomes PATH.1 and replaces the one before it. */
async function appendBounded(path: string, text: string): Promise<void> {
  const file = await openOwn(path, "a");
  try {
    await file.appendFile(text);
    if ((await file.stat()).size > FILE_BYTES_MAX) await rename(path, `${path}.1`);
  } finally {
    await file.close();
  }
}

/** Shows a few lines of each host and of all, then how many more there were. */
function createScreen(
  show: (line: string) => void,
  windowMs: number,
): { show(host: string, line: () => string): void; close(): void } {
  let hosts = new Map<string, { shown: number; hidden: number }>();
  let shown = 0;
  let timer: NodeJS.Timeout | undefined;

  const endWindow = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const hidden = [...hosts].filter(([, host]) => host.hidden > 0);
    hosts = new Map();
    shown = 0;
    const total = hidden.reduce((sum, [, host]) => sum + host.hidden, 0);
    const [only] = hidden;
    if (only === undefined) return;
    const whose = hidden.length === 1 ? only[0] : `${hidden.length} hosts`;
    const where = hidden.length === 1 ? `logs/${only[0]}.log` : "logs/";
    show(`${whose}: ${total} more warnings and errors are in ${where}`);
  };
  return {
    show: (name, line) => {
      timer ??= setTimeout(endWindow, windowMs).unref();
      const host = hosts.get(name) ?? { shown: 0, hidden: 0 };
      hosts.set(name, host);
      if (host.shown >= SHOWN_PER_HOST_MAX || shown >= SHOWN_MAX) {
        host.hidden++;
        return;
      }
      host.shown++;
      shown++;
      show(`${name}: ${line()}`);
    },
    close: endWindow,
  };
}
