// Connections: what each way to fail is called, and what becomes of bodies that break off, are too
// large or come as events.

import { expect, test } from "bun:test";
import { createServer as createHttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createServer, type Socket } from "node:net";
import {
  type ConnectionOptions,
  createConnection,
  type HttpRequest,
} from "../../../src/model/endpoint/connection.ts";
import { listenersOn } from "../../parts/listeners.ts";
import { timersLeftBy } from "../../parts/timers.ts";
import { until } from "../../parts/until.ts";
import { type Behaviour, TestEndpoint } from "../endpoint.ts";

const get = (more: Partial<HttpRequest> = {}): HttpRequest => ({
  method: "POST",
  headers: { "content-type": "application/json" },
  body: "{}",
  signal: new AbortController().signal,
  ...more,
});

const connect = (more: Partial<ConnectionOptions> = {}) =>
  createConnection({ label: "http://a", ip: null, connectTimeoutMs: 1000, ...more });

/** A server on which the test handles the bytes of each connection itself. */
async function withSocketServer<T>(
  onSocket: (socket: Socket) => void,
  use: (port: number) => Promise<T>,
) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    onSocket(socket);
  }).listen(0, "127.0.0.1");
  await until(() => server.listening, "the server listens");
  try {
    return await use((server.address() as AddressInfo).port);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

async function ask(behaviour: Behaviour) {
  const endpoint = await TestEndpoint.start(behaviour);
  const response = await connect()(new URL(endpoint.url), get());
  return { response, [Symbol.asyncDispose]: () => endpoint.vanish() };
}

test("a response has its status, its headers and its text", async () => {
  await using asked = await ask(({ response }) => {
    response.writeHead(418, { "x-y": "z" });
    response.end("żółw");
  });
  expect([asked.response.status, asked.response.headers["x-y"]]).toEqual([418, "z"]);
  expect(await asked.response.text()).toBe("żółw");
});

test("a request carries its method, path, headers and body", async () => {
  await using endpoint = await TestEndpoint.start(({ response }) => response.end());
  const url = new URL(`${endpoint.url}/x?y=1`);
  const response = await connect()(url, get({ body: '{"a":1}', headers: { host: "named" } }));
  await response.text();
  expect(endpoint.asked).toEqual([{ a: 1 }]);
  expect(endpoint.headers.map(({ host }) => host)).toEqual(["named"]);
});

test("a connection is used again, and its requests may overlap", async () => {
  const ports = new Set<number | undefined>();
  await using endpoint = await TestEndpoint.start(({ response }) => {
    ports.add(response.socket?.remotePort);
    response.end("x");
  });
  const send = connect();
  for (let i = 0; i < 3; i++) await (await send(new URL(endpoint.url), get())).text();
  expect(ports.size).toBe(1);
  const all = Array.from({ length: 300 }, async () => {
    return (await send(new URL(endpoint.url), get())).text();
  });
  expect(new Set(await Promise.all(all))).toEqual(new Set(["x"]));
});

test("the given address is connected to, whatever the name of the URL", async () => {
  await using endpoint = await TestEndpoint.start(({ response }) => response.end("x"));
  const send = connect({ ip: "127.0.0.1" });
  const response = await send(new URL(`http://nowhere.invalid:${endpoint.port}/v1`), get());
  expect(await response.text()).toBe("x");
  expect(endpoint.headers.map(({ host }) => host)).toEqual([`nowhere.invalid:${endpoint.port}`]);
});

test("an address of IPv6 is connected to like any other", async () => {
  const server = createHttpServer((_, response) => void response.end("six"));
  const listening = new Promise<boolean>((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(0, "::1", () => resolve(true));
  });
  if (!(await listening)) return console.log("skipped: this machine has no IPv6");
  const { port } = server.address() as AddressInfo;
  const send = connect({ ip: "::1" });
  const response = await send(new URL(`http://nowhere.invalid:${port}/v1`), get());
  expect(await response.text()).toBe("six");
  server.closeAllConnections();
  server.close();
});

test("a server that is not there is unavailable, and the message names the endpoint", async () => {
  await using endpoint = await TestEndpoint.start();
  await endpoint.vanish();
  await expect(connect()(new URL(endpoint.url), get())).rejects.toMatchObject({
    name: "MatrixError",
    code: "model_unavailable",
    message: expect.stringMatching(/^no connection to http:\/\/a: .*ECONNREFUSED/),
  });
  await expect(connect()(new URL("http://nowhere.invalid/v1"), get())).rejects.toMatchObject({
    code: "model_unavailable",
  });
});

test("a connection that does not come about in time is unavailable", () =>
  // The server accepts, and never says a word of TLS.
  withSocketServer(
    () => undefined,
    async (port) => {
      const send = connect({ connectTimeoutMs: 20 });
      await expect(send(new URL(`https://127.0.0.1:${port}/`), get())).rejects.toMatchObject({
        code: "model_unavailable",
        message: "no connection to http://a: no connection within 20 ms",
      });
    },
  ));

test("an answer may take longer than a connection", async () => {
  await using endpoint = await TestEndpoint.start(({ response }) => {
    setTimeout(() => response.end("late"), 40);
  });
  const send = connect({ connectTimeoutMs: 20 });
  expect(await (await send(new URL(endpoint.url), get())).text()).toBe("late");
});

test("a server that hangs up or changes the protocol is lost", async () => {
  const upgrade = "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n";
  for (const onSocket of [
    (socket: Socket) => socket.once("data", () => socket.destroy()),
    (socket: Socket) => socket.once("data", () => socket.write(upgrade)),
  ])
    await withSocketServer(onSocket, async (port) => {
      await expect(connect()(new URL(`http://127.0.0.1:${port}/`), get())).rejects.toMatchObject({
        code: "model_lost",
        message: expect.stringMatching(/^http:\/\/a broke off its answer: /),
      });
    });
});

test("a header that cannot be sent is an error of the request, and nothing hangs", async () => {
  await expect(
    connect()(new URL("http://127.0.0.1:9/"), get({ headers: { "x-key": "a\nb" } })),
  ).rejects.toMatchObject({ code: "model_lost" });
});

test("a body that breaks off is lost, as text and as events", async () => {
  for (const read of ["text", "events"] as const) {
    await using asked = await ask(({ response }) => {
      response.writeHead(200, { "content-length": "100" });
      response.write("data: 1\n\n", () => response.destroy());
    });
    const reading = (async () => {
      if (read === "text") return await asked.response.text();
      const events: string[] = [];
      for await (const event of asked.response.events()) events.push(event);
      return events;
    })();
    await expect(reading).rejects.toMatchObject({
      code: "model_lost",
      message: expect.stringMatching(/^http:\/\/a broke off its answer: /),
    });
  }
});

test("a body that is one byte larger than the limit is too large; events have four times it", async () => {
  for (const [read, mebibytes] of [
    ["text", 1],
    ["events", 4],
  ] as const) {
    const largest = `data: ${"x".repeat(mebibytes * 2 ** 20 - 8)}\n\n`;
    for (const body of [largest, `${largest}\n`]) {
      await using endpoint = await TestEndpoint.start(({ response }) => response.end(body));
      const send = connect({ bodyBytesMax: 2 ** 20 });
      const response = await send(new URL(endpoint.url), get());
      const reading = read === "text" ? response.text() : response.events().next();
      if (body === largest) await reading;
      else
        await expect(reading).rejects.toMatchObject({
          code: "model_answer_too_large",
          message: `the answer is larger than ${mebibytes} MiB`,
        });
    }
  }
});

test("events end with [DONE] in any chunks, and the connection is used again", async () => {
  const text = 'data: {"a":\ndata: 1}\n\n: comment\n\ndata: ż\r\n\r\ndata: [DONE]\n\ndata: no\n\n';
  const ports = new Set<number | undefined>();
  await using endpoint = await TestEndpoint.start(async ({ response }) => {
    ports.add(response.socket?.remotePort);
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (const byte of Buffer.from(text)) {
      response.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    response.end();
  });
  const send = connect();
  await until(async () => {
    const response = await send(new URL(endpoint.url), get());
    const events: string[] = [];
    for await (const event of response.events()) events.push(event);
    expect(events).toEqual(['{"a":\n1}', "ż"]);
    return ports.size < endpoint.asked.length;
  }, "a connection is used again");
});

test("events end with the body when there is no [DONE]", async () => {
  await using asked = await ask(({ response }) => response.end("data: 1\n\ndata: 2\n\n"));
  const events: string[] = [];
  for await (const event of asked.response.events()) events.push(event);
  expect(events).toEqual(["1", "2"]);
});

test("a signal ends a request before, during and after its head", async () => {
  const reason = new Error("stop");
  await using endpoint = await TestEndpoint.start(() => undefined);
  const send = connect();
  await expect(
    send(new URL(endpoint.url), get({ signal: AbortSignal.abort(reason) })),
  ).rejects.toBe(reason);
  expect(endpoint.asked).toHaveLength(0);
  const controller = new AbortController();
  const sending = send(new URL(endpoint.url), get({ signal: controller.signal })).catch(
    (thrown: unknown) => thrown,
  );
  await until(() => endpoint.inFlight === 1, "the request is there");
  controller.abort(reason);
  expect(await sending).toBe(reason);
  await until(() => endpoint.abandoned === 1, "the server sees it");

  endpoint.behaviour = ({ response }) => void response.write("half");
  const later = new AbortController();
  const response = await send(new URL(endpoint.url), get({ signal: later.signal }));
  const reading = response.text().catch((thrown: { code?: string }) => thrown.code);
  later.abort(reason);
  expect(await reading).toBe("model_lost");
  await until(() => endpoint.abandoned === 2, "the server sees it");
});

test("a discarded response frees its connection", async () => {
  const ports = new Set<number | undefined>();
  await using endpoint = await TestEndpoint.start(({ response }) => {
    ports.add(response.socket?.remotePort);
    response.end("x".repeat(100_000));
  });
  const send = connect();
  await until(async () => {
    (await send(new URL(endpoint.url), get())).discard();
    return ports.size < endpoint.asked.length;
  }, "a connection is used again");
});

test("a request leaves no listener on its signal, and no timer, once its answer was read", async () => {
  await using endpoint = await TestEndpoint.start(({ response }) => void response.end("whole"));
  const { signal } = new AbortController();
  const left = await timersLeftBy(async () => {
    const response = await connect()(new URL(endpoint.url), get({ signal }));
    expect(await response.text()).toBe("whole");
    await until(() => listenersOn(signal) === 0, "no listener is left", 5000);
  });
  expect(left).toEqual([]);
});
