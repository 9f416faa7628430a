// Time limits of requests and connections, and timers, of which none stays behind.

import { expect, test } from "bun:test";
import http2 from "node:http2";
import net, { type AddressInfo } from "node:net";
import type { Exchange } from "../../src/http/exchange.ts";
import { serveHyper } from "../../src/http/hyper-server.ts";
import type { Hyper } from "../../src/platform.ts";
import { listenersOn } from "../parts/listeners.ts";
import { timersLeftBy, withTimers } from "../parts/timers.ts";
import { until } from "../parts/until.ts";
import { ask, goodHeaders, hangingRoute, openSession, proven, startPeer } from "./wire.ts";

const BODY = new Uint8Array(10);

test("a request under way has a timer, which goes when the request is given up", async () => {
  const { route, asked } = hangingRoute();
  await using peer = await startPeer({ routes: { hang: route } });
  using session = openSession(peer.url);
  const giveUp = new AbortController();
  const options = { timeoutMs: 50_001, signal: giveUp.signal };
  let request: Promise<unknown> = Promise.resolve();
  const under = await timersLeftBy(async () => {
    request = session.request("hang", BODY, options).catch(() => undefined);
    await asked;
  });
  expect(under).toEqual([50_001]);
  const after = await timersLeftBy(async () => {
    const second = session.request("hang", BODY, options).catch(() => undefined);
    giveUp.abort();
    await Promise.all([request, second]);
  });
  expect([after, listenersOn(giveUp.signal)]).toEqual([[], 0]);
});

test("requests that were answered leave no timer behind, at either side", async () => {
  const left = await timersLeftBy(async () => {
    await using peer = await startPeer();
    using session = openSession(peer.url);
    await session.request("echo", BODY, { timeoutMs: 50_000 });
    await session.request("echo", BODY, { timeoutMs: 50_000 });
  });
  expect(left).toEqual([]);
});

test("a request whose body broke off leaves no timer behind", async () => {
  const left = await timersLeftBy(async () => {
    await using peer = await startPeer();
    await ask(peer.url, { ...goodHeaders(), "content-length": 4 });
    expect(peer.refused).toEqual({ cut: 1 });
  });
  expect(left).toEqual([]);
});

test("strangers leave no timer behind when they have gone", async () => {
  await timersLeftBy(async ({ waiting }) => {
    await using peer = await startPeer();
    const { status } = await ask(peer.url, { ...goodHeaders(), authorization: "Bearer x" });
    expect(status).toBe(401);
    await until(() => waiting().length === 0, "no timer waits", 5000);
  });
});

/** Serves with Deno's HTTP, and gives the answers to requests without a network. */
async function serve(handle: (exchange: Exchange) => void) {
  let take: Parameters<Hyper["serve"]>[0]["fetch"] = async () => new Response();
  const hyper = {
    serve: ({ fetch }: Parameters<Hyper["serve"]>[0]) => {
      take = fetch;
      return { port: 1, stop: async () => undefined };
    },
  } as Hyper;
  await serveHyper(hyper, { hostname: "127.0.0.1", port: 0, tls: null, handle });
  return (body: string | ReadableStream) =>
    take(new Request("http://127.0.0.1/", { method: "POST", body }), {
      hostname: "127.0.0.1",
      port: 2,
    });
}

const readFour = async (exchange: Exchange) => {
  const body = await exchange.readBody(4);
  exchange.answer(200, null, body ?? "none");
};

test("an exchange of Deno's server leaves no timer behind when it has read a body", async () => {
  const left = await timersLeftBy(async () => {
    const request = await serve(readFour);
    expect(await (await request("body")).text()).toBe("body");
  });
  expect(left).toEqual([]);
});

test("a body that takes more than two minutes is given up under Deno", () =>
  withTimers(async ({ waiting, ring }) => {
    const request = await serve(readFour);
    let isCancelled = false;
    const endless = new ReadableStream({
      start: (controller) => controller.enqueue(Buffer.from("bod")),
      cancel: () => {
        isCancelled = true;
      },
    });
    const answer = request(endless);
    await until(() => waiting().length > 0, "the body is being read");
    ring(120_000);
    expect(await (await answer).text()).toBe("none");
    expect([isCancelled, waiting()]).toEqual([true, []]);
  }));

test("a body that takes more than two minutes is given up, and counted as cut", () =>
  withTimers(async ({ waiting, ring }) => {
    await using peer = await startPeer();
    const client = http2.connect(peer.url).on("error", () => undefined);
    const stream = client.request(await proven(client, goodHeaders())).on("error", () => undefined);
    stream.write("bo");
    await until(() => waiting().includes(120_000), "the body is being read");
    ring(120_000);
    await new Promise((resolve) => stream.on("close", resolve));
    expect(peer.refused).toEqual({ cut: 1 });
    client.destroy();
  }));

test("a stranger is put out after ten seconds, unless the server says otherwise", () =>
  withTimers(async ({ waiting, ring }) => {
    await using peer = await startPeer();
    const socket = net.connect(peer.port, "127.0.0.1").on("error", () => undefined);
    const closed = new Promise((resolve) => socket.resume().on("close", resolve));
    await until(() => waiting().length > 0, "the stranger is there");
    ring(10_000);
    await closed;
  }));

test("a connection that does not come about is given up after five seconds", () =>
  withTimers(async ({ waiting, ring }) => {
    const silent = net.createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const { port } = silent.address() as AddressInfo;
    using session = openSession(`http://127.0.0.1:${port}`);
    const request = session.request("echo", BODY, { timeoutMs: 50_000 });
    await until(() => waiting().includes(5000), "the session connects");
    ring(5000);
    await expect(request).rejects.toMatchObject({
      message: expect.stringContaining("cannot connect: no connection within 5000 ms"),
      maybeActed: false,
    });
    silent.close();
  }));
