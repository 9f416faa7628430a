// The binary exports traces and metrics in each protocol of OTLP, and refuses a protocol that does
// not exist before it starts anything.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { createServer as createHttp, type IncomingMessage } from "node:http";
import { createServer as createHttp2, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo, Server } from "node:net";
import { join } from "node:path";
import { matrix } from "../../parts/binary.ts";
import { withFolder } from "../../parts/folder.ts";
import { CORAL } from "../../parts/repository.ts";

interface Received {
  readonly path: string;
  readonly type: string;
  readonly key: string;
  readonly body: Buffer;
}

const read = async (from: AsyncIterable<Uint8Array>) => {
  const chunks: Uint8Array[] = [];
  for await (const chunk of from) chunks.push(chunk);
  return Buffer.concat(chunks);
};

function serveHttp(received: Received[]): Server {
  return createHttp(async (request: IncomingMessage, response) => {
    received.push({
      path: request.url ?? "",
      type: request.headers["content-type"] ?? "",
      key: String(request.headers["x-key"]),
      body: await read(request),
    });
    response.writeHead(200, { "content-type": request.headers["content-type"] }).end();
  });
}

/** Answers each call with an empty message: five bytes of a frame, and the status in trailers. */
function serveGrpc(received: Received[]): Server {
  const server = createHttp2();
  server.on("stream", async (stream: ServerHttp2Stream, headers) => {
    received.push({
      path: String(headers[":path"]),
      type: String(headers["content-type"]),
      key: String(headers["x-key"]),
      body: await read(stream),
    });
    stream.respond(
      { ":status": 200, "content-type": "application/grpc" },
      { waitForTrailers: true },
    );
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(Buffer.alloc(5));
  });
  return server;
}

async function exportBy(protocol: string, serve: (received: Received[]) => Server) {
  const received: Received[] = [];
  const server = serve(received);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const { port } = server.address() as AddressInfo;
  try {
    const finished = await withFolder((cwd) =>
      matrix(["drive", CORAL, "-o", "run", "--limit", "2", 'models.speaker.latency="1ms"'], {
        cwd,
        env: {
          OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
          OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
          OTEL_EXPORTER_OTLP_HEADERS: "x-key=secret",
          OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=lab",
        },
      }),
    );
    expect(finished.code).toBe(0);
    expect(finished.stderr).not.toContain("could not be exported");
  } finally {
    server.close();
  }
  for (const { key, body } of received) {
    expect(key).toBe("secret");
    // Names stand in the body as they are, in JSON and in Protobuf.
    expect(body.includes("deployment.environment.name")).toBe(true);
  }
  const has = (text: string) => received.some(({ body }) => body.includes(text));
  expect([has("gen_ai.provider.name"), has("matrix.task.duration_seconds")]).toEqual([true, true]);
  const seen = new Set(received.map(({ path, type }) => `${path} ${type}`));
  return [...seen].sort();
}

test("the binary exports by HTTP as JSON", async () => {
  expect(await exportBy("http/json", serveHttp)).toEqual([
    "/v1/metrics application/json",
    "/v1/traces application/json",
  ]);
});

test("the binary exports by HTTP as Protobuf", async () => {
  expect(await exportBy("http/protobuf", serveHttp)).toEqual([
    "/v1/metrics application/x-protobuf",
    "/v1/traces application/x-protobuf",
  ]);
});

test("the binary exports by gRPC", async () => {
  const service = (signal: string, name: string) =>
    `/opentelemetry.proto.collector.${signal}.v1.${name}Service/Export application/grpc`;
  expect(await exportBy("grpc", serveGrpc)).toEqual([
    service("metrics", "Metrics"),
    service("trace", "Trace"),
  ]);
});

test("a protocol that does not exist is refused before a run directory is made", () =>
  withFolder(async (cwd) => {
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9",
      OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: "udp",
    };
    const { code, stderr } = await matrix(["drive", CORAL, "-o", "run"], { cwd, env });
    expect(code).toBe(2);
    expect(stderr).toContain(
      'error: OTEL_EXPORTER_OTLP_TRACES_PROTOCOL is "udp", which is no protocol of OTLP\n' +
        "hint: set it to http/json, http/protobuf or grpc",
    );
    expect(existsSync(join(cwd, "run"))).toBe(false);
  }));

test("a run whose collector never answers ends by itself and says so", () =>
  withFolder(async (cwd) => {
    const server = createHttp(() => undefined);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
    const { port } = server.address() as AddressInfo;
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` };
    const args = ["drive", CORAL, "-o", "run", "--limit", "2", 'models.speaker.latency="1ms"'];
    const { code, stderr } = await matrix(args, { cwd, env });
    server.closeAllConnections();
    server.close();
    expect(code).toBe(0);
    for (const what of ["traces", "metrics"])
      expect(stderr).toContain(`${what} could not be exported to the end`);
  }));
