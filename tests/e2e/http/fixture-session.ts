// A session as a separate process, for Deno: fixture-session.ts URL TOKEN PEER CONNECT_TIMEOUT_MS.
// Makes the requests that its stdin names, a JSON line each, all at once, and prints a line for
// each outcome.

import { createInterface } from "node:readline";
import type { MatrixError } from "../../../src/error.ts";
import { PeerSession } from "../../../src/http/session.ts";

const [url = "", token = "", peer = "", connectTimeoutMs] = process.argv.slice(2);
const session = new PeerSession({
  url,
  token,
  self: "client",
  peer,
  connectTimeoutMs: Number(connectTimeoutMs),
});

createInterface({ input: process.stdin }).on("line", async (line) => {
  const { id, close, route, bytes, timeoutMs } = JSON.parse(line);
  if (close) return session.close();
  try {
    const { length } = await session.request(route, Buffer.alloc(bytes, "0123456789a"), {
      timeoutMs,
    });
    console.log(JSON.stringify({ id, length, localAddress: session.localAddress }));
  } catch (error) {
    const { maybeActed, status, message } = error as MatrixError;
    console.log(
      JSON.stringify({
        id,
        isPeerError: (error as MatrixError).code === "peer_failed",
        maybeActed,
        status,
        message,
      }),
    );
  }
});
