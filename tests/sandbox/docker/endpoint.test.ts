// The address of the Docker engine, from the environment and the files of the `docker` command.

import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { dockerEndpoint } from "../../../src/sandbox/docker/endpoint.ts";
import { withFolder } from "../../parts/folder.ts";

/** Writes a context as `docker context create` does, and returns the folder of its certificates. */
async function writeContext(folder: string, name: string, endpoints: unknown): Promise<string> {
  const id = createHash("sha256").update(name).digest("hex");
  const meta = join(folder, "contexts/meta", id);
  await mkdir(meta, { recursive: true });
  await writeFile(join(meta, "meta.json"), JSON.stringify({ Name: name, Endpoints: endpoints }));
  return join(folder, "contexts/tls", id, "docker");
}
const at = (Host: string) => ({ docker: { Host } });

async function writeCertificates(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const name of ["ca", "cert", "key"]) await writeFile(join(folder, `${name}.pem`), name);
}
const PEMS = { ca: "ca", cert: "cert", key: "key" };

test.each([
  ["unix:///x/y.sock", false, { socketPath: "/x/y.sock" }],
  ["tcp://127.0.0.1:4000", false, { protocol: "http", host: "127.0.0.1", port: 4000 }],
  ["tcp://localhost", false, { protocol: "http", host: "localhost", port: 2375 }],
  ["tcp://[::1]:1", false, { protocol: "http", host: "[::1]", port: 1 }],
  ["tcp://lab:2375", true, { protocol: "http", host: "lab", port: 2375 }],
  ["http://10.0.0.1:1", true, { protocol: "http", host: "10.0.0.1", port: 1 }],
  ["https://lab", true, { protocol: "https", host: "lab", port: 2376 }],
  ["ssh://me@far", true, { protocol: "ssh", host: "far", port: 22, username: "me" }],
  ["ssh://far:2222", true, { protocol: "ssh", host: "far", port: 2222 }],
])("DOCKER_HOST=%s is an endpoint (remote: %p)", (address, remote, options) => {
  expect(dockerEndpoint({ DOCKER_HOST: address, DOCKER_CONFIG: "/no/such" })).toEqual({
    address,
    remote,
    options: options as never,
  });
});

test("DOCKER_HOST wins over DOCKER_CONTEXT, which wins over the context in use", () =>
  withFolder(async (folder) => {
    await writeContext(folder, "lab", at("unix:///lab.sock"));
    await writeContext(folder, "far", at("ssh://me@far"));
    await writeFile(join(folder, "config.json"), '{"currentContext": "lab"}');
    const env = { DOCKER_CONFIG: folder };
    expect(dockerEndpoint(env).address).toBe("unix:///lab.sock");
    expect(dockerEndpoint({ ...env, DOCKER_CONTEXT: "far" }).address).toBe("ssh://me@far");
    const all = { ...env, DOCKER_CONTEXT: "far", DOCKER_HOST: "tcp://x" };
    expect(dockerEndpoint(all).address).toBe("tcp://x");
    expect(dockerEndpoint({ ...env, DOCKER_HOST: "" }).address).toBe("unix:///lab.sock");
  }));

test.each([
  ["a folder without settings", null],
  ["settings without a context", "{}"],
  ["settings with the default context", '{"currentContext": "default"}'],
])("%s leads to the local socket", (_title, config) =>
  withFolder(async (folder) => {
    if (config !== null) await writeFile(join(folder, "config.json"), config);
    const { address, remote, options } = dockerEndpoint({ DOCKER_CONFIG: folder });
    expect(address).toMatch(/^unix:\/\/\/.*\.sock$/);
    expect([remote, options]).toEqual([false, { socketPath: address.slice("unix://".length) }]);
    expect(dockerEndpoint({ DOCKER_CONFIG: folder, DOCKER_CONTEXT: "default" }).address).toBe(
      address,
    );
  }),
);

