// Strangers that flood a peer's server over TLS, each in its own way: `bun flood.ts KIND PORT`.
// They have no token. They connect again as soon as they are put out.

import tls, { type TLSSocket } from "node:tls";

const CONNECTIONS = 64;
/** Bytes that wait in a connection before a stranger stops writing. */
const WAITING_BYTES_MAX = 2 ** 16;
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const [DATA, HEADERS, RST_STREAM, SETTINGS, PING, CONTINUATION] = [0, 1, 3, 4, 6, 9];
const [END_STREAM, END_HEADERS] = [1, 4];

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

function field(name: string, value: string): Buffer {
  const text = (of: string): Buffer => Buffer.concat([Buffer.of(of.length), Buffer.from(of)]);
  return Buffer.concat([Buffer.of(0), text(name), text(value)]);
}

/** :method POST, :scheme https, :path /hello, and a challenge that is answered. */
const GREETING = Buffer.concat([
  Buffer.from("838704062f68656c6c6f", "hex"),
  field("matrix-protocol", "2"),
  field("matrix-challenge", "a".repeat(24)),
  field("content-length", "0"),
]);
const NO_WINDOW = frame(SETTINGS, 0, 0, Buffer.from("000400000000", "hex"));
const PLAIN = frame(SETTINGS, 0, 0, Buffer.alloc(0));

type Write = (stream: number) => Buffer;

/** The first bytes of a connection, and what is written again and again. */
const KINDS: Readonly<Record<string, { readonly first: Buffer; readonly more: Write }>> = {
  "no windows": { first: NO_WINDOW, more: (stream) => frame(HEADERS, 5, stream, GREETING) },
  "many requests": { first: PLAIN, more: (stream) => frame(HEADERS, 5, stream, GREETING) },
  "rapid reset": {
    first: PLAIN,
    more: (stream) =>
      Buffer.concat([
        frame(HEADERS, END_STREAM | END_HEADERS, stream, GREETING),
        frame(RST_STREAM, 0, stream, Buffer.from("00000008", "hex")),
      ]),
  },
  "headers without end": {
    first: Buffer.concat([PLAIN, frame(HEADERS, 0, 1, GREETING)]),
    more: () => frame(CONTINUATION, 0, 1, field("x", "y".repeat(40))),
  },
  pings: { first: PLAIN, more: () => frame(PING, 0, 0, Buffer.alloc(8)) },
  settings: { first: PLAIN, more: () => PLAIN },
  "slow bodies": {
    first: Buffer.concat([PLAIN, frame(HEADERS, END_HEADERS, 1, GREETING)]),
    more: () => frame(DATA, 0, 1, Buffer.of(0)),
  },
  handshakes: { first: Buffer.alloc(0), more: () => Buffer.alloc(0) },
};

const [kind = "", port = ""] = process.argv.slice(2);
const flood = KINDS[kind];
if (flood === undefined) throw new Error(`no such flood: ${kind}`);
let connections = 0;
for (let number = 0; number < CONNECTIONS; number++) connect(flood);
setInterval(() => console.log(connections), 1000);

function connect({ first, more }: { readonly first: Buffer; readonly more: Write }): void {
  let stream = 1;
  const options = { port: Number(port), host: "127.0.0.1", ALPNProtocols: ["h2"] };
  const socket: TLSSocket = tls.connect({ ...options, rejectUnauthorized: false }, () => {
    connections++;
    if (kind === "handshakes") socket.destroy();
    else {
      socket.write(Buffer.concat([PREFACE, first]));
      pour();
    }
  });
  const pour = (): void => {
    for (let left = 64; left > 0 && socket.writableLength < WAITING_BYTES_MAX; left--) {
      socket.write(more(stream));
      stream += 2;
    }
    if (!socket.destroyed) setTimeout(pour, kind === "slow bodies" ? 500 : 0);
  };
  socket.on("error", () => undefined).on("close", () => connect({ first, more }));
  if (kind !== "no windows") socket.resume();
}
