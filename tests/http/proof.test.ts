// Proofs of membership: what crosses a connection, and what another process can do with it.

import { expect, test } from "bun:test";
import net, { type AddressInfo } from "node:net";
import { createIdentity } from "../../src/http/identity.ts";
import {
  type Endpoints,
  Greeted,
  Greeter,
  isPeerId,
  metricsToken,
  serverOf,
} from "../../src/http/proof.ts";
import { ask, goodHeaders, openSession, startPeer, TOKEN } from "./wire.ts";

const HERE: Endpoints = {
  tls: false,
  clientAddress: "127.0.0.1",
  clientPort: 5000,
  serverPort: 7400,
};
const elsewhere = (more: Partial<Endpoints>): Endpoints => ({ ...HERE, ...more });

/** Greets, and tells whether the server takes the client for a member; null when it gave up. */
function greet({
  client = HERE,
  server = HERE,
  clientToken = TOKEN,
  from = "host",
  as = from,
}: {
  client?: Endpoints;
  server?: Endpoints;
  clientToken?: string;
  from?: string;
  as?: string;
}): boolean | null {
  const greeter = new Greeter(TOKEN, "driver");
  const greeted = new Greeted(clientToken, client);
  const greeting = greeter.greet(greeted.challenge, server) ?? "";
  expect(serverOf(greeting)).toBe("driver");
  const authorization = greeted.authorization(greeting, from, null);
  return authorization === null ? null : greeter.isMember(authorization, as, server);
}

test("both ends of a connection prove that they know the token", () => {
  expect(greet({})).toBe(true);
  expect(greet({ clientToken: "another" })).toBeNull();
});

test.each<[string, Partial<Endpoints>]>([
  ["another port of the client", { clientPort: 5001 }],
  ["another port of the server", { serverPort: 7401 }],
  ["another address of the client", { clientAddress: "::1" }],
  ["TLS at one end", { tls: true }],
])("a greeting that was passed on, with %s, is no proof on loopback", (_, more) => {
  expect(greet({ client: elsewhere(more) })).toBeNull();
});

test("addresses may be translated between machines, and inside TLS", () => {
  const remote = { clientAddress: "10.0.0.7" };
  const translated = { clientAddress: "192.168.0.1", clientPort: 1 };
  expect(greet({ client: elsewhere(remote), server: elsewhere(translated) })).toBe(true);
  const tls = { tls: true, ...translated };
  expect(greet({ client: elsewhere({ tls: true }), server: elsewhere(tls) })).toBe(true);
});

test("a loopback address within IPv6 is the same address", () => {
  expect(greet({ server: elsewhere({ clientAddress: "::ffff:127.0.0.1" }) })).toBe(true);
});

test("a proof is one sender's, on one connection, with one server", () => {
  const greeter = new Greeter(TOKEN, "driver");
  const greeted = new Greeted(TOKEN, HERE);
  const greeting = greeter.greet(greeted.challenge, HERE) ?? "";
  const authorization = greeted.authorization(greeting, "host", null) ?? "";
  for (let again = 0; again < 2; again++)
    expect([
      greeter.isMember(authorization, "host", HERE),
      greeter.isMember(authorization, "other", HERE),
      greeter.isMember(authorization, "host", elsewhere({ clientPort: 5001 })),
      greeter.isMember(authorization.replace("Matrix", "Bearer"), "host", HERE),
      greeter.isMember("Matrix ", "host", HERE),
      greeter.isMember("", "host", HERE),
      new Greeter(TOKEN, "driver").isMember(authorization, "host", HERE),
    ]).toEqual([true, false, false, false, false, false, false]);
});

test("an id with a fingerprint is used by the holder of its key alone, token or not", () => {
  const [own, other] = [createIdentity("host"), createIdentity("host")];
  const greeter = new Greeter(TOKEN, "driver");
  const isMember = (identity: typeof own | null, as: string) => {
    const greeted = new Greeted(TOKEN, HERE);
    const greeting = greeter.greet(greeted.challenge, HERE) ?? "";
    return greeter.isMember(greeted.authorization(greeting, as, identity) ?? "", as, HERE);
  };
  expect(isMember(own, own.id)).toBe(true);
  expect(isMember(other, own.id)).toBe(false);
  expect(isMember(null, own.id)).toBe(false);
  expect(isMember(null, "host")).toBe(true);
});

test("members of 4,097 connections are all members, and the oldest is proved again", () => {
  const greeter = new Greeter(TOKEN, "driver");
  const members = Array.from({ length: 4097 }, (_, index) => {
    const place = elsewhere({ clientPort: index + 1 });
    const greeted = new Greeted(TOKEN, place);
    const greeting = greeter.greet(greeted.challenge, place) ?? "";
    return { place, authorization: greeted.authorization(greeting, "host", null) ?? "" };
  });
  for (let round = 0; round < 2; round++)
    for (const { place, authorization } of members)
      expect(greeter.isMember(authorization, "host", place)).toBe(true);
});

