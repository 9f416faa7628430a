// Proxies that the environment names, and the hosts that it leaves out.

import { expect, test } from "bun:test";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createConnection } from "../../../src/model/endpoint/connection.ts";
import { proxyFor } from "../../../src/model/endpoint/proxy.ts";
import { TestEndpoint } from "../endpoint.ts";

const at = (url: string, env: Readonly<Record<string, string>>, ip: string | null = null) =>
  proxyFor(new URL(url), ip, env);

test("each protocol has its variable, ALL_PROXY stands for both, and lower case goes first", () => {
  const env = { HTTP_PROXY: "http://p:1", HTTPS_PROXY: "http://s:2", ALL_PROXY: "http://all:3" };
  expect([at("http://a/", env), at("https://a/", env)]).toEqual(["http://p:1", "http://s:2"]);
  expect(at("https://a/", { ALL_PROXY: "all:3" })).toBe("http://all:3");
  expect(at("https://a/", { HTTP_PROXY: "http://p:1" })).toBeNull();
  expect(at("http://a/", { ...env, http_proxy: "http://low:4" })).toBe("http://low:4");
  expect(at("http://a/", { HTTP_PROXY: "" })).toBeNull();
  expect(at("http://a/", {})).toBeNull();
});

const excluded: readonly (readonly [list: string, url: string, isOut: boolean])[] = [
  ["*", "http://a/", true],
  ["a", "http://a/", true],
  ["A.Example", "http://a.example/", true],
  ["b.example", "http://a.b.example/", true],
  [".b.example", "http://a.b.example/", true],
  ["*.b.example", "http://a.b.example/", true],
  ["b.example", "http://ab.example/", false],
  ["a, b.example", "http://b.example/", true],
  ["a b.example", "http://b.example/", true],
  ["a:8000", "http://a:8000/", true],
  ["a:8000", "http://a:8001/", false],
  ["a:80", "http://a/", true],
  ["a:443", "https://a/", true],
  ["a:80", "https://a/", false],
  ["10.0.0.1", "http://10.0.0.1:9/", true],
  ["10.0.0.1:9", "http://10.0.0.1:9/", true],
  ["10.0.0.1:8", "http://10.0.0.1:9/", false],
  ["10.0.0.2", "http://10.0.0.1/", false],
  ["10.0.0.0/8", "http://10.255.255.255/", true],
  ["10.0.0.0/8", "http://11.0.0.0/", false],
  ["10.0.0.0/31", "http://10.0.0.1/", true],
  ["10.0.0.0/31", "http://10.0.0.2/", false],
  ["10.0.0.0/33", "http://10.0.0.1/", false],
  ["10.0.0.0/8", "http://ten.example/", false],
  ["0.0.0.0/0", "http://[::1]/", false],
  ["fd00::/8", "http://[fd12::1]/", true],
  ["::1", "http://[::1]:9/", true],
  ["[::1]:9", "http://[::1]:9/", true],
  ["[::1]:8", "http://[::1]:9/", false],
  ["x/8", "http://x/", false],
  [".", "http://a/", false],
  ["", "http://a/", false],
];
for (const [list, url, isOut] of excluded) {
  test(`NO_PROXY="${list}" ${isOut ? "leaves out" : "does not leave out"} ${url}`, () => {
    const env = { ALL_PROXY: "http://p:1", NO_PROXY: list };
    expect(at(url, env)).toBe(isOut ? null : "http://p:1");
  });
}

test("NO_PROXY also reads the address of a server that is known by its name", () => {
  const env = { ALL_PROXY: "http://p:1", no_proxy: "10.0.0.0/8" };
  expect(at("http://vllm.svc/", env, "10.1.2.3")).toBeNull();
  expect(at("http://vllm.svc/", env, "11.1.2.3")).toBe("http://p:1");
});

const post = {
  method: "POST",
  headers: {},
  body: "{}",
  signal: new AbortController().signal,
} as const;

test("a request goes over its proxy, also to a server whose address is known", async () => {
  await using endpoint = await TestEndpoint.start();
  const asked: (string | undefined)[] = [];
  const proxy = createServer((request, response) => {
    asked.push(request.url, request.headers["proxy-authorization"]);
    response.end("proxied");
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => proxy.once("listening", resolve));
  const { port } = proxy.address() as AddressInfo;
  const env = { ALL_PROXY: `http://u:p@127.0.0.1:${port}` };
  for (const ip of [null, "127.0.0.9"]) {
    const send = createConnection({ label: "a", ip, connectTimeoutMs: 1000, env });
    expect(await (await send(new URL("http://vllm.svc:9/v1"), post)).text()).toBe("proxied");
  }
  expect(asked).toEqual(
    Array.from({ length: 2 }, () => ["http://vllm.svc:9/v1", `Basic ${btoa("u:p")}`]).flat(),
  );
  const direct = createConnection({
    ...{ label: "a", ip: null, connectTimeoutMs: 1000 },
    env: { ...env, NO_PROXY: `127.0.0.0/8` },
  });
  await (await direct(new URL(endpoint.url), post)).text();
  expect([endpoint.asked.length, asked.length]).toEqual([1, 4]);
  proxy.close();
});

test("a proxy that is no HTTP proxy is refused by its name, without its password", async () => {
  const env = { ALL_PROXY: "socks5://u:secret@127.0.0.1:1080" };
  const send = createConnection({ label: "a", ip: null, connectTimeoutMs: 1000, env });
  await expect(send(new URL("http://vllm.svc/v1"), post)).rejects.toMatchObject({
    code: "model_denied",
    message:
      "the proxy socks5://127.0.0.1:1080 for vllm.svc cannot be used: only http:// and https:// " +
      "proxies are supported; NO_PROXY leaves a host out",
  });
});
