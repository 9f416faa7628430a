// The program's own log in the run directory: one line for each event, `time level message
// key=value …`. Warnings and errors also go to stderr. A message that repeats is counted, not
// repeated. A line may hold text from anywhere, so it is made harmless: it can neither begin a
// second line nor control a terminal.

import { createWriteStream, type WriteStream } from "node:fs";
import { stripVTControlCharacters } from "node:util";
import { masked } from "../known-secrets.ts";
import { openOwnSync } from "../task/own-files.ts";
import { withoutUnsafe } from "../task/printable.ts";

export type Level = "info" | "warning" | "error";
export type LogFields = Readonly<Record<string, string | number>>;

export interface Log {
  write(level: Level, message: string, fields?: LogFields): void;
  close(): Promise<void>;
}

/** The same message is written this often before it is only counted. */
const REPEATS_MAX = 20;
/** Messages whose repeats are counted. When there are more, counting starts again. */
const MESSAGES_KEPT = 10_000;
/** Characters of a line. A longer one is cut. */
const LINE_CHARS_MAX = 4096;

/**
 * `show` prints a line above whatever is drawn on the terminal. `confirm` is called before lines
 * are written; lines for which it fails are only shown.
 */
export function openLog(
  path: string,
  show: (line: string) => void,
  confirm: () => Promise<void> = async () => undefined,
): Log {
  const stream = openStream(path);
  // A log that cannot be written must not end the run.
  stream?.on("error", () => undefined);
  const counted = createRepeatCounter();
  let waiting = "";
  let written: Promise<void> = Promise.resolve();
  const writeWaiting = async (): Promise<void> => {
    const lines = waiting;
    waiting = "";
    if (lines === "") return;
    await confirm().then(
      () => void stream?.write(lines),
      () => undefined,
    );
  };
  return {
    write: (level, message, fields = {}) => {
      const said = counted(message);
      if (said === null) return;
      const line = formatLine(level, said, fields);
      waiting += `${new Date().toISOString()} ${line}\n`;
      written = written.then(writeWaiting);
      if (level !== "info") show(line);
    },
    close: async () => {
      await written;
      if (stream !== null) await new Promise<void>((resolve) => stream.end(() => resolve()));
    },
  };
}

function openStream(path: string): WriteStream | null {
  try {
    return createWriteStream(path, { fd: openOwnSync(path, "a") });
  } catch {
    return null;
  }
}

/**
 * Returns the message at first, later the message with a count now and then, and otherwise null.
 */
export function createRepeatCounter(): (message: string) => string | null {
  const repeats = new Map<string, number>();
  return (message) => {
    const count = (repeats.get(message) ?? 0) + 1;
    if (repeats.size >= MESSAGES_KEPT) repeats.clear();
    repeats.set(message, count);
    if (count <= REPEATS_MAX) return message;
    return isRound(count) ? `${message} (${count} times)` : null;
  };
}

export function formatLine(level: Level, message: string, fields: LogFields): string {
  const pairs = Object.entries(fields).map(
    ([key, value]) => ` ${key}=${formatValue(masked(String(value)))}`,
  );
  const line = `${level} ${harmless(cut(masked(message)))}${pairs.join("")}`;
  return cut(line);
}

function formatValue(value: string): string {
  return /^[\w.:/-]*$/.test(value)
    ? cut(value)
    : harmless(JSON.stringify(stripVTControlCharacters(cut(value))));
}

/**
 * Makes text one line that cannot control a terminal: no escape sequences, no change of the reading
 * direction.
 */
function harmless(text: string): string {
  const plain = stripVTControlCharacters(text).replaceAll("\n", "\\n").replaceAll("\t", " ");
  return withoutUnsafe(plain.toWellFormed());
}

function cut(text: string): string {
  return text.length <= LINE_CHARS_MAX ? text : `${text.slice(0, LINE_CHARS_MAX - 1)}…`;
}

/** True for 100, 1,000, 10,000 and so on. */
function isRound(count: number): boolean {
  return Number.isInteger(Math.log10(count));
}
