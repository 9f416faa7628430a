// The server of a peer on Deno's own HTTP/2. Deno manages its connections, so strangers are not
// counted here; but each of them is kept in hyper's small windows, and their bodies are never kept.

import type { Hyper } from "../platform.ts";
import { BODY_MS_MAX, type Exchange, joined, UNWANTED_BYTES_MAX } from "./exchange.ts";
import type { Http2ServerOptions, RunningServer } from "./http2-server.ts";
import type { Endpoints } from "./proof.ts";

type Body = NonNullable<Request["body"]>;

export async function serveHyper(
  hyper: Hyper,
  { handle, ...options }: Http2ServerOptions,
): Promise<RunningServer> {
  const server = hyper.serve({
    ...options,
    fetch: (request, { hostname, port }) =>
      new Promise((resolve) => {
        const connection = {
          tls: options.tls !== null,
          clientAddress: hostname,
          clientPort: port,
          serverPort: server.port,
        };
        handle(new HyperExchange(request, connection, resolve));
      }),
  });
  return server;
}

class HyperExchange implements Exchange {
  readonly connection: Endpoints;
  readonly #request: Request;
  readonly #respond: (response: Response) => void;

  constructor(request: Request, connection: Endpoints, respond: (response: Response) => void) {
    this.#request = request;
    this.connection = connection;
    this.#respond = respond;
  }

  get method(): string {
    return this.#request.method;
  }

  get path(): string {
    const { url } = this.#request;
    return url.slice(url.indexOf("/", "https://".length));
  }

  header(name: string): string | null {
    return this.#request.headers.get(name);
  }

  admit(): void {
    // Under Deno, strangers are not counted.
  }

  async readBody(bytes: number): Promise<Uint8Array | null> {
    const chunks: Uint8Array[] = [];
    const received = await readUpTo(this.#request.body, bytes, (chunk) => chunks.push(chunk));
    return received === bytes ? joined(chunks) : null;
  }

  answer(status: number, contentType: string | null, body: Uint8Array | string): void {
    const { body: asked, bodyUsed } = this.#request;
    const headers = {
      "content-length": String(Buffer.byteLength(body)),
      ...(contentType && { "content-type": contentType }),
    };
    const content =
      asked === null || bodyUsed
        ? (body as Uint8Array<ArrayBuffer> | string)
        : afterDiscarding(asked, body);
    this.#respond(new Response(content, { status, headers }));
  }
}

/**
 * Reads up to `bytes` bytes and at most a chunk more. Resolves to the number that came, or to null
 * when the body broke off or took too long.
 */
async function readUpTo(
  body: Body | null,
  bytes: number,
  take: (chunk: Uint8Array) => void,
): Promise<number | null> {
  if (body === null) return 0;
  const reader = body.getReader();
  const timer = setTimeout(() => void reader.cancel().catch(() => undefined), BODY_MS_MAX);
  let received = 0;
  try {
    while (received <= bytes) {
      const { done, value } = await reader.read();
      if (done) return received;
      received += value.length;
      take(value);
    }
    return received;
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The content of an answer, which ends only when the request's body is out of the way: at the end
 * of an answer, hyper resets its request.
 */
function afterDiscarding(unwanted: Body, body: Uint8Array | string): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(controller) {
      await readUpTo(unwanted, UNWANTED_BYTES_MAX, () => undefined);
      controller.enqueue(Buffer.from(body));
      controller.close();
    },
  });
}
