// What the platform file does under Deno, by a stand-in for the few calls that it makes. The
// program under the real Deno is in tests/e2e/deno.test.ts.

import { afterAll, expect, test } from "bun:test";
import * as original from "../src/platform.ts";

interface Served {
  readonly options: Record<string, unknown>;
  stopped: boolean;
}

const served: Served[] = [];
const clients: { readonly options: unknown; readonly env: unknown; isClosed: boolean }[] = [];

/** Serves as Deno does: until its signal aborts, or until it is shut down. */
function denoServe(
  options: Record<string, unknown>,
  fetch: (request: Request) => Response | Promise<Response>,
) {
  const entry: Served = { options, stopped: false };
  served.push(entry);
  const finished = Promise.withResolvers<void>();
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch });
  const stop = async () => {
    await server.stop(true);
    entry.stopped = true;
    finished.resolve();
  };
  (options["signal"] as AbortSignal | undefined)?.addEventListener("abort", () => void stop());
  (options["onListen"] as () => void)();
  return { addr: { port: server.port }, finished: finished.promise, shutdown: stop };
}

const world = globalThis as { Deno?: unknown };
world.Deno = {
  version: { deno: "9.9.9" },
  serve: denoServe,
  createHttpClient: (options: unknown) => {
    const { NO_PROXY, no_proxy } = process.env;
    const client = { options, env: { NO_PROXY, no_proxy }, isClosed: false };
    clients.push(client);
    return {
      close: () => {
        client.isClosed = true;
      },
    };
  },
};
// A copy of the module of its own: the other tests have the one that found no Deno.
const copy = "../src/platform.ts?deno";
const platform = (await import(copy)) as typeof original;
delete world.Deno;
afterAll(() => expect(served.every(({ stopped }) => stopped)).toBe(true));

test("under Deno the runtime is Deno, with its version", () => {
  expect(platform.runtime).toEqual({ name: "deno", version: "9.9.9" });
  expect(original.runtime.name).toBe("bun");
});

test("under Deno a server is Deno's, and is shut down when it stops", async () => {
  const options = { hostname: "127.0.0.1", port: 0 };
  const server = platform.serve({ ...options, fetch: () => new Response("hello") });
  const [entry] = served.splice(-1);
  expect(entry?.options).toMatchObject(options);
  expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
  expect(await (await fetch(server.url)).text()).toBe("hello");
  await server.stop();
  expect(entry?.stopped).toBe(true);
});

test("under Deno the program starts again with all permissions", () => {
  const main = new URL("../src/main.ts", import.meta.url).pathname;
  expect(platform.ownCommand()).toEqual({ file: process.execPath, args: ["run", "-A", main] });
});

test("under Deno an HTTP/2 server has its certificate, and stops at once", async () => {
  const { hyper } = platform;
  if (hyper === null) throw new Error("Deno has its own HTTP/2");
  const options = { hostname: "127.0.0.1", port: 0 };
  const tls = { key: "the key", cert: "the certificate" };
  const secure = hyper.serve({ ...options, tls, fetch: () => new Response("") });
  expect(served.at(-1)?.options).toMatchObject({ ...options, ...tls });
  expect(secure.port).toBeGreaterThan(0);
  await secure.stop();
  const plain = hyper.serve({ ...options, tls: null, fetch: () => new Response("") });
  expect(served.at(-1)?.options).not.toHaveProperty("key");
  await plain.stop();
});

test("under Deno a client goes over its Unix socket whatever the proxy variables say", async () => {
  const { hyper } = platform;
  if (hyper === null) throw new Error("Deno has its own HTTP/2");
  const before = { NO_PROXY: process.env["NO_PROXY"], no_proxy: process.env["no_proxy"] };
  process.env["NO_PROXY"] = "everything";
  delete process.env["no_proxy"];
  const client = hyper.createClient("/run/a.sock");
  const made = clients.at(-1);
  expect(made).toMatchObject({
    options: {
      ...{ http1: false, http2: true, poolIdleTimeout: false },
      proxy: { transport: "unix", path: "/run/a.sock" },
    },
    env: {},
    isClosed: false,
  });
  expect([process.env["NO_PROXY"], process.env["no_proxy"]]).toEqual(["everything", undefined]);
  for (const [name, value] of Object.entries(before)) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  client.close();
  expect(made?.isClosed).toBe(true);
});

test("under Deno modules are provided by deno.json, and not here", async () => {
  platform.provideModule("not-provided-here", () => Promise.reject(new Error("bug: loaded")));
  const name = "not-provided-here";
  await expect(import(name)).rejects.toThrow("Cannot find");
});
