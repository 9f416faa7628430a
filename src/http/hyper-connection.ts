// A connection to a peer by Deno's own HTTP/2, which comes as fetch with a pool of connections. A
// connection here must be one socket: it has known ends, its small writes are not held back for the
// 40 ms that Deno's own sockets allow, and no second one is opened unnoticed. So fetch is given a
// Unix socket that takes one connection, and everything on it is carried to the peer.

import { mkdtemp, rm } from "node:fs/promises";
import net, { type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Hyper, HyperClient } from "../platform.ts";
import { ANSWER_BYTES_MAX, type Call, type Connection, type Reply } from "./connection.ts";

/** Paths of Unix sockets must be short; those of temporary folders can be long. */
const FOLDER_CHARS_MAX = 64;
/** Requests go to the Unix socket whatever this is, but a name would still be looked up. */
const ORIGIN = "http://127.0.0.1";

/** Opens a connection on a socket that may still be connecting. The connection ends with it. */
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

/** Carries one connection, in both directions, until either end closes. */
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

  /** Makes one request, because a server that accepts connections may still not be a peer. */
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
  if (body.length !== announced) throw new Error("the answer has not the length that it announced");
  return body;
}

/**
 * True when the peer has certainly not acted: hyper would have had to connect again, or the peer
 * refused this one request.
 */
function isRefusal(thrown: unknown): boolean {
  const { cause } = thrown as Error;
  return (
    cause instanceof Error &&
    /client error \(Connect\)|refused stream before processing/.test(cause.message)
  );
}
