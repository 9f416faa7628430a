// The differences between Bun, a binary that it compiled, and Deno. All other source runs unchanged
// on both.

import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";

interface HttpServer {
  readonly url: string;
  stop(): Promise<void>;
}

interface ServeOptions {
  readonly hostname: string;
  /** 0 takes a free port. */
  readonly port: number;
  readonly fetch: (request: Request) => Response | Promise<Response>;
}

interface ClientAddress {
  readonly hostname: string;
  readonly port: number;
}

interface DenoServeOptions {
  readonly hostname: string;
  readonly port: number;
  readonly cert?: string;
  readonly key?: string;
  readonly signal?: AbortSignal;
  readonly onListen: () => void;
}

interface DenoLike {
  readonly version: { readonly deno: string };
  serve(
    options: DenoServeOptions,
    fetch: (
      request: Request,
      info: { readonly remoteAddr: ClientAddress },
    ) => Response | Promise<Response>,
  ): {
    readonly addr: { readonly port: number };
    readonly finished: Promise<void>;
    shutdown(): Promise<void>;
  };
  createHttpClient(options: {
    readonly http1: boolean;
    readonly http2: boolean;
    readonly poolIdleTimeout: false;
    readonly proxy: { readonly transport: "unix"; readonly path: string };
  }): { close(): void };
}

/** Deno's own HTTP/2 (hyper), over TLS and in cleartext with prior knowledge. */
export interface Hyper {
  /** The server stops at once, whatever is under way. Throws when it cannot listen. */
  serve(
    options: Omit<ServeOptions, "fetch"> & {
      readonly fetch: (request: Request, client: ClientAddress) => Response | Promise<Response>;
      readonly tls: { readonly key: string; readonly cert: string } | null;
    },
  ): {
    readonly port: number;
    stop(): Promise<void>;
  };
  /** Makes a client whose connections all go to this Unix socket. */
  createClient(socketPath: string): HyperClient;
}

export interface HyperClient {
  fetch(url: string, init: RequestInit): Promise<Response>;
  close(): void;
}

const deno = (globalThis as { Deno?: DenoLike }).Deno;

export const runtime: { readonly name: "bun" | "deno"; readonly version: string } =
  deno === undefined
    ? { name: "bun", version: Bun.version }
    : { name: "deno", version: deno.version.deno };

/** Serves HTTP/1.1 until it is stopped. */
export function serve({ hostname, port, fetch }: ServeOptions): HttpServer {
  if (deno !== undefined) {
    const server = deno.serve({ hostname, port, onListen: () => undefined }, fetch);
    return { url: `http://${hostname}:${server.addr.port}`, stop: () => server.shutdown() };
  }
  // Without an error handler Bun prints every broken stream with its stack.
  const error = () => new Response("internal error", { status: 500 });
  // Without this option Bun shares the port with other processes that listen there.
  const server = Bun.serve({
    hostname,
    port,
    fetch,
    error,
    development: false,
    reusePort: false,
    idleTimeout: 0,
  });
  return { url: `http://${hostname}:${server.port}`, stop: () => server.stop(true) };
}

/**
 * Null on Bun. Deno's node:http2 sometimes ends the process from inside, which no code can catch
 * (denoland/deno#36788).
 */
export const hyper: Hyper | null =
  deno === undefined
    ? null
    : {
        serve({ hostname, port, tls, fetch }) {
          const stopping = new AbortController();
          const server = deno.serve(
            { hostname, port, ...tls, signal: stopping.signal, onListen: () => undefined },
            (request, { remoteAddr }) => fetch(request, remoteAddr),
          );
          const stop = (): Promise<void> => {
            stopping.abort();
            return server.finished;
          };
          return { port: server.addr.port, stop };
        },
        createClient(path) {
          const proxy = { transport: "unix", path } as const;
          const client = withoutEnv(["NO_PROXY", "no_proxy"], () =>
            deno.createHttpClient({ http1: false, http2: true, poolIdleTimeout: false, proxy }),
          );
          return {
            fetch: (url, init) => fetch(url, { ...init, client } as RequestInit),
            close: () => client.close(),
          };
        },
      };

/**
 * Runs code as if these variables were not set. To Deno a Unix socket is a proxy, which it leaves
 * out where the variables say so.
 */
function withoutEnv<T>(names: readonly string[], run: () => T): T {
  const saved = names.map((name) => [name, process.env[name]] as const);
  for (const name of names) delete process.env[name];
  try {
    return run();
  } finally {
    for (const [name, value] of saved) if (value !== undefined) process.env[name] = value;
  }
}

