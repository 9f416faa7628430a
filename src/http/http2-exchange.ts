// An exchange on a stream of node:http2.

import http2, { type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { BODY_MS_MAX, type Exchange, joined, UNWANTED_BYTES_MAX } from "./exchange.ts";
import type { Endpoints } from "./proof.ts";

export class Http2Exchange implements Exchange {
  readonly admit: () => void;
  readonly connection: Endpoints;
  readonly #stream: ServerHttp2Stream;
  readonly #headers: IncomingHttpHeaders;

  constructor(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    connection: Endpoints,
    admit: () => void,
  ) {
    this.#stream = stream;
    this.#headers = headers;
    this.connection = connection;
    this.admit = admit;
    stream.on("error", () => undefined); // "close" follows
  }

  get method(): string {
    return String(this.#headers[":method"]);
  }

  get path(): string {
    return String(this.#headers[":path"]);
  }

  header(name: string): string | null {
    const value = this.#headers[name];
    return typeof value === "string" ? value : null;
  }

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
      // A stream also ends when its connection breaks.
      stream.on("end", () => settle(missing === 0 ? joined(chunks) : null));
      stream.on("close", () => settle(null));
    });
  }

  answer(status: number, contentType: string | null, body: Uint8Array | string): void {
    const stream = this.#stream;
    if (stream.destroyed) return;
    const headers = {
      ":status": status,
      "content-length": Buffer.byteLength(body),
      ...(contentType && { "content-type": contentType }),
    };
    stream.respond(headers, { sendDate: false } as object);
    stream.end(body);
    let unwanted = 0;
    stream.on("data", (chunk: Uint8Array) => {
      unwanted += chunk.length;
      if (unwanted > UNWANTED_BYTES_MAX) stream.session?.destroy();
    });
  }
}
