// One request to the server of a peer and its answer, whoever speaks HTTP/2 below: node:http2 on Bun, hyper on Deno. The body is
// read only when somebody asks for it; what nobody wanted is thrown away as it comes (a reset would have clients lose the
// answer), and too much of that is cut off.

/** How long a body may take, and how much of one is thrown away. */
export const BODY_MS_MAX = 120_000;
export const UNWANTED_BYTES_MAX = 8 * 2 ** 20;

export interface Exchange {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  header(name: string): string | null;
  /** Says that its connection belongs here. */
  admit(): void;
  /** The body as long as it was announced; null when the sender went away, took too long or sent another length. */
  readBody(bytes: number): Promise<Uint8Array | null>;
  answer(status: number, contentType: string | null, body: Uint8Array | string): void;
}

export function joined(chunks: readonly Uint8Array[]): Uint8Array {
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
}
