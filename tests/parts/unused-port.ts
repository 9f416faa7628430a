// A port that no process listens at, for tests in which two servers must take the same port one
// after the other.

import { createServer } from "node:net";

/** Below the range from which systems give out free ports, so that no other test is given it. */
const RANGE = { first: 20_000, count: 10_000 } as const;

export async function unusedPort(): Promise<number> {
  for (;;) {
    const port = RANGE.first + Math.floor(Math.random() * RANGE.count);
    if (await isUnused(port)) return port;
  }
}

function isUnused(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
