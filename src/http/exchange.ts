// An exchange: one request to the server of a peer, and its answer. Below it node:http2 speaks on
// Bun, and hyper on Deno. A body is read only when a route asks for it. A body that no route wants
// is thrown away as it comes, since a reset would cost the client its answer; a body that is too
// long for that has its connection cut.

import type { Endpoints } from "./proof.ts";

/** The time that a body may take. */
export const BODY_MS_MAX = 120_000;
/** The bytes of an unwanted body that are thrown away before its connection is cut. */
export const UNWANTED_BYTES_MAX = 8 * 2 ** 20;

export interface Exchange {
  readonly connection: Endpoints;
  readonly method: string;
  /** The path with its query. */
  readonly path: string;
  header(name: string): string | null;
  /** Notes that a member of the run uses this connection. */
  admit(): void;
  /**
   * Reads the body of the announced length. Resolves to null when the sender went away, took too
   * long or sent another length.
   */
  readBody(bytes: number): Promise<Uint8Array | null>;
  answer(status: number, contentType: string | null, body: Uint8Array | string): void;
}

export function joined(chunks: readonly Uint8Array[]): Uint8Array {
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
}
