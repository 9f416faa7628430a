// The Docker engine that the `docker` command would talk to: whether it can be used, and which of
// its containers are ours.

import type Docker from "dockerode";
import { messageOf } from "../../error.ts";
import type { EngineReport, FoundSandbox, LimitName } from "../contract.ts";
import { dockerEndpoint } from "./endpoint.ts";

/** Labels by which our containers are known. */
export const LABEL = {
  sandbox: "matrix.sandbox",
  run: "matrix.run",
  host: "matrix.host",
  lease: "matrix.lease",
  machine: "matrix.machine",
} as const;

const PING_TIMEOUT_MS = 5000;

export interface DockerConnection {
  readonly docker: Docker;
  readonly address: string;
  /** True for an engine on another machine, where none of our files can be mounted. */
  readonly remote: boolean;
}

/** The kind of engine that answers. It decides how users outside and inside belong together. */
export interface EngineKind {
  readonly podman: boolean;
  /** True for an engine that runs as the caller and maps root inside to the caller. */
  readonly rootless: boolean;
}

export async function connectDocker(): Promise<DockerConnection> {
  const { options, address, remote } = dockerEndpoint(process.env);
  // Imported on first use: loading it takes a tenth of a second.
  const { default: Client } = await import("dockerode");
  return { docker: new Client(options), address, remote };
}

/** Our containers of every run and host, on the engine that answers here. */
export async function findContainers(): Promise<FoundSandbox[]> {
  const { docker } = await connectDocker();
  const containers = await docker.listContainers({ all: true, filters: { label: [LABEL.lease] } });
  return containers.map(({ Names, Labels, Image, Created }) => ({
    engine: "docker",
    id: (Names[0] ?? "").replace(/^\//, ""),
    run: Labels[LABEL.run] ?? "?",
    host: Labels[LABEL.host] ?? "?",
    lease: Labels[LABEL.lease] ?? "",
    machine: Labels[LABEL.machine] ?? "",
    image: Image,
    startedAt: Created * 1000,
  }));
}

export async function removeContainer(id: string): Promise<void> {
  const { docker } = await connectDocker();
  await docker
    .getContainer(id)
    .remove({ force: true })
    .catch((cause: { statusCode?: number }) => {
      // 404: the container is gone already. 409: the engine is removing it.
      if (cause.statusCode !== 404 && cause.statusCode !== 409) throw cause;
    });
}

export async function reportDocker(): Promise<EngineReport> {
  let at = "";
  try {
    const { docker, address, remote } = await connectDocker();
    at = ` at ${address}`;
    const { Version } = await withTimeout(docker.version());
    const { podman, rootless } = await withTimeout(kindOf(docker));
    const unenforced = unenforcedBy(await withTimeout(docker.info()));
    const name = podman ? "Podman" : "Docker";
    const says = `${rootless ? `rootless ${name}` : name} ${Version}${at}`;
    if (!remote) return { usable: true, says, unenforced, hints: [] };
    return {
      usable: false,
      says: `${says}: it runs on another machine`,
      unenforced,
      hints: ["start `matrix agent` on that machine"],
    };
  } catch (thrown) {
    return {
      usable: false,
      says: `no Docker engine answers${at}: ${messageOf(thrown)}`,
      unenforced: [],
      hints: [hintFor(thrown)],
    };
  }
}

/** Podman answers the same requests, and says so among its components. */
export async function kindOf(docker: Docker): Promise<EngineKind> {
  const { Components = [] } = (await docker.version()) as { Components?: { Name?: string }[] };
  const { SecurityOptions = [] } = (await docker.info()) as { SecurityOptions?: string[] };
  return {
    podman: Components.some(({ Name }) => Name === "Podman Engine"),
    rootless: SecurityOptions.includes("name=rootless"),
  };
}

/** The advice for an engine that did not answer. */
export function hintFor(cause: unknown): string {
  const code = (cause as { code?: string }).code ?? "";
  if (code === "EACCES")
    return "this user may not talk to Docker: add it to the group `docker`, or use Apptainer";
  if (code === "ENOENT" || code === "ECONNREFUSED" || code === "FailedToOpenSocket")
    return "start Docker or `podman system service`, set DOCKER_HOST, or use Apptainer";
  return "run `matrix sandbox check` to see what this machine can do";
}

/** `info` is the engine's own report. A limit that it does not mention counts as enforced. */
function unenforcedBy(info: unknown): LimitName[] {
  const { MemoryLimit, PidsLimit, CpuCfsQuota } = info as Readonly<Record<string, unknown>>;
  const unenforced: LimitName[] = [];
  if (MemoryLimit === false) unenforced.push("memory");
  if (CpuCfsQuota === false) unenforced.push("cpus");
  if (PidsLimit === false) unenforced.push("pids");
  return unenforced;
}

async function withTimeout<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`no answer within ${PING_TIMEOUT_MS} ms`)),
      PING_TIMEOUT_MS,
    );
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
