// A peer as a separate process, under Bun or Deno: fixture-server.ts TOKEN http|https. Prints its
// port and serves until killed.

import { PeerServer } from "../../src/http/peer-server.ts";

const [token = "", scheme] = process.argv.slice(2);

const server = await PeerServer.listen({
  hostname: "127.0.0.1",
  port: 0,
  token,
  tls: scheme === "https",
  self: "fixture",
  onBug: (thrown) => console.error(thrown),
});
server.start({
  routes: {
    echo: { bytesMax: 64 * 2 ** 20, run: (body) => body },
    hang: { bytesMax: 1024, run: () => new Promise(() => undefined) },
  },
  metrics: () => JSON.stringify(server.refused),
});
console.log(server.port);
