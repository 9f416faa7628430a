// The metrics server of `--metrics HOST:PORT`: /metrics and /healthz over HTTP/1.1, which scrapers
// and probes speak. Peers speak HTTP/2, on another address.

import { Hono } from "hono";
import { MatrixError, messageOf } from "../error.ts";
import { serve } from "../platform.ts";
import { type Address, isLoopback } from "./address.ts";
import { refuseForeignPages } from "./browser-guard.ts";
import { isEqual, metricsToken } from "./proof.ts";

/**
 * Asks for the metrics token of the run when it listens on more than loopback, and serves no web
 * pages of others. Fails with `usage`.
 */
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
  const expected = token === null ? null : `Bearer ${metricsToken(token)}`;
  const app = new Hono();
  app.get("/healthz", (context) => context.text("ok"));
  app.use(async (context, next) => {
    const given = context.req.header("authorization") ?? "";
    if (isOpen || (expected !== null && isEqual(given, expected))) return next();
    return context.body(null, 401);
  });
  app.get("/metrics", async (context) =>
    context.text(await render(), 200, { "content-type": "text/plain; version=0.0.4" }),
  );
  try {
    const fetch = refuseForeignPages(hostname, (request) => app.fetch(request));
    return serve({ hostname, port, fetch });
  } catch (cause) {
    throw new MatrixError("usage", `cannot listen on ${hostname}:${port}: ${messageOf(cause)}`, {
      cause,
      hint: "another program may hold the port",
    });
  }
}
