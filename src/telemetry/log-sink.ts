// Where the lines of all hosts arrive at the driver: those of host NAME are appended to logs/NAME.log, warnings and errors are
// also shown on its terminal, a few of each host and the count of the rest. What hosts send is believed in nothing: it is
// checked, bounded and made harmless. No file stays open, and a slow disk costs lines, never memory.

import { appendFile } from "node:fs/promises";
import { join } from "node:path";
import { formatLine, type Level, type LogFields } from "./log.ts";
import type { LogLine } from "./streamed-log.ts";

export interface LogSinkOptions {
  /** The logs folder of the run directory. */
  readonly folder: string;
  /** Prints a line above whatever is drawn on the terminal. */
  readonly show: (line: string) => void;
  /** Milliseconds in which `SHOWN_PER_HOST_MAX` and `SHOWN_MAX` lines are shown. */
  readonly windowMs?: number;
}

export interface LogSink {
  /** Lines of a host, as they came in. The name is one that `isHostName` allows, or nothing is taken. */
  accept(host: string, lines: unknown): void;
  /** Resolves when everything is written that can be. */
  close(): Promise<void>;
}

const WINDOW_MS = 5000;
const SHOWN_PER_HOST_MAX = 3;
const SHOWN_MAX = 20;
/** Of all hosts, waiting to be written. */
const WAITING_CHARS_MAX = 8 * 1024 * 1024;
const FIELDS_MAX = 20;

/** Whether a host may be called so: its log is a file of that name. */
export function isHostName(name: string): boolean {
  return /^\w[\w.-]{0,127}$/.test(name);
}

export function createLogSink({ folder, show, windowMs = WINDOW_MS }: LogSinkOptions): LogSink {
  const files = createAppender(folder);
  const screen = createScreen(show, windowMs);
  return {
    accept: (host, lines) => {
      if (!isHostName(host) || !Array.isArray(lines)) return;
      for (const candidate of lines) {
        const line = parseLogLine(candidate);
        if (line === null) continue;
        const { at, level, message, fields } = line;
        files.append(host, `${new Date(at).toISOString()} ${formatLine(level, message, { host, ...fields })}\n`);
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
    (field): field is [string, string | number] => /^\w{1,64}$/.test(field[0]) && ["string", "number"].includes(typeof field[1]),
  );
  return { at, level: level as Level, message, fields: inOrder(Object.fromEntries(known.slice(0, FIELDS_MAX))) };
}

/** Role and task first; the host is whoever sent the line, whatever it says. */
function inOrder({ host: _host, role, task, ...others }: LogFields): LogFields {
  return { ...(role === undefined ? {} : { role }), ...(task === undefined ? {} : { task }), ...others };
}

/** Appends to many files with none of them open for longer than a write. */
function createAppender(folder: string): { append(host: string, text: string): void; close(): Promise<void> } {
  const waiting = new Map<string, string[]>();
  let chars = 0;
  let dropped = 0;
  let writing: Promise<void> | null = null;

  const writeAll = async (): Promise<void> => {
    for (let next = waiting.entries().next(); !next.done; next = waiting.entries().next()) {
      const [host, texts] = next.value;
      waiting.delete(host);
      if (dropped > 0) texts.push(`${new Date().toISOString()} warning lines of hosts were dropped: the disk is slow dropped=${dropped}\n`);
      dropped = 0;
      // A log that cannot be written must not end the run.
      await appendFile(join(folder, `${host}.log`), texts.join("")).catch(() => undefined);
      for (const text of texts) chars -= text.length;
    }
    writing = null;
  };
  return {
    append: (host, text) => {
      if (chars + text.length > WAITING_CHARS_MAX) {
        dropped++;
        return;
      }
      chars += text.length;
      const texts = waiting.get(host);
      if (texts === undefined) waiting.set(host, [text]);
      else texts.push(text);
      writing ??= writeAll();
    },
    close: async () => {
      while (writing !== null) await writing;
    },
  };
}

/** The terminal: a few lines of each host and of all, then how many more there were. */
function createScreen(show: (line: string) => void, windowMs: number): { show(host: string, line: () => string): void; close(): void } {
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
