// A client as a separate process, under Bun or Deno: fixture-client.ts URL TOKEN. Prints what
// became of its requests.

import type { MatrixError } from "../../../src/error.ts";
import { PeerSession } from "../../../src/http/session.ts";

const [url = "", token = ""] = process.argv.slice(2);
const session = new PeerSession({ url, token, self: "client", peer: "fixture" });

for (const [route, bytes] of [
  ["echo", 0],
  ["echo", 100_000],
  ["echo", 64 * 2 ** 20],
  ["nowhere", 1],
] as const) {
  const body = new Uint8Array(bytes).map((_, index) => index % 251);
  try {
    const answer = await session.request(route, body, { timeoutMs: 20_000 });
    console.log(
      route,
      bytes,
      Buffer.compare(answer, body) === 0 ? "same" : `other: ${answer.length} bytes`,
    );
  } catch (error) {
    const { maybeActed, status } = error as MatrixError;
    console.log(route, bytes, (error as MatrixError).code === "peer_failed", maybeActed, status);
  }
}
session.close();
