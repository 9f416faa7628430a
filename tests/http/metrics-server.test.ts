import { expect, test } from "bun:test";
import { serveMetrics } from "../../src/http/metrics-server.ts";
import { metricsToken } from "../../src/http/proof.ts";

const LOOPBACK = { hostname: "127.0.0.1", port: 0 };
const EVERYWHERE = { hostname: "0.0.0.0", port: 0 };

async function asked(
  where: typeof LOOPBACK,
  token: string | null,
  path: string,
  headers: Readonly<Record<string, string>> = {},
) {
  const server = serveMetrics(where, token, async () => "matrix_tasks_total 1\n");
  try {
    const url = new URL(path, server.url.replace("0.0.0.0", "127.0.0.1"));
    const response = await fetch(url, { headers });
    return {
      status: response.status,
      type: response.headers.get("content-type"),
      text: await response.text(),
    };
  } finally {
    await server.stop();
  }
}

test("on loopback the metrics are served to every client, in the Prometheus text format", async () => {
  expect(await asked(LOOPBACK, null, "/metrics")).toEqual({
    status: 200,
    type: "text/plain; version=0.0.4",
    text: "matrix_tasks_total 1\n",
  });
  expect((await asked(LOOPBACK, "token", "/metrics")).status).toBe(200);
});

test("off loopback the metrics are served with the metrics token alone, which is not the run's", async () => {
  const ask = async (headers: Record<string, string>) =>
    (await asked(EVERYWHERE, "token", "/metrics", headers)).status;
  expect(await ask({ authorization: `Bearer ${metricsToken("token")}` })).toBe(200);
  expect(await ask({ authorization: "Bearer token" })).toBe(401);
  expect(await ask({ authorization: "Bearer other" })).toBe(401);
  expect(await ask({})).toBe(401);
  expect((await asked(EVERYWHERE, "token", "/metrics")).text).toBe("");
});

test("the health is served without the token, and other paths are not there", async () => {
  expect(await asked(EVERYWHERE, "token", "/healthz")).toMatchObject({ status: 200, text: "ok" });
  expect((await asked(LOOPBACK, null, "/other")).status).toBe(404);
});

test("on loopback no page of a browser is told the metrics, by whatever name it comes", async () => {
  const ask = async (headers: Record<string, string>) =>
    (await asked(LOOPBACK, null, "/metrics", headers)).status;
  expect(await ask({ host: "attacker.example" })).toBe(403);
  expect(await ask({ origin: "https://attacker.example" })).toBe(403);
  expect(await ask({ host: "localhost:9400" })).toBe(200);
});

test("off loopback a token must be there", () => {
  expect(() => serveMetrics(EVERYWHERE, null, async () => "")).toThrow(
    expect.objectContaining({
      code: "usage",
      message: "--metrics 0.0.0.0:0 is not on loopback: it needs a token",
      hint: "set MATRIX_TOKEN or MATRIX_TOKEN_FILE",
    }),
  );
});

test("a port that is taken is refused with its address", async () => {
  const first = serveMetrics(LOOPBACK, null, async () => "");
  const port = Number(new URL(first.url).port);
  expect(() => serveMetrics({ ...LOOPBACK, port }, null, async () => "")).toThrow(
    expect.objectContaining({
      code: "usage",
      message: expect.stringContaining(`cannot listen on 127.0.0.1:${port}: `),
      hint: "another program may hold the port",
    }),
  );
  await first.stop();
});
