// Certificates: the authority that an endpoint is checked with, and the certificate of the client.

import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { TLS_NAME, tlsIdentity } from "../../../src/http/tls.ts";
import { createConnection } from "../../../src/model/endpoint/connection.ts";
import { readCertificates } from "../../../src/model/endpoint/pool.ts";
import { withFolder } from "../../parts/folder.ts";

const post = {
  method: "POST",
  headers: {},
  body: "{}",
  signal: new AbortController().signal,
} as const;

/** A server that answers only clients with a certificate of its own authority. */
async function withServer<T>(use: (port: number) => Promise<T>): Promise<T> {
  const { ca, cert, key } = await tlsIdentity("a token of the server");
  const mutual = { ca, cert, key, requestCert: true, rejectUnauthorized: true };
  const server = createServer(mutual, (_, response) => response.end("mutual"));
  server.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  try {
    return await use((server.address() as AddressInfo).port);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test("an authority and a certificate of the client open an endpoint that demands them", () =>
  withFolder(async (folder) => {
    const identity = await tlsIdentity("a token of the server");
    const files = { ca: "ca.pem", cert: "client.pem", key: "key.pem" };
    for (const name of ["ca", "cert", "key"] as const)
      await writeFile(join(folder, files[name]), identity[name]);
    const at = (name: keyof typeof files) => join(folder, files[name]);
    await withServer(async (port) => {
      const url = new URL(`https://${TLS_NAME}:${port}/v1`);
      const ask = async (tls: Parameters<typeof readCertificates>[0]) => {
        const send = createConnection({ label: "a", ip: "127.0.0.1", connectTimeoutMs: 1000, tls });
        return (await send(url, post)).text();
      };
      expect(await ask({ ca: at("ca"), cert: at("cert"), key: at("key") })).toBe("mutual");
      await expect(ask(null)).rejects.toMatchObject({ name: "MatrixError" });
      await expect(ask({ ca: at("ca") })).rejects.toMatchObject({ name: "MatrixError" });
    });
  }));

test("files of certificates are read, and one that cannot be read is named", () =>
  withFolder(async (folder) => {
    const ca = join(folder, "ca.pem");
    await writeFile(ca, "PEM");
    expect(readCertificates({ ca })).toEqual({ ca: Buffer.from("PEM") });
    expect(readCertificates(null)).toEqual({});
    const missing = join(folder, "missing.pem");
    expect(() => readCertificates({ ca, key: missing })).toThrow(
      expect.objectContaining({
        code: "recipe_invalid",
        message: expect.stringContaining(`cannot read ${missing}: `),
      }),
    );
  }));
