// One request to the HTTP/2 server and its answer. The body is read only when somebody asks for it; what nobody
// wanted is thrown away as it comes (a reset would have both runtimes lose the answer), and too much of that cuts the connection.

import http2, { type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";

const BODY_MS_MAX = 120_000;
const UNWANTED_BYTES_MAX = 8 * 2 ** 20;

export class Exchange {
  /** Says that its connection belongs here. */
  readonly admit: () => void;
  readonly #stream: ServerHttp2Stream;
  readonly #headers: IncomingHttpHeaders;

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, admit: () => void) {
    this.#stream = stream;
    this.#headers = headers;
    this.admit = admit;
    stream.on("error", () => undefined); // "close" follows
  }

  get method(): string {
    return String(this.#headers[":method"]);
  }

  /** With the query. */
  get path(): string {
    return String(this.#headers[":path"]);
  }

  header(name: string): string | null {
    const value = this.#headers[name];
    return typeof value === "string" ? value : null;
  }

  /** The body as long as it was announced; null when the sender went away, took too long or sent another length. */
  readBody(bytes: number): Promise<Uint8Array | null> {
    const stream = this.#stream;
    return new Promise((resolve) => {
      const timer = setTimeout(() => stream.close(http2.constants.NGHTTP2_CANCEL), BODY_MS_MAX);
      const chunks: Uint8Array[] = [];
      let missing = bytes;
      const take = (chunk: Uint8Array): void => {
        missing -= chunk.length;
        if (missing < 0) settle(null);
        else chunks.push(chunk);
      };
      const settle = (body: Uint8Array | null): void => {
        clearTimeout(timer);
        stream.off("data", take);
        resolve(body);
      };
      stream.on("data", take);
      // Both runtimes say "end" when a connection breaks, too.
      stream.on("end", () => settle(missing === 0 ? joined(chunks) : null));
      stream.on("close", () => settle(null));
    });
  }

  answer(status: number, contentType: string | null, body: Uint8Array | string): void {
    const stream = this.#stream;
    if (stream.destroyed) return;
    const headers = { ":status": status, "content-length": Buffer.byteLength(body), ...(contentType && { "content-type": contentType }) };
    stream.respond(headers, { sendDate: false } as object);
    stream.end(body);
    let unwanted = 0;
    stream.on("data", (chunk: Uint8Array) => {
      unwanted += chunk.length;
      if (unwanted > UNWANTED_BYTES_MAX) stream.session?.destroy();
    });
  }
}

export function joined(chunks: readonly Uint8Array[]): Uint8Array {
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
}
