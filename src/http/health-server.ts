// The health server of `--health HOST:PORT`: /healthz over HTTP/1.1, as the probes of Kubernetes
// and load balancers ask for it. It tells nothing else, so it needs no token.

import { MatrixError, messageOf } from "../error.ts";
import { serve } from "../platform.ts";
import type { Address } from "./address.ts";

type Server = ReturnType<typeof serve>;

/**
 * Answers `ok`, or 503 with the reason that `problem` gives. Fails with `usage` when it cannot
 * listen.
 */
export function serveHealth({ hostname, port }: Address, problem: () => string | null): Server {
  const fetch = async (request: Request): Promise<Response> => {
    if (new URL(request.url).pathname !== "/healthz") return new Response(null, { status: 404 });
    const why = problem();
    return new Response(why ?? "ok", { status: why === null ? 200 : 503 });
  };
  try {
    return serve({ hostname, port, fetch });
  } catch (cause) {
    const where = `--health ${hostname}:${port}`;
    throw new MatrixError("usage", `${where}: cannot listen there: ${messageOf(cause)}`, {
      cause,
      hint: "another program may hold the port; port 0 takes a free one",
    });
  }
}
