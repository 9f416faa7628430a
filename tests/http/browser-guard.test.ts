// Which requests a server on loopback takes for those of a foreign web page.

import { expect, test } from "bun:test";
import { refuseForeignPages } from "../../src/http/browser-guard.ts";

async function asked(hostname: string, headers: Record<string, string>) {
  const fetch = refuseForeignPages(hostname, () => new Response("served"));
  const response = await fetch(new Request("http://127.0.0.1/", { headers }));
  return { status: response.status, text: await response.text() };
}

test.each([
  ["127.0.0.1", "127.0.0.1:8000"],
  ["127.0.0.1", "localhost"],
  ["127.0.0.1", "LOCALHOST.:8000"],
  ["127.0.0.1", "app.localhost:8000"],
  ["127.0.0.1", "[::1]:8000"],
  ["127.0.0.1", "10.0.0.7:8000"],
  ["localhost", "127.0.0.1"],
  ["Node7", "node7:8000"],
  ["0.0.0.0", "node7.cluster.example:8000"],
  ["::", "anything"],
])("a server at %s is reached by the host %s", async (hostname, host) => {
  expect(await asked(hostname, { host })).toEqual({ status: 200, text: "served" });
});

test.each([
  ["127.0.0.1", "attacker.example"],
  ["127.0.0.1", "attacker.example:8000"],
  ["127.0.0.1", "localhost.attacker.example"],
  ["127.0.0.1", "127.0.0.1.attacker.example"],
  ["127.0.0.1", "notlocalhost"],
  ["127.0.0.1", "a:b:c"],
  ["node7", "node8"],
])("a server at %s refuses the host %s, and says what to use", async (hostname, host) => {
  const name = host.replace(/:8000$/, "");
  expect(await asked(hostname, { host })).toEqual({
    status: 403,
    text: `the name ${name} is not one of this server: use localhost, or its address\n`,
  });
});

test("a request without Host and Origin comes from no browser", async () => {
  expect((await asked("127.0.0.1", {})).status).toBe(200);
});

test.each(["http://localhost:3000", "http://127.0.0.1", "https://[::1]:1"])(
  "a page of this machine is served: %s",
  async (origin) => {
    expect((await asked("127.0.0.1", { host: "localhost:8000", origin })).status).toBe(200);
  },
);

test("a page that the server's own address gave is served", async () => {
  const own = { host: "node7:8000", origin: "http://node7:8000" };
  expect((await asked("0.0.0.0", own)).status).toBe(200);
  expect((await asked("0.0.0.0", { ...own, origin: "http://node8:8000" })).status).toBe(403);
});

test.each(["https://attacker.example", "http://203.0.113.5", "null", "file://"])(
  "a page of another origin is refused: %s",
  async (origin) => {
    expect(await asked("127.0.0.1", { host: "127.0.0.1:8000", origin })).toEqual({
      status: 403,
      text: `pages of ${origin} may not use this server\n`,
    });
  },
);
