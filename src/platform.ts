// What differs between Bun, a compiled binary of it, and Deno. Everything else in the house runs on both unchanged.

import { fileURLToPath } from "node:url";

interface HttpServer {
  readonly url: string;
  stop(): Promise<void>;
}

interface ServeOptions {
  readonly hostname: string;
  /** 0 for a free one. */
  readonly port: number;
  readonly fetch: (request: Request) => Response | Promise<Response>;
}

interface DenoLike {
  readonly version: { readonly deno: string };
  serve(
    options: { hostname: string; port: number; onListen: () => void },
    fetch: (request: Request) => Response | Promise<Response>,
  ): { readonly addr: { readonly port: number }; shutdown(): Promise<void> };
}

const deno = (globalThis as { Deno?: DenoLike }).Deno;

export const runtime: { readonly name: "bun" | "deno"; readonly version: string } =
  deno === undefined ? { name: "bun", version: Bun.version } : { name: "deno", version: deno.version.deno };

/** Serves HTTP/1.1 until stopped. */
export function serve({ hostname, port, fetch }: ServeOptions): HttpServer {
  if (deno !== undefined) {
    const server = deno.serve({ hostname, port, onListen: () => undefined }, fetch);
    return { url: `http://${hostname}:${server.addr.port}`, stop: () => server.shutdown() };
  }
  // Without an error handler Bun prints every broken stream with its stack.
  const error = () => new Response("internal error", { status: 500 });
  const server = Bun.serve({ hostname, port, fetch, error, development: false, idleTimeout: 0 });
  return { url: `http://${hostname}:${server.port}`, stop: () => server.stop(true) };
}

/** How this program starts itself: the compiled binary, or its source under the runtime that runs it now. */
export function ownCommand(): { readonly file: string; readonly args: readonly string[] } {
  const script = fileURLToPath(new URL("./main.ts", import.meta.url));
  if (deno !== undefined) return { file: process.execPath, args: ["run", "-A", script] };
  // In a compiled binary the source lies in a file system of its own.
  return { file: process.execPath, args: script.startsWith("/$bunfs/") ? [] : [script] };
}

/** Makes `import … from "matrix"` in user modules give `sdk`. Under Deno the import map of deno.json does it. */
export function provideSdk(sdk: Record<string, unknown>): void {
  provideModule("matrix", async () => sdk);
}

/** The same for any name. It is loaded when a module first imports it; `load` must import it by another name. */
export function provideModule(name: string, load: () => Promise<Record<string, unknown>>): void {
  if (deno !== undefined) return;
  Bun.plugin({ name, setup: (build) => void build.module(name, async () => ({ exports: await load(), loader: "object" })) });
}
