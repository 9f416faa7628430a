// A connection to a peer. A session sends its requests on it until it breaks. Bun has it by
// node:http2, Deno by hyper.

/** The largest answer of a peer. */
export const ANSWER_BYTES_MAX = 64 * 2 ** 20;

export interface Connection {
  /** False once no further request should be made on it. */
  readonly isOpen: boolean;
  request(path: string, headers: Readonly<Record<string, string>>, body: Uint8Array): Call;
}

export interface Call {
  /** Fails when no whole answer came, although the peer may have acted on the request. */
  readonly reply: Promise<Reply>;
  /** Tells the peer that its answer is no longer awaited. */
  cancel(): void;
}

/**
 * The answer to a request. Its body is whole for status 200, and empty for any other. "refused"
 * means that the peer has certainly not acted on the request.
 */
export type Reply = { readonly status: number; readonly body: Uint8Array } | "refused";
