// A host's calls to the driver: how it finds the driver, and finds it again after a failure.

import { expect, test } from "bun:test";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { DriverCalls } from "../../src/host/driver-calls.ts";
import { GREETING_PATH } from "../../src/http/proof.ts";
import { encodeControl } from "../../src/peer/control.ts";
import { answerGreeting } from "../http/misbehaving-server.ts";
import { until } from "../parts/until.ts";
import { answering, createDriver, TOKEN } from "./driver-server.ts";

const LINES = { name: "worker-1", lines: [] };
const NOW = 10_000;

test("a call goes to the driver that was found, as this host, and is answered by it", async () => {
  const asked: unknown[] = [];
  await using driver = await createDriver({
    permits: answering("permits", "turns", (value, from) => {
      asked.push([value, from]);
      return { waits: [5] };
    }),
  });
  let finds = 0;
  const calls = new DriverCalls("host-1", async () => {
    finds++;
    return { url: driver.url, token: TOKEN };
  });
  expect([calls.localAddress, calls.driverId]).toEqual([null, null]);
  const question = { model: "m", tokens: [1], settled: 0 };
  const call = () => calls.call("permits", "permits", question, "turns", NOW);
  expect(await Promise.all([call(), call()])).toEqual([{ waits: [5] }, { waits: [5] }]);
  expect(asked).toEqual(Array(2).fill([question, "host-1"]));
  expect([calls.localAddress, calls.driverId]).toEqual(["127.0.0.1", "driver"]);
  const found = finds;
  await call();
  expect(finds).toBe(found);
  calls.close();
  expect(calls.localAddress).toBeNull();
});

test("a call without a driver to be found is answered with null", async () => {
  const calls = new DriverCalls("host-1", async () => null);
  expect(await calls.call("logs", "logs", LINES, "done", NOW)).toBeNull();
});

test("after a call that failed the host looks for the driver again, which may have moved", async () => {
  const first = await createDriver({ logs: answering("logs", "done", () => null) });
  await using second = await createDriver({
    permits: answering("permits", "turns", () => ({ waits: [1] })),
  });
  const address = { url: first.url, token: TOKEN };
  const calls = new DriverCalls("host-1", async () => ({ ...address }));
  expect(await calls.call("logs", "logs", LINES, "done", NOW)).toBeNull();
  await first.stop();
  await expect(calls.call("logs", "logs", LINES, "done", NOW)).rejects.toMatchObject({
    code: "peer_failed",
  });
  address.url = second.url;
  const question = { model: "m", tokens: [1], settled: 0 };
  expect(await calls.call("permits", "permits", question, "turns", NOW)).toEqual({ waits: [1] });
  calls.close();
});

test("an answer of another kind fails the call, and the next call looks for the driver again", async () => {
  await using driver = await createDriver({
    logs: { bytesMax: 1e6, run: () => encodeControl("turns", { waits: [] }) },
  });
  let finds = 0;
  const calls = new DriverCalls("host-1", async () => {
    finds++;
    return { url: driver.url, token: TOKEN };
  });
  for (const count of [1, 2]) {
    await expect(calls.call("logs", "logs", LINES, "done", NOW)).rejects.toMatchObject({
      code: "wire_invalid",
    });
    expect(finds).toBe(count);
  }
});

test("a driver that does not answer in time fails the call", async () => {
  const never = new Promise<null>(() => undefined);
  await using driver = await createDriver({ logs: answering("logs", "done", () => never) });
  const calls = new DriverCalls("host-1", async () => ({ url: driver.url, token: TOKEN }));
  await expect(calls.call("logs", "logs", LINES, "done", 20)).rejects.toMatchObject({
    code: "peer_failed",
  });
});

test("two calls that look for the driver at once go to the one that was found first", async () => {
  const asked: string[] = [];
  const logs = (name: string) => ({
    logs: answering("logs", "done", () => {
      asked.push(name);
      return null;
    }),
  });
  await using first = await createDriver(logs("first"));
  await using second = await createDriver(logs("second"));
  const found = [first, second];
  const calls = new DriverCalls("host-1", async () => ({
    url: found.shift()?.url ?? "",
    token: TOKEN,
  }));
  const call = () => calls.call("logs", "logs", LINES, "done", NOW);
  await Promise.all([call(), call()]);
  expect(asked).toEqual(["first", "first"]);
  calls.close();
});

test("a host that closes its calls hangs up on the driver", async () => {
  let open = 0;
  const server = createServer((request, response) => {
    if (request.url === GREETING_PATH)
      return answerGreeting(request.stream, request.headers, { token: TOKEN });
    const body = encodeControl("done", null);
    response.writeHead(200, { "content-length": body.length }).end(body);
  });
  server.on("session", (session) => {
    open++;
    session.on("close", () => open--);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  const calls = new DriverCalls("host-1", async () => ({ url, token: TOKEN }));
  expect(await calls.call("logs", "logs", LINES, "done", NOW)).toBeNull();
  expect(open).toBe(1);
  calls.close();
  await until(() => open === 0, "the connection is closed", 5000);
  server.close();
});