test("Docker's sockets come before Podman's, the machine's before the user's, or Docker's is named", () =>
  withFolder(async (folder) => {
    const system = join(folder, "system.sock");
    const podman = join(folder, "machine-podman.sock");
    const ownPodman = join(folder, "podman/podman.sock");
    const own = join(folder, "docker.sock");
    const home = join(folder, ".docker/run/docker.sock");
    const env = { DOCKER_CONFIG: folder, HOME: folder, XDG_RUNTIME_DIR: folder };
    const addressOf = (given: Readonly<Record<string, string>>) =>
      dockerEndpoint(given, { docker: system, podman }).address;
    expect(addressOf(env)).toBe(`unix://${system}`);
    await mkdir(join(folder, "podman"));
    await writeFile(ownPodman, "");
    expect(addressOf(env)).toBe(`unix://${ownPodman}`);
    expect(addressOf({ DOCKER_CONFIG: folder, HOME: folder })).toBe(`unix://${system}`);
    await writeFile(podman, "");
    expect(addressOf(env)).toBe(`unix://${podman}`);
    await mkdir(join(home, ".."), { recursive: true });
    await writeFile(home, "");
    expect(addressOf(env)).toBe(`unix://${home}`);
    await writeFile(own, "");
    expect(addressOf(env)).toBe(`unix://${own}`);
    expect(addressOf({ DOCKER_CONFIG: folder, HOME: folder })).toBe(`unix://${home}`);
    await writeFile(system, "");
    expect(addressOf(env)).toBe(`unix://${system}`);
    const chosen = { ...env, CONTAINER_HOST: "unix:///chosen.sock" };
    expect(addressOf(chosen)).toBe("unix:///chosen.sock");
    expect(addressOf({ ...chosen, DOCKER_HOST: "tcp://x" })).toBe("tcp://x");
    expect(addressOf({ ...env, CONTAINER_HOST: "" })).toBe(`unix://${system}`);
  }));

test("the settings lie in the user's home folder by default", () =>
  withFolder(async (folder) => {
    await writeContext(join(folder, ".docker"), "lab", at("unix:///lab.sock"));
    const env = { HOME: folder, DOCKER_CONTEXT: "lab" };
    expect(dockerEndpoint(env).address).toBe("unix:///lab.sock");
  }));

test("the machine's socket is the one at which Docker listens by default", () => {
  const { address } = dockerEndpoint({ DOCKER_CONFIG: "/no/such", XDG_RUNTIME_DIR: "/no/such" });
  if (existsSync("/var/run/docker.sock")) expect(address).toBe("unix:///var/run/docker.sock");
  else expect(address).toMatch(/^unix:\/\/\/.*\/(?:docker|podman)\.sock$/);
});

test("certificates come from DOCKER_CERT_PATH, or else from the folder of the settings", () =>
  withFolder(async (folder) => {
    const certificates = join(folder, "certs");
    await writeCertificates(certificates);
    const env = { DOCKER_HOST: "tcp://127.0.0.1", DOCKER_TLS_VERIFY: "1" };
    const options = { protocol: "https", host: "127.0.0.1", port: 2376, ...PEMS } as const;
    expect(dockerEndpoint({ ...env, DOCKER_CERT_PATH: certificates }).options).toEqual(options);
    expect(dockerEndpoint({ ...env, DOCKER_CONFIG: certificates }).options).toEqual(options);
    for (const verify of ["", undefined])
      expect(
        dockerEndpoint({
          ...env,
          DOCKER_TLS_VERIFY: verify,
          DOCKER_CERT_PATH: certificates,
        }).options,
      ).toEqual({ protocol: "http", host: "127.0.0.1", port: 2375 });
  }));

test("a context brings its own certificates, where it has some", () =>
  withFolder(async (folder) => {
    const certificates = await writeContext(folder, "lab", at("tcp://lab:9"));
    const env = { DOCKER_CONFIG: folder, DOCKER_CONTEXT: "lab" };
    expect(dockerEndpoint(env).options).toEqual({ protocol: "http", host: "lab", port: 9 });
    await writeCertificates(certificates);
    expect(dockerEndpoint(env).options).toEqual({
      protocol: "https",
      host: "lab",
      port: 9,
      ...PEMS,
    });
  }));

test("a context or certificate that is missing, broken or empty is named", () =>
  withFolder(async (folder) => {
    const env = { DOCKER_CONFIG: folder, DOCKER_CONTEXT: "lab" };
    const errorOf = (given: Readonly<Record<string, string>>) => {
      try {
        return dockerEndpoint(given);
      } catch (thrown) {
        return thrown;
      }
    };
    expect(errorOf(env)).toMatchObject({
      code: "sandbox_unavailable",
      message: expect.stringMatching(/^cannot read the Docker context "lab": .*ENOENT/),
      hint: "check `docker context ls` and DOCKER_CERT_PATH",
    });
    await writeContext(folder, "lab", {});
    expect(errorOf(env)).toMatchObject({
      code: "sandbox_unavailable",
      message: 'the Docker context "lab" names no engine (Endpoints.docker.Host)',
    });
    await writeFile(join(folder, "config.json"), "{");
    expect(errorOf({ DOCKER_CONFIG: folder })).toMatchObject({
      code: "sandbox_unavailable",
      message: expect.stringContaining(
        `cannot read Docker's settings: ${join(folder, "config.json")}: `,
      ),
    });
    const tls = { DOCKER_HOST: "tcp://x", DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: folder };
    expect(errorOf(tls)).toMatchObject({
      message: expect.stringContaining("cannot read the Docker engine's certificates: "),
    });
  }));
