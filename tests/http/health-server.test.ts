// The answers that probes get.

import { expect, test } from "bun:test";
import { serveHealth } from "../../src/http/health-server.ts";

const HERE = { hostname: "127.0.0.1", port: 0 };

test("a healthy process answers ok, and an unhealthy one 503 with its reason", async () => {
  let problem: string | null = null;
  const server = serveHealth(HERE, () => problem);
  const ask = async (path: string) => {
    const response = await fetch(`${server.url}${path}`);
    return [response.status, await response.text()];
  };
  expect(await ask("/healthz")).toEqual([200, "ok"]);
  problem = "no process of this host runs";
  expect(await ask("/healthz")).toEqual([503, "no process of this host runs"]);
  expect(await ask("/metrics")).toEqual([404, ""]);
  await server.stop();
  await expect(fetch(`${server.url}/healthz`)).rejects.toThrow();
});

test("a port that another program holds is refused with the flag's name", async () => {
  const server = serveHealth(HERE, () => null);
  const port = Number(new URL(server.url).port);
  expect(() => serveHealth({ ...HERE, port }, () => null)).toThrow(
    expect.objectContaining({
      code: "usage",
      message: expect.stringContaining("--health 127.0.0.1"),
    }),
  );
  await server.stop();
});