const main = fileURLToPath(new URL("./main.ts", import.meta.url));

/** True in a compiled binary, where the source lies in a file system of its own. */
export const isCompiled = main.startsWith("/$bunfs/");

/**
 * Frees memory now. The runtime does not hurry for large arrays that are in use for a moment, and a
 * process that handles many of them would grow. Does nothing on Deno.
 */
export function collectGarbage(): void {
  if (deno === undefined) Bun.gc(true);
}

/** The command that starts this program: the binary, or its source under the present runtime. */
export function ownCommand(): { readonly file: string; readonly args: readonly string[] } {
  if (deno !== undefined) return { file: process.execPath, args: ["run", "-A", main] };
  return { file: process.execPath, args: isCompiled ? [] : [main] };
}

/** Makes `import … from "matrix"` in user modules give `sdk`. On Deno deno.json does this. */
export function provideSdk(sdk: Record<string, unknown>): void {
  provideModule("matrix", async () => sdk);
}

/**
 * Provides a module under any name. It is loaded when a user module first imports it; `load` must
 * import it by another name.
 */
export function provideModule(name: string, load: () => Promise<Record<string, unknown>>): void {
  if (deno !== undefined) return;
  Bun.plugin({
    name,
    setup: (build) =>
      void build.module(name, async () => ({ exports: await load(), loader: "object" })),
  });
}

/**
 * Starts the thread that watches the event loop (src/host/watch/thread.ts), with these data. It
 * does not keep the process alive.
 */
export function startWatchThread(data: unknown): { stop(): void } {
  // scripts/build puts this file into the binary by its path from here.
  const thread = new Worker(new URL("./host/watch/thread.ts", import.meta.url), {
    workerData: data,
  });
  thread.unref();
  // A host runs without the thread where it cannot start.
  thread.on("error", () => undefined);
  return { stop: () => void thread.terminate() };
}

/** The C library with glibc, with musl, and on macOS. */
const LIBC = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1", "libSystem.B.dylib"];
/** Bytes of a buffer for a `struct sigaction`, which is smaller on every system. */
const SIGACTION_BYTES = 512;

/**
 * Lets signals that this process catches end it at once, as the system does it: while its event
 * loop is blocked it cannot hear them. Returns a function that lets the process catch them again.
 */
export type Uncatch = (signals: readonly number[]) => () => void;

/** Callable in any thread. Null where the runtime cannot reach the C library (Deno). */
export async function loadUncatch(): Promise<Uncatch | null> {
  if (deno !== undefined) return null;
  const { dlopen, ptr } = await import("bun:ffi");
  const declared = { sigaction: { args: ["i32", "ptr", "ptr"], returns: "i32" } } as const;
  for (const name of LIBC) {
    try {
      const { sigaction } = dlopen(name, declared).symbols;
      return (signals) => {
        const caught = signals.flatMap((signal) => {
          const before = new Uint8Array(SIGACTION_BYTES);
          sigaction(signal, null, ptr(before));
          // The address of the handler comes first; 0 is the default, and 1 ignores the signal.
          const [handler = 0n] = new BigUint64Array(before.buffer, 0, 1);
          return handler > 1n ? [{ signal, before }] : [];
        });
        // A struct of zeros is the default action.
        const byDefault = new Uint8Array(SIGACTION_BYTES);
        for (const { signal } of caught) sigaction(signal, ptr(byDefault), null);
        return () => {
          for (const { signal, before } of caught) sigaction(signal, ptr(before), null);
        };
      };
    } catch {
      // This system has no library of that name.
    }
  }
  return null;
}

const PR_SET_DUMPABLE = 4;

/**
 * Keeps other processes of the same user, which are not root, from reading the environment and the
 * memory of this one, until what it returns is called. Null where the platform cannot do that:
 * outside of Linux, and under Deno.
 */
export async function hideFromOthers(): Promise<(() => void) | null> {
  if (deno !== undefined || process.platform !== "linux") return null;
  const { dlopen } = await import("bun:ffi");
  const arch = process.arch === "arm64" ? "aarch64" : "x86_64";
  for (const library of ["libc.so.6", `libc.musl-${arch}.so.1`]) {
    try {
      const { symbols } = dlopen(library, {
        prctl: { args: ["i32", "u64", "u64", "u64", "u64"], returns: "i32" },
      });
      const setDumpable = (value: bigint): number =>
        symbols.prctl(PR_SET_DUMPABLE, value, 0n, 0n, 0n);
      if (setDumpable(0n) !== 0) return null;
      return () => void setDumpable(1n);
    } catch {
      // The other C library may be there.
    }
  }
  return null;
}
