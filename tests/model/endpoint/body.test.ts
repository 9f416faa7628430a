// Bodies as servers send them: the end of a stream in a segment of its own or never, compressed
// bodies, and connections that the server closes while they are idle.

import { expect, test } from "bun:test";
import { IncomingMessage } from "node:http";
import { type AddressInfo, createServer, Socket } from "node:net";
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { MatrixError } from "../../../src/error.ts";
import { readEvents, readText, unbounded } from "../../../src/model/endpoint/body.ts";
import { createConnection, type Send } from "../../../src/model/endpoint/connection.ts";
import { until } from "../../parts/until.ts";

const HEAD =
  "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
const END = "0\r\n\r\n";
const chunkOf = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;

/** A server on which a test writes the bytes of each answer itself. */
class RawServer implements AsyncDisposable {
  /** All connections, and those that are open. */
  accepted = 0;
  readonly open = new Set<Socket>();
  readonly #server;

  /** `answer` is called once for each request, which must have the body "{}". */
  constructor(answer: (socket: Socket, nth: number) => void) {
    let requests = 0;
    this.#server = createServer((socket) => {
      this.accepted++;
      this.open.add(socket);
      let text = "";
      socket.on("error", () => undefined);
      socket.on("close", () => this.open.delete(socket));
      socket.on("data", (bytes) => {
        text += bytes;
        if (!text.endsWith("\r\n\r\n{}")) return;
        text = "";
        answer(socket, requests++);
      });
    }).listen(0, "127.0.0.1");
  }

  async ask(send: Send): Promise<Awaited<ReturnType<Send>>> {
    await until(() => this.#server.listening, "the server listens");
    const url = new URL(`http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`);
    const { signal } = new AbortController();
    return send(url, { method: "POST", headers: {}, body: "{}", signal });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.open) socket.destroy();
    this.#server.close();
  }
}

const connect = () => createConnection({ label: "http://a", ip: null, connectTimeoutMs: 1000 });

async function eventsOf(server: RawServer, send: Send): Promise<string[]> {
  const events: string[] = [];
  for await (const event of (await server.ask(send)).events()) events.push(event);
  return events;
}

/** Writes each piece in a segment of its own. */
function writeApart(socket: Socket, pieces: readonly string[]): void {
  const [first, ...rest] = pieces;
  if (first !== undefined) socket.write(first, () => setTimeout(() => writeApart(socket, rest), 2));
}

test("one connection is enough for many streams whose ends come in a segment of their own", async () => {
  await using server = new RawServer((socket) =>
    writeApart(socket, [
      HEAD + chunkOf("data: 1\n\n"),
      chunkOf("data: 2\n\n"),
      chunkOf("data: [DONE]\n\n"),
      END,
    ]),
  );
  const send = connect();
  for (let i = 0; i < 20; i++) expect(await eventsOf(server, send)).toEqual(["1", "2"]);
  expect(server.accepted).toBe(1);
});

test("a stream that never ends after [DONE] is whole, and its connection is closed", async () => {
  for (const rest of ["", chunkOf("data: 3\n\n"), "not a chunk"]) {
    await using server = new RawServer((socket) =>
      writeApart(socket, [HEAD + chunkOf("data: 1\n\n"), chunkOf("data: [DONE]\n\n"), rest]),
    );
    const send = connect();
    for (let i = 0; i < 2; i++) expect(await eventsOf(server, send)).toEqual(["1"]);
    await until(() => server.open.size === 0, "no connection is left open");
    expect(server.accepted).toBe(2);
  }
});

test("events are read without a last empty line, with spaces around [DONE], and without empty ones", async () => {
  for (const [text, events] of [
    ["data: 1\n\ndata: 2", ["1", "2"]],
    ["data: 1\n\ndata: 2\n", ["1", "2"]],
    ["data: 1\n\ndata: [DONE]", ["1"]],
    ["data: 1\n\ndata:[DONE] \n\ndata: 2\n\n", ["1"]],
    ["data: \n\n: ping\n\ndata: 1\n\ndata:\n\n", ["1"]],
    ["data: 1\r\n\r\ndata: 2\r\n\r\n", ["1", "2"]],
    ["event: x\nid: 5\ndata: 1\n\n", ["1"]],
    ["", []],
  ] as const) {
    await using server = new RawServer((socket) =>
      socket.write(HEAD + (text === "" ? "" : chunkOf(text)) + END),
    );
    expect(await eventsOf(server, connect())).toEqual([...events]);
  }
});

