// The metrics server of `--metrics HOST:PORT`: /metrics and /healthz over HTTP/1.1, which scrapers
// and probes speak. Peers speak HTTP/2, on another address.

import { Hono } from "hono";
import { MatrixError, messageOf } from "../error.ts";
import { serve } from "../platform.ts";
import { type Address, isLoopback } from "./address.ts";

/** Asks for the token when it listens on more than loopback. Fails with `usage`. */
export function serveMetrics(
  { hostname, port }: Address,
  token: string | null,
  render: () => Promise<string>,
): { readonly url: string; stop(): Promise<void> } {
  const isOpen = isLoopback(hostname);
  if (!isOpen && token === null)
    throw new MatrixError(
      "usage",
      `--metrics ${hostname}:${port} is not on loopback: it needs a token`,
      {
        hint: "set MATRIX_TOKEN or MATRIX_TOKEN_FILE",
      },
    );
  const app = new Hono();
  app.get("/healthz", (context) => context.text("ok"));
  app.use(async (context, next) => {
    if (!isOpen && context.req.header("authorization") !== `Bearer ${token}`)
      return context.body(null, 401);
    return next();
  });
  app.get("/metrics", async (context) =>
    context.text(await render(), 200, { "content-type": "text/plain; version=0.0.4" }),
  );
  try {
    return serve({ hostname, port, fetch: (request) => app.fetch(request) });
  } catch (cause) {
    throw new MatrixError("usage", `cannot listen on ${hostname}:${port}: ${messageOf(cause)}`, {
      cause,
      hint: "another program may hold the port",
    });
  }
}
