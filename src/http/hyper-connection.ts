// A connection to a peer by Deno's own HTTP/2, which comes with fetch and its pool of connections. So that one connection is one
// socket all the same (of known ends, without the 40 ms for which Deno lets the kernel hold back small writes, and never a second
// one behind our back), fetch is given a Unix socket that takes one connection, and what passes there is carried to the peer.

import { mkdtemp, rm } from "node:fs/promises";
import net, { type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Hyper, HyperClient } from "../platform.ts";
import { ANSWER_BYTES_MAX, type Call, type Connection, type Reply } from "./connection.ts";

/** Paths of Unix sockets are short, those of temporary folders need not be. */
const FOLDER_CHARS_MAX = 64;
/** Whatever this is, the request goes to the Unix socket; a name would be looked up all the same. */
const ORIGIN = "http://127.0.0.1";

/** On a socket that need not be connected yet. Ends with it. */
export async function openHyper(hyper: Hyper, socket: Socket): Promise<Connection> {
  await connected(socket);
  const folder = await mkdtemp(
    join(tmpdir().length > FOLDER_CHARS_MAX ? "/tmp" : tmpdir(), "matrix-peer-"),
  );
  try {
    const path = join(folder, "peer");
    const door = await openDoor(path, socket);
    const client = hyper.createClient(path);
    socket.on("close", () => {
      door.close();
      client.close();
    });
    const connection = new HyperConnection(client, socket);
    await connection.hello();
    return connection;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function connected(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("encrypted" in socket ? "secureConnect" : "connect", () => resolve());
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("the peer hung up")));
  });
}

/** Carries the one connection that comes through it, both ways, until either end is gone. */
async function openDoor(path: string, socket: Socket): Promise<Server> {
  const door = net.createServer((near) => {
    door.close();
    near.on("error", () => undefined).on("close", () => socket.destroy());
    socket.on("close", () => near.destroy());
    near.pipe(socket).pipe(near);
  });
  await new Promise<void>((resolve, reject) => {
    door.on("error", reject);
    door.listen(path, resolve);
  });
  return door;
}

class HyperConnection implements Connection {
  readonly #client: HyperClient;
  readonly #socket: Socket;
  #isGoingAway = false;

  constructor(client: HyperClient, socket: Socket) {
    this.#client = client;
    this.#socket = socket;
  }

  get isOpen(): boolean {
    return !this.#isGoingAway && !this.#socket.destroyed;
  }

  /** That somebody takes connections does not say that it is a peer. */
  async hello(): Promise<void> {
    const { body } = await this.#client.fetch(`${ORIGIN}/healthz`, {});
    await body?.cancel();
  }

  request(path: string, headers: Readonly<Record<string, string>>, body: Uint8Array): Call {
    const canceling = new AbortController();
    return {
      reply: this.#send(path, headers, body, canceling.signal),
      cancel: () => canceling.abort(),
    };
  }

  async #send(
    path: string,
    headers: Readonly<Record<string, string>>,
    body: Uint8Array,
    signal: AbortSignal,
  ): Promise<Reply> {
    const init = {
      method: "POST",
      headers,
      body: body as Uint8Array<ArrayBuffer>,
      redirect: "manual",
      signal,
    } as const;
    try {
      const response = await this.#client.fetch(`${ORIGIN}${path}`, init);
      if (response.status === 200) return { status: 200, body: await wholeBody(response) };
      await response.body?.cancel();
      return { status: response.status, body: new Uint8Array(0) };
    } catch (thrown) {
      if (!isRefusal(thrown)) throw thrown;
      this.#isGoingAway = true;
      return "refused";
    }
  }
}

async function wholeBody(response: Response): Promise<Uint8Array> {
  const announced = Number(response.headers.get("content-length") ?? Number.NaN);
  if (announced > ANSWER_BYTES_MAX)
    throw new Error(`the answer is larger than ${ANSWER_BYTES_MAX} bytes`);
  const body = Buffer.from(await response.arrayBuffer());
  if (body.length !== announced) throw new Error("the answer is not as long as it said");
  return body;
}

/** Hyper would have had to connect again: the peer takes no more on this connection. Or the peer said so of this one request. */
function isRefusal(thrown: unknown): boolean {
  const { cause } = thrown as Error;
  return (
    cause instanceof Error &&
    /client error \(Connect\)|refused stream before processing/.test(cause.message)
  );
}
