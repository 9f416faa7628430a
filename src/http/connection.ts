// A connection to a peer: what a session sends requests on until it breaks, by node:http2 on Bun, by hyper on Deno.

/** Of what a peer answers. */
export const ANSWER_BYTES_MAX = 64 * 2 ** 20;

export interface Connection {
  /** False once no more requests should be made on it. */
  readonly isOpen: boolean;
  request(path: string, headers: Readonly<Record<string, string>>, body: Uint8Array): Call;
}

export interface Call {
  /** Fails when the peer may have acted on the request and no whole answer came. */
  readonly reply: Promise<Reply>;
  /** Tells the peer that nobody waits any more. */
  cancel(): void;
}

/** The body is the whole one of status 200, else empty. "refused": the peer has certainly not acted on the request. */
export type Reply = { readonly status: number; readonly body: Uint8Array } | "refused";
