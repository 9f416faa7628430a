// TLS from the run's token alone: a process that has the token proves so in both directions, and
// one that has another token gets nowhere.

import { expect, test } from "bun:test";
import { createPublicKey, X509Certificate } from "node:crypto";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import tls from "node:tls";
import type { MatrixError } from "../../src/error.ts";
import { TLS_NAME, tlsIdentity } from "../../src/http/tls.ts";
import { ask, goodHeaders, openSession, spawnPeer, startPeer, TOKEN } from "./wire.ts";

const LONG_TOKEN = "a-token-of-another-process";

test("hosts with the same token speak over TLS, bodies of every size", async () => {
  await using peer = await spawnPeer({ token: LONG_TOKEN, scheme: "https" });
  using session = openSession(peer.url, { token: LONG_TOKEN, peer: "fixture" });
  for (const bytes of [0, 1, 100_000, 64 * 2 ** 20]) {
    expect(
      await session.request("echo", new Uint8Array(bytes), { timeoutMs: 50_000 }),
    ).toHaveLength(bytes);
  }
  expect(session.localAddress).toBe("127.0.0.1");
  peer.child.kill("SIGKILL");
  expect(await peer.said).toBe("");
});

test("a certificate needs no clock that is right, and no name of its host", async () => {
  const { ca, cert } = await tlsIdentity(LONG_TOKEN);
  const [authority, own] = [new X509Certificate(ca), new X509Certificate(cert)];
  expect(own.checkIssued(authority)).toBe(true);
  expect(own.verify(createPublicKey(ca))).toBe(true);
  expect([authority.ca, own.ca]).toEqual([true, false]);
  expect(own.subjectAltName).toBe(`DNS:${TLS_NAME}`);
  expect(new Date(own.validFrom).getFullYear()).toBeLessThan(2021);
  expect(new Date(own.validTo).getFullYear()).toBeGreaterThan(2100);
});

test("the limits of both certificates are critical: the authority signs certificates alone, and the other none", async () => {
  const { ca, cert } = await tlsIdentity(LONG_TOKEN);
  // Each in DER: the number of the extension, critical, and its value.
  const has = (pem: string, ...limits: readonly string[]) =>
    limits.map((limit) => new X509Certificate(pem).raw.includes(Buffer.from(limit, "hex")));
  const [basicConstraints, keyUsage] = ["0603551d130101ff", "0603551d0f0101ff"];
  const [noAuthority, authorityOfNone] = ["04023000", "040830060101ff020100"];
  const [signsCertificates, signsSessions] = ["040403020204", "040403020780"];
  expect(has(ca, basicConstraints + authorityOfNone, keyUsage + signsCertificates)).toEqual([
    true,
    true,
  ]);
  expect(has(cert, basicConstraints + noAuthority, keyUsage + signsSessions)).toEqual([true, true]);
});

test("a server with another token is found out before a request is sent", async () => {
  await using peer = await startPeer({ tls: true, token: LONG_TOKEN });
  using session = openSession(peer.url);
  const error = await session
    .request("echo", new Uint8Array(10), { timeoutMs: 50_000 })
    .catch((error: unknown) => error);
  expect(error).toMatchObject({
    ...{ code: "peer_failed", maybeActed: false, status: 401 },
    message: `echo to ${peer.url}: cannot connect: the peer has another token`,
  });
  expect(peer.refused).toEqual({});
  // With the right token the same certificate is accepted.
  using other = openSession(peer.url, { token: LONG_TOKEN });
  expect(await other.request("echo", new Uint8Array(10), { timeoutMs: 50_000 })).toHaveLength(10);
});

test("a server with another token is found out although it shows the right authority with its own certificate", async () => {
  const [right, wrong] = await Promise.all([tlsIdentity(TOKEN), tlsIdentity(LONG_TOKEN)]);
  const server = http2.createSecureServer({ key: wrong.key, cert: `${wrong.cert}\n${right.ca}` });
  server.on("tlsClientError", () => undefined).on("sessionError", () => undefined);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  using session = openSession(`https://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const error = await session
    .request("echo", new Uint8Array(10), { timeoutMs: 50_000 })
    .catch((error: unknown) => error);
  expect((error as MatrixError).maybeActed).toBe(false);
  server.close();
});

test("a client without the token is told 401 over TLS, whatever it trusts", async () => {
  await using peer = await startPeer({ tls: true });
  const headers = { ...goodHeaders(), authorization: "Bearer x" };
  expect(
    (await ask(peer.url, headers, new Uint8Array(3), { rejectUnauthorized: false })).status,
  ).toBe(401);
  expect(peer.refused).toEqual({ stranger: 1 });
});

test("a client in cleartext gets nowhere with a TLS server, nor a TLS client with one in cleartext", async () => {
  for (const [isSecure, scheme] of [
    [true, "http:"],
    [false, "https:"],
  ] as const) {
    await using peer = await startPeer({ tls: isSecure });
    using session = openSession(peer.url.replace(/^https?:/, scheme));
    const error = await session
      .request("echo", new Uint8Array(10), { timeoutMs: 50_000 })
      .catch((error: unknown) => error);
    expect((error as MatrixError).maybeActed).toBe(false);
  }
});

test("a client must speak TLS 1.3", async () => {
  await using peer = await startPeer({ tls: true });
  const connect = (maxVersion: tls.SecureVersion) =>
    new Promise<string | null>((resolve) => {
      const options = {
        port: peer.port,
        host: "127.0.0.1",
        rejectUnauthorized: false,
        ALPNProtocols: ["h2"],
        maxVersion,
      };
      const socket = tls
        .connect(options, () => resolve(socket.getProtocol()))
        .on("error", () => resolve(null));
    });
  expect([await connect("TLSv1.2"), await connect("TLSv1.3")]).toEqual([null, "TLSv1.3"]);
});

test("a client of TLS that does not ask for HTTP/2 is hung up on without a word", async () => {
  // A stranger could stay for ten minutes.
  await using peer = await startPeer({ tls: true, strangerTimeoutMs: 600_000 });
  const socket = tls.connect({ port: peer.port, host: "127.0.0.1", rejectUnauthorized: false });
  const said: Buffer[] = [];
  socket.on("error", () => undefined).on("data", (chunk: Buffer) => said.push(chunk));
  await new Promise((resolve) => socket.on("close", resolve));
  expect(Buffer.concat(said).toString()).toBe("");
});

test("a client that stalls in its handshake is put out in time", async () => {
  await using peer = await startPeer({ tls: true, strangerTimeoutMs: 300 });
  const socket = (await import("node:net"))
    .connect(peer.port, "127.0.0.1")
    .on("error", () => undefined)
    .resume();
  await new Promise((resolve) => socket.on("close", resolve));
});
