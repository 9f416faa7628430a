// Requests leave no timer behind, however they end.

import { expect, test } from "bun:test";
import type { Exchange } from "../../src/http/exchange.ts";
import { serveHyper } from "../../src/http/hyper-server.ts";
import type { Hyper } from "../../src/platform.ts";
import { timersLeftBy } from "../parts/timers.ts";
import { until } from "../parts/until.ts";
import { ask, goodHeaders, hangingRoute, openSession, startPeer } from "./wire.ts";

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
  expect(after).toEqual([]);
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
  await timersLeftBy(async (waiting) => {
    await using peer = await startPeer();
    const { status } = await ask(peer.url, { ...goodHeaders(), authorization: "Bearer x" });
    expect(status).toBe(401);
    await until(() => waiting().length === 0, "no timer waits", 5000);
  });
});

test("an exchange of Deno's server leaves no timer behind when it has read a body", async () => {
  let serve: Parameters<Hyper["serve"]>[0]["fetch"] = async () => new Response();
  const hyper = {
    serve: ({ fetch }: Parameters<Hyper["serve"]>[0]) => {
      serve = fetch;
      return { port: 1, stop: async () => undefined };
    },
  } as Hyper;
  const read = async (exchange: Exchange) =>
    exchange.answer(200, null, (await exchange.readBody(4)) ?? "");
  const left = await timersLeftBy(async () => {
    await serveHyper(hyper, { hostname: "127.0.0.1", port: 0, tls: null, handle: read });
    const request = new Request("http://127.0.0.1/", { method: "POST", body: "body" });
    expect(await (await serve(request)).text()).toBe("body");
  });
  expect(left).toEqual([]);
});