test("a stream whose connection breaks after [DONE] is whole", async () => {
  await using server = new RawServer((socket) => {
    socket.end(HEAD + chunkOf("data: 1\n\ndata: [DONE]\n\n"));
  });
  expect(await eventsOf(server, connect())).toEqual(["1"]);
});

test("a reader that stops in the middle of a stream closes its connection", async () => {
  await using server = new RawServer((socket) => socket.write(HEAD + chunkOf("data: 1\n\n")));
  for await (const event of (await server.ask(connect())).events()) {
    expect(event).toBe("1");
    break;
  }
  await until(() => server.open.size === 0, "the connection is closed");
});

const encodings = {
  gzip: gzipSync,
  "x-gzip": gzipSync,
  GZIP: gzipSync,
  deflate: deflateSync,
  br: brotliCompressSync,
  zstd: zstdCompressSync,
};
for (const [encoding, compress] of Object.entries(encodings)) {
  test(`an answer in ${encoding} is decoded, as text and as events`, async () => {
    const bytes = compress(Buffer.from("data: ż\n\ndata: [DONE]\n\n"));
    const head = `HTTP/1.1 200 OK\r\ncontent-encoding: ${encoding}\r\ncontent-length: ${bytes.length}\r\n\r\n`;
    await using server = new RawServer((socket) =>
      socket.write(Buffer.concat([Buffer.from(head), bytes])),
    );
    const send = connect();
    expect(await (await server.ask(send)).text()).toBe("data: ż\n\ndata: [DONE]\n\n");
    expect(await eventsOf(server, send)).toEqual(["ż"]);
    expect(server.accepted).toBe(1);
  });
}

test("the events of a compressed stream arrive when the server flushes them", async () => {
  const bytes = gzipSync(Buffer.from("data: 1\n\ndata: 2\n\n"), {
    finishFlush: 2, // Z_SYNC_FLUSH: the stream goes on
  });
  await using server = new RawServer((socket) => {
    socket.write("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n");
    socket.write(`${bytes.length.toString(16)}\r\n`);
    socket.write(bytes);
    socket.write("\r\n");
  });
  const events = (await server.ask(connect())).events();
  expect([(await events.next()).value, (await events.next()).value]).toEqual(["1", "2"]);
  await events.return(undefined);
});

test("a compressed body that is damaged or breaks off is lost, as text and as events", async () => {
  const whole = gzipSync(Buffer.from("data: 1\n\n".repeat(1000)));
  for (const bytes of [whole.subarray(0, 20), Buffer.from("not gzip at all")]) {
    const head = `HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: ${bytes.length}\r\n\r\n`;
    await using server = new RawServer((socket) =>
      socket.write(Buffer.concat([Buffer.from(head), bytes])),
    );
    const lost = expect.objectContaining({ code: "model_lost" });
    await expect((await server.ask(connect())).text()).rejects.toEqual(lost);
    await expect(eventsOf(server, connect())).rejects.toEqual(lost);
  }
});

test.each([
  ["with the error of its connection", new Error("reset"), "Error: reset"],
  ["without an error", undefined, "the connection was closed"],
])("a text that breaks off %s is lost, and says why", async (_, error, why) => {
  const message = new IncomingMessage(new Socket());
  const lost = (cause: unknown) => new MatrixError("model_lost", String(cause));
  const reading = readText(message, { bytesMax: 10, lost, reach: unbounded });
  message.push("half");
  message.destroy(error);
  await expect(reading).rejects.toMatchObject({ code: "model_lost", message: why });
});

