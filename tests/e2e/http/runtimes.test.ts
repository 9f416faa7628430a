// Bun and Deno as peers of each other, in cleartext and over TLS.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { RUNTIMES, spawnPeer, TOKEN } from "../../http/wire.ts";

test.each([
  ["Bun", "Deno", "http"],
  ["Bun", "Deno", "https"],
  ["Deno", "Bun", "http"],
  ["Deno", "Bun", "https"],
  ["Deno", "Deno", "https"],
])(
  "%s serves %s over %s",
  async (server, client, scheme) => {
    const [serving, asking] = [RUNTIMES[server], RUNTIMES[client]];
    if (!serving || !asking) return;
    await using peer = await spawnPeer({ command: serving, scheme });
    const child = Bun.spawn(
      [...asking, join(import.meta.dir, "fixture-client.ts"), peer.url, TOKEN],
      { stdout: "pipe", stderr: "pipe" },
    );
    const [stdout, stderr] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    expect(stderr).toBe("");
    expect(stdout.trim().split("\n")).toEqual([
      "echo 0 same",
      "echo 100000 same",
      "echo 67108864 same",
      "nowhere 1 true false 404",
    ]);
    peer.child.kill("SIGKILL");
    expect(await peer.said).toBe("");
  },
  60_000,
);