test.each(["", "short", "a".repeat(15), "a".repeat(65), "has a space in it"])(
  "the challenge %j is not answered",
  (challenge) => {
    expect(new Greeter(TOKEN, "driver").greet(challenge, HERE)).toBeNull();
  },
);

test("ids have letters, digits, _ and -, 64 at most", () => {
  for (const id of ["a", "me-_9", "a".repeat(64), `a.${"b".repeat(15)}`])
    expect(isPeerId(id)).toBe(true);
  for (const id of ["", "a".repeat(65), "a b", "a.b", ".", "a/b", `.${"b".repeat(15)}`])
    expect(isPeerId(id)).toBe(false);
});

test("the token of metrics follows from the run's token and is no part of it", () => {
  expect(metricsToken(TOKEN)).toMatch(/^[\w-]{43}$/);
  expect(metricsToken(TOKEN)).toBe(metricsToken(TOKEN));
  expect(metricsToken(TOKEN)).not.toBe(metricsToken(`${TOKEN}x`));
  expect(metricsToken(TOKEN)).not.toContain(TOKEN);
});

/** A process that listens where a peer used to, and takes down all that it is sent. */
async function listenForSecrets(answer: (socket: net.Socket, bytes: Buffer) => void) {
  const chunks: Buffer[] = [];
  const server = net.createServer((socket) =>
    socket
      .on("error", () => undefined)
      .on("data", (bytes: Buffer) => {
        chunks.push(bytes);
        answer(socket, bytes);
      }),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, heard: () => Buffer.concat(chunks), server };
}

test("who listens in the place of a peer hears neither the token nor the body of a request", async () => {
  // SETTINGS, and the greeting answered with status 200 and nothing.
  const settings = Buffer.from("000000040000000000", "hex");
  const status200 = Buffer.from("000001010500000001" + "88", "hex");
  let greeted = false;
  const { url, heard, server } = await listenForSecrets((socket, bytes) => {
    if (!greeted) socket.write(settings);
    greeted = true;
    if (bytes.includes(Buffer.from("000000", "hex"))) socket.write(status200);
  });
  using session = openSession(url);
  await expect(
    session.request("echo", Buffer.from("secret body"), { timeoutMs: 300 }),
  ).rejects.toMatchObject({ code: "peer_failed", maybeActed: false });
  expect(heard().length).toBeGreaterThan(24);
  for (const secret of [TOKEN, "secret body", "authorization", "Bearer"])
    expect(heard().includes(secret)).toBe(false);
  server.close();
});

test("a greeting that a listener passes on to a living peer opens nothing for it", async () => {
  await using peer = await startPeer();
  const chunks: Buffer[] = [];
  const relay = net.createServer((near) => {
    const far = net.connect(peer.port, "127.0.0.1").on("error", () => undefined);
    near.on("error", () => undefined).on("data", (bytes: Buffer) => chunks.push(bytes));
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
  using session = openSession(`http://127.0.0.1:${(relay.address() as AddressInfo).port}`);
  await expect(
    session.request("echo", Buffer.from("secret body"), { timeoutMs: 5000 }),
  ).rejects.toMatchObject({ code: "peer_failed", status: 401 });
  expect(Buffer.concat(chunks).includes("secret body")).toBe(false);
  expect(peer.refused).toEqual({});
  relay.close();
});

test("a session refuses a member that answers in the place of another", async () => {
  await using peer = await startPeer({ self: "somebody" });
  using session = openSession(peer.url);
  await expect(
    session.request("echo", new Uint8Array(1), { timeoutMs: 5000 }),
  ).rejects.toMatchObject({
    status: 421,
    message: expect.stringContaining("cannot connect: somebody answers there"),
  });
  expect(peer.refused).toEqual({});
});

test("a member of the run cannot make a request under the id of another one", async () => {
  await using peer = await startPeer({
    routes: { who: { bytesMax: 10, run: (_, from) => Buffer.from(from) } },
  });
  const [own, other] = [createIdentity("host"), createIdentity("host")];
  const who = async (self: string, identity: typeof own | null) => {
    using session = openSession(peer.url, { self, identity });
    return await session.request("who", new Uint8Array(1), { timeoutMs: 5000 });
  };
  expect(Buffer.from(await who(own.id, own)).toString()).toBe(own.id);
  await expect(who(own.id, other)).rejects.toMatchObject({ status: 401 });
  await expect(who(own.id, null)).rejects.toMatchObject({ status: 401 });
  expect(peer.refused).toEqual({ stranger: 2 });
});

test("the run's token itself opens nothing", async () => {
  await using peer = await startPeer();
  const authorization = `Bearer ${TOKEN}`;
  expect((await ask(peer.url, { ...goodHeaders(), authorization })).status).toBe(401);
});
