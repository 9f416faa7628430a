// A sandbox starts over each way that leads to the Docker engine: TCP, TLS with certificates of
// both sides, and a context. The engine is the real one, behind a proxy that only passes bytes on.

import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import { reportDocker } from "../../../src/sandbox/docker/client.ts";
import { dockerEndpoint } from "../../../src/sandbox/docker/endpoint.ts";
import { DockerSandboxes } from "../../../src/sandbox/docker/sandboxes.ts";
import { exec } from "../../../src/sandbox/exec.ts";
import { Lease } from "../../../src/sandbox/lease.ts";
import { withFolder } from "../../parts/folder.ts";
import { quiet } from "../../parts/quiet.ts";
import { SPEC } from "../../parts/sandbox-spec.ts";
import { docker } from "./engines.ts";

/** Writes a context as `docker context create` does. */
async function writeContext(folder: string, name: string, host: string): Promise<string> {
  const id = createHash("sha256").update(name).digest("hex");
  await mkdir(join(folder, "contexts/meta", id), { recursive: true });
  await writeFile(
    join(folder, "contexts/meta", id, "meta.json"),
    JSON.stringify({ Name: name, Endpoints: { docker: { Host: host } } }),
  );
  return join(folder, "contexts/tls", id, "docker");
}

describe.skipIf(docker.image === null)("a sandbox by a Docker engine", () => {
  test(
    "a sandbox starts over TCP, and answers",
    () =>
      withProxy(createServer({ allowHalfOpen: true }, passOn), (port) =>
        expectSandbox({ DOCKER_HOST: `tcp://127.0.0.1:${port}` }),
      ),
    60_000,
  );

  test(
    "a sandbox starts over TLS, and answers",
    () =>
      withFolder(async (folder) => {
        const certificates = await makeCertificates(folder);
        const server = createTlsServer(
          { ...certificates, allowHalfOpen: true, requestCert: true, rejectUnauthorized: true },
          passOn,
        );
        await withProxy(server, (port) =>
          expectSandbox({
            DOCKER_HOST: `tcp://127.0.0.1:${port}`,
            DOCKER_TLS_VERIFY: "1",
            DOCKER_CERT_PATH: folder,
          }),
        );
      }),
    60_000,
  );

  test(
    "a sandbox starts by a context, and answers",
    () =>
      withFolder(async (folder) => {
        const { address } = dockerEndpoint(process.env);
        await writeContext(folder, "lab", address);
        await expectSandbox({ DOCKER_CONFIG: folder, DOCKER_CONTEXT: "lab" });
      }),
    60_000,
  );
});

async function expectSandbox(env: Readonly<Record<string, string>>): Promise<void> {
  const before = { ...process.env };
  Object.assign(process.env, env);
  try {
    expect(await reportDocker()).toMatchObject({ usable: true });
    await using lease = await Lease.take({ run: "endpoint", host: "test" });
    await using sandbox = await (await DockerSandboxes.connect(lease, quiet)).start({
      ...SPEC,
      image: docker.image ?? "",
    });
    const stdin = Buffer.from("in and out");
    const { stdout, exitCode, stderr } = await exec(sandbox, {
      args: ["cat"],
      stdin,
      timeoutMs: 30_000,
      outputBytesMax: 1000,
    });
    expect([
      exitCode,
      Buffer.from(stdout).toString("utf8"),
      Buffer.from(stderr).toString("utf8"),
    ]).toEqual([0, "in and out", ""]);
  } finally {
    for (const name of Object.keys(env)) delete process.env[name];
    Object.assign(process.env, before);
  }
}

/** Connects to the engine's own socket. */
function passOn(client: Socket): void {
  const { options } = dockerEndpoint(
    process.env["DOCKER_HOST"]?.startsWith("tcp:") ? {} : process.env,
  );
  const engine = connect({
    path: "socketPath" in options ? options.socketPath : "",
    allowHalfOpen: true,
  });
  client.pipe(engine);
  engine.pipe(client);
  for (const [one, other] of [
    [client, engine],
    [engine, client],
  ] as const)
    one.on("error", () => other.destroy());
  client.on("close", () => engine.destroy());
}

async function withProxy(server: Server, use: (port: number) => Promise<void>): Promise<void> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await use((server.address() as AddressInfo).port);
  } finally {
    server.close();
  }
}

/** A self-signed certificate for both sides. */
async function makeCertificates(
  folder: string,
): Promise<{ readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer }> {
  const [key, cert, ca] = ["key", "cert", "ca"].map((name) => join(folder, `${name}.pem`)) as [
    string,
    string,
    string,
  ];
  const subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
  const made = Bun.spawnSync([
    "openssl",
    "req",
    "-x509",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-days",
    "1",
    "-keyout",
    key,
    "-out",
    cert,
    ...subject,
  ]);
  expect(made.exitCode).toBe(0);
  await writeFile(ca, await readFile(cert));
  return { ca: await readFile(ca), cert: await readFile(cert), key: await readFile(key) };
}
