// The body of one answer, read once: as text, or as the data of server-sent events. Compressed
// bodies are decoded on the way, and no body may grow beyond its limit.

import type { IncomingMessage } from "node:http";
import type { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream";
import {
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createZstdDecompress,
} from "node:zlib";
import { createParser } from "eventsource-parser";
import { MatrixError } from "../../error.ts";

/**
 * Time that a stream of events has to end after its last event. Servers such as uvicorn send the
 * end of the body in a segment of its own. A connection whose body ends later is closed.
 */
const END_WAIT_MS = 250;

export interface BodyLimits {
  /** Limit for the decoded body. */
  readonly bytesMax: number;
  /** The error for a body that breaks off. */
  readonly lost: (cause: unknown) => MatrixError;
  readonly reach: Reach;
}

/**
 * Asks for memory for this many bytes of a body: null when it is there, and a promise of it
 * otherwise, for which the server waits.
 */
export type Reach = (bytes: number) => Promise<void> | null;

export const unbounded: Reach = () => null;

/**
 * Reads the whole body. Fails with `model_lost` when it breaks off, and with
 * `model_answer_too_large` when it is larger than its limit.
 */
export function readText(message: IncomingMessage, limits: BodyLimits): Promise<string> {
  const body = decoded(message);
  const isTooLarge = countBytes(message, limits.bytesMax);
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    body.on("data", (chunk: Uint8Array) => {
      chunks.push(chunk);
      if (isTooLarge(chunk)) return reject(tooLargeError(limits.bytesMax));
      bytes += chunk.length;
      const memory = limits.reach(bytes);
      if (memory === null) return;
      body.pause();
      memory.then(() => body.resume(), reject);
    });
    body.on("end", () => resolve(Buffer.concat(chunks).toString()));
    body.on("error", (error) => reject(limits.lost(error)));
    body.on("close", () => reject(limits.lost("the connection was closed")));
  });
}

/**
 * Yields the data of each event up to "[DONE]" or the end, and returns when the connection can be
 * used again or is closed. Fails as `readText` does.
 */
export async function* readEvents(
  message: IncomingMessage,
  limits: BodyLimits,
): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let events: string[] = [];
  const parser = createParser({
    // Some servers keep a connection alive with events that are empty.
    onEvent: ({ data }) => void (data.trim() === "" || events.push(data)),
  });
  const isTooLarge = countBytes(message, limits.bytesMax);
  /** Bytes since the last event, which the parser holds. */
  let pending = 0;
  let end: NodeJS.Timeout | null = null;
  try {
    for await (const chunk of decoded(message)) {
      if (isTooLarge(chunk)) throw tooLargeError(limits.bytesMax);
      if (end !== null) continue;
      pending += chunk.length;
      const memory = limits.reach(pending);
      if (memory !== null) await memory;
      parser.feed(decoder.decode(chunk, { stream: true }));
      if (events.length > 0) pending = 0;
      const done = events.findIndex((event) => event.trim() === "[DONE]");
      yield* done === -1 ? events : events.slice(0, done);
      events = [];
      if (done !== -1) end = setTimeout(() => message.destroy(), END_WAIT_MS);
    }
    // The last event may lack the empty line after it.
    if (end === null) parser.feed("\n\n");
    yield* events.filter((event) => event.trim() !== "[DONE]");
  } catch (thrown) {
    // The answer is whole once its end has come, whatever becomes of the connection.
    if (end === null) throw thrown instanceof MatrixError ? thrown : limits.lost(thrown);
  } finally {
    if (end !== null) clearTimeout(end);
  }
}

/** Counts the bytes of a body. When they are too many, it ends the connection and returns true. */
function countBytes(message: IncomingMessage, bytesMax: number): (chunk: Uint8Array) => boolean {
  let bytes = 0;
  return (chunk) => {
    bytes += chunk.length;
    if (bytes <= bytesMax) return false;
    message.destroy();
    return true;
  };
}

/** The error for an answer that fits no task. */
export function tooLargeError(bytesMax: number): MatrixError {
  return new MatrixError(
    "model_answer_too_large",
    `the answer is larger than ${bytesMax / 2 ** 20} MiB`,
  );
}

/** Decoders by the names of RFC 9110, section 8.4.1. */
const DECODERS: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip,
  "x-gzip": createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
};

function decoded(message: IncomingMessage): Readable {
  const decoder = DECODERS[message.headers["content-encoding"]?.trim().toLowerCase() ?? ""];
  // Errors of either stream reach the reader of the last one.
  return decoder === undefined ? message : pipeline(message, decoder(), () => undefined);
}