test.each([
  [10, "0123456789"],
  [9, null],
])(
  "a limit of %d bytes counts every part of a body of 10, as text and as events",
  async (bytesMax, whole) => {
    const limits = {
      bytesMax,
      lost: (cause: unknown) => new MatrixError("model_lost", `${cause}`),
      reach: unbounded,
    };
    const messageOf = (...parts: readonly string[]) => {
      const message = new IncomingMessage(new Socket());
      for (const part of [...parts, null]) message.push(part);
      return message;
    };
    const textOf = () => readText(messageOf("01234", "56789"), limits);
    const eventsOfText = async () => {
      const events: string[] = [];
      for await (const event of readEvents(messageOf("data", ": 12\n\n"), limits))
        events.push(event);
      return events;
    };
    if (whole !== null) {
      expect(await textOf()).toBe(whole);
      expect(await eventsOfText()).toEqual(["12"]);
      return;
    }
    await expect(textOf()).rejects.toMatchObject({ code: "model_answer_too_large" });
    await expect(eventsOfText()).rejects.toMatchObject({ code: "model_answer_too_large" });
  },
);

test("a small body that decodes to more than the limit is too large", async () => {
  const bytes = gzipSync(Buffer.alloc(2 ** 20 + 1));
  const head = `HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: ${bytes.length}\r\n\r\n`;
  await using server = new RawServer((socket) =>
    socket.write(Buffer.concat([Buffer.from(head), bytes])),
  );
  const send = createConnection({
    ...{ label: "http://a", ip: null, connectTimeoutMs: 1000, bodyBytesMax: 2 ** 20 },
  });
  await expect((await server.ask(send)).text()).rejects.toMatchObject({
    code: "model_answer_too_large",
    message: "the answer is larger than 1 MiB",
  });
});

const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

test("a kept connection that the server closes under a request costs no try", async () => {
  for (const close of ["destroy", "resetAndDestroy"] as const) {
    const used = new Set<Socket>();
    await using server = new RawServer((socket) => {
      if (used.has(socket)) socket[close]();
      else socket.write(OK);
      used.add(socket);
    });
    const send = connect();
    for (let i = 1; i <= 3; i++) {
      expect(await (await server.ask(send)).text()).toBe("ok");
      // The new connection is not kept, so a second one that is idle cannot break as well.
      expect(server.accepted).toBe(i);
    }
  }
});

test("a request that breaks every connection is sent twice at most", async () => {
  let requests = 0;
  await using server = new RawServer((socket, nth) => {
    requests++;
    if (nth === 0) socket.write(OK);
    else socket.destroy();
  });
  const send = connect();
  await (await server.ask(send)).text();
  for (const total of [3, 4]) {
    await expect(server.ask(send)).rejects.toMatchObject({ code: "model_lost" });
    expect(requests).toBe(total);
  }
});

test("a body waits for its memory before it reads on, as text and as events", async () => {
  for (const read of ["text", "events"] as const) {
    const message = new IncomingMessage(new Socket());
    const asked: number[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const limits = {
      bytesMax: 100,
      lost: (cause: unknown) => new MatrixError("model_lost", `${cause}`),
      reach: (bytes: number) => {
        asked.push(bytes);
        return asked.length === 1 ? promise : null;
      },
    };
    const reading =
      read === "text"
        ? readText(message, limits)
        : (async () => (await readEvents(message, limits).next()).value)();
    message.push("data: ");
    await until(() => asked.length === 1, "the first bytes are asked for");
    message.push("12\n\n");
    message.push(null);
    await new Promise((resolve) => setImmediate(resolve));
    expect(asked).toEqual([6]);
    resolve();
    expect(await reading).toBe(read === "text" ? "data: 12\n\n" : "12");
    expect(asked).toEqual([6, 10]);
  }
});

test("the memory of events is that of the bytes since the last one", async () => {
  const message = new IncomingMessage(new Socket());
  const asked: number[] = [];
  const limits = {
    bytesMax: 100,
    lost: (cause: unknown) => new MatrixError("model_lost", `${cause}`),
    reach: (bytes: number) => {
      asked.push(bytes);
      return null;
    },
  };
  const events = readEvents(message, limits);
  message.push("data: 1\n\n");
  expect((await events.next()).value).toBe("1");
  message.push("data: 23\n\n");
  expect((await events.next()).value).toBe("23");
  expect(asked).toEqual([9, 10]);
  message.push(null);
});
