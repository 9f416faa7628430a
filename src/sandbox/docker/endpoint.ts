// The address of the engine that the `docker` command would talk to: DOCKER_HOST, the current
// context or the local socket, with its certificates; without Docker, the address of Podman, whose
// API is the same. This file reads the environment and the files that the command keeps, and
// connects to nothing.

import { createHash } from "node:crypto";
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { MatrixError, messageOf } from "../../error.ts";

export interface DockerEndpoint {
  readonly address: string;
  /** True for an engine on another machine, where none of our files can be mounted. */
  readonly remote: boolean;
  /** Options of the client library. */
  readonly options: DockerOptions;
}

export type DockerOptions =
  | { readonly socketPath: string }
  | ({
      readonly protocol: "http" | "https" | "ssh";
      readonly host: string;
      readonly port: number;
      readonly username?: string;
    } & Partial<Certificates>);

interface Certificates {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

interface Place {
  readonly address: string;
  /** The folder of certificates; null for a connection without TLS. */
  readonly certificates: string | null;
}

type Env = Readonly<Record<string, string | undefined>>;

/** Sockets of the machine's engines, which all users share. */
export interface SystemSockets {
  readonly docker: string;
  readonly podman: string;
}

const SYSTEM_SOCKETS: SystemSockets = {
  docker: "/var/run/docker.sock",
  podman: "/run/podman/podman.sock",
};
const PORTS = { http: 2375, https: 2376, ssh: 22 } as const;
const LOCAL = ["localhost", "127.0.0.1", "[::1]"];

/** Fails with `sandbox_unavailable` when a named context or certificate is missing. */
export function dockerEndpoint(env: Env, system = SYSTEM_SOCKETS): DockerEndpoint {
  const { address, certificates } = placeOf(env, system);
  if (address.startsWith("unix://"))
    return { address, remote: false, options: { socketPath: address.slice("unix://".length) } };
  const url = new URL(address.replace(/^tcp:/, "http:"));
  const protocol =
    url.protocol === "ssh:"
      ? "ssh"
      : certificates !== null || url.protocol === "https:"
        ? "https"
        : "http";
  const options = {
    protocol,
    host: url.hostname,
    port: Number(url.port) || PORTS[protocol],
    ...(url.username === "" ? {} : { username: url.username }),
    ...(certificates === null ? {} : readCertificates(certificates)),
  } as const;
  return { address, remote: !LOCAL.includes(url.hostname), options };
}

function placeOf(env: Env, system: SystemSockets): Place {
  const folder = env["DOCKER_CONFIG"] ?? join(homeOf(env), ".docker");
  const host = env["DOCKER_HOST"] ?? "";
  if (host !== "")
    return {
      address: host,
      certificates:
        (env["DOCKER_TLS_VERIFY"] ?? "") === "" ? null : (env["DOCKER_CERT_PATH"] ?? folder),
    };
  const context = env["DOCKER_CONTEXT"] ?? currentContext(folder);
  return context === "default"
    ? { address: localAddress(env, system), certificates: null }
    : placeOfContext(folder, context);
}

/** The context that `docker context use` chose. */
function currentContext(folder: string): string {
  const path = join(folder, "config.json");
  if (!existsSync(path)) return "default";
  const { currentContext } = readJson(path, "Docker's settings") as { currentContext?: string };
  return currentContext ?? "default";
}

function placeOfContext(folder: string, name: string): Place {
  const id = createHash("sha256").update(name).digest("hex");
  const meta = readJson(
    join(folder, "contexts/meta", id, "meta.json"),
    `the Docker context "${name}"`,
  );
  const { Host: address } =
    (meta as { Endpoints?: { docker?: { Host?: string } } }).Endpoints?.docker ?? {};
  if (address === undefined)
    throw new MatrixError(
      "sandbox_unavailable",
      `the Docker context "${name}" names no engine (Endpoints.docker.Host)`,
    );
  const certificates = join(folder, "contexts/tls", id, "docker");
  return { address, certificates: existsSync(certificates) ? certificates : null };
}

function readCertificates(folder: string): Certificates {
  const read = (name: string): string =>
    readText(join(folder, `${name}.pem`), "the Docker engine's certificates");
  return { ca: read("ca"), cert: read("cert"), key: read("key") };
}

/**
 * Docker's sockets before Podman's, the machine's before the user's own. CONTAINER_HOST is the
 * user's word for Podman, and therefore comes first.
 */
function localAddress(env: Env, { docker, podman }: SystemSockets): string {
  const chosen = env["CONTAINER_HOST"] ?? "";
  if (chosen !== "") return chosen;
  const runtime = env["XDG_RUNTIME_DIR"] ?? "/nonexistent";
  const sockets = [
    docker,
    join(runtime, "docker.sock"),
    join(homeOf(env), ".docker/run/docker.sock"),
    podman,
    join(runtime, "podman/podman.sock"),
  ];
  return `unix://${sockets.find(canOpen) ?? docker}`;
}

/** A socket that this user may not open is no use where there is another one. */
function canOpen(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function homeOf(env: Env): string {
  return env["HOME"] ?? homedir();
}

function readJson(path: string, what: string): unknown {
  const text = readText(path, what);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new MatrixError(
      "sandbox_unavailable",
      `cannot read ${what}: ${path}: ${messageOf(cause)}`,
      { cause },
    );
  }
}

function readText(path: string, what: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new MatrixError("sandbox_unavailable", `cannot read ${what}: ${messageOf(cause)}`, {
      cause,
      hint: "check `docker context ls` and DOCKER_CERT_PATH",
    });
  }
}
