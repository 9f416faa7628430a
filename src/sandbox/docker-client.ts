// The Docker engine that the `docker` command would talk to: what it is, which containers on it are ours, and which images it has or
// builds.

import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import type Docker from "dockerode";
import { MatrixError, messageOf } from "../error.ts";
import type { Log } from "../telemetry/log.ts";
import type { EngineReport, FoundSandbox, LimitName } from "./contract.ts";
import { dockerEndpoint } from "./docker-endpoint.ts";

/** By which our containers are known. */
export const LABEL = {
  sandbox: "matrix.sandbox",
  run: "matrix.run",
  host: "matrix.host",
  lease: "matrix.lease",
  machine: "matrix.machine",
} as const;

const PING_TIMEOUT_MS = 5000;

/** Containers of ours, of every run and host, on the engine that answers here. */
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
      // 404: gone already; 409: being removed.
      if (cause.statusCode !== 404 && cause.statusCode !== 409) throw cause;
    });
}

export async function reportDocker(): Promise<EngineReport> {
  let address = "";
  try {
    const { docker, address: at, remote } = await connectDocker();
    address = at;
    const { Version } = await withTimeout(docker.version());
    const { MemoryLimit, PidsLimit, CpuCfsQuota } = (await withTimeout(docker.info())) as Readonly<
      Record<string, unknown>
    >;
    const unenforced: LimitName[] = [];
    if (MemoryLimit === false) unenforced.push("memory");
    if (CpuCfsQuota === false) unenforced.push("cpus");
    if (PidsLimit === false) unenforced.push("pids");
    const says = `Docker ${Version} at ${address}`;
    if (remote)
      return {
        usable: false,
        says: `${says}: it runs on another machine`,
        unenforced,
        hints: ["start `matrix agent` on that machine"],
      };
    return { usable: true, says, unenforced, hints: [] };
  } catch (thrown) {
    const at = address === "" ? "" : ` at ${address}`;
    return {
      usable: false,
      says: `no Docker engine answers${at}: ${messageOf(thrown)}`,
      unenforced: [],
      hints: [hintFor(thrown)],
    };
  }
}

/** The id of an image that the engine has; null when it has none of that name. Fails when no engine answers. */
export async function dockerImageId(reference: string): Promise<string | null> {
  const { docker } = await connectDocker();
  return docker
    .getImage(reference)
    .inspect()
    .then(
      ({ Id }) => Id,
      (cause: { statusCode?: number }) => {
        if (cause.statusCode === undefined) throw cause;
        return null;
      },
    );
}

/** Fetches an image that the engine does not have. Fails with `sandbox_invalid`. */
export async function pullImage(reference: string, { log, signal }: BuildOptions): Promise<void> {
  const { docker } = await connectDocker();
  log.write("info", `Docker pulls ${reference}; this can take minutes`);
  try {
    const stream = (await docker.pull(
      reference,
      signal === undefined ? {} : { abortSignal: signal },
    )) as Readable;
    for await (const line of createInterface({ input: stream })) {
      const { error } = JSON.parse(line) as { error?: string };
      if (error !== undefined) throw new Error(error);
    }
    signal?.throwIfAborted();
  } catch (cause) {
    if (signal?.aborted === true) throw signal.reason;
    throw new MatrixError(
      "sandbox_invalid",
      `Docker has no image ${reference}, and cannot pull it: ${messageOf(cause)}`,
      {
        cause,
        hint: "check its name, or bring it here with `docker load`",
      },
    );
  }
}

export interface BuildOptions {
  readonly log: Log;
  readonly signal?: AbortSignal;
}

/** Builds the Dockerfile of a folder. Steps use the machine's own network, and nothing of it remains in the image. */
export async function buildDockerImage(
  folder: string,
  files: readonly string[],
  tag: string,
  { log, signal }: BuildOptions,
): Promise<void> {
  const { docker } = await connectDocker();
  const fail = (why: string, cause?: unknown): MatrixError =>
    new MatrixError(
      "sandbox_unavailable",
      `Docker cannot build ${folder}: ${why}`,
      cause === undefined ? {} : { cause },
    );
  const stream = (await docker
    .buildImage(
      { context: folder, src: [...files] },
      { t: tag, networkmode: "host", rm: true, forcerm: true },
    )
    .catch((cause: unknown) => {
      throw fail(messageOf(cause), cause);
    })) as Readable;
  const abort = () => stream.destroy(signal?.reason as Error);
  signal?.addEventListener("abort", abort, { once: true });
  try {
    for await (const line of createInterface({ input: stream })) {
      const { stream: said = "", error } = JSON.parse(line) as { stream?: string; error?: string };
      if (error !== undefined) throw fail(error);
      if (said.trim() !== "") log.write("info", said.trim(), { image: tag });
    }
    signal?.throwIfAborted();
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

export interface DockerConnection {
  readonly docker: Docker;
  readonly address: string;
  readonly remote: boolean;
}

export async function connectDocker(): Promise<DockerConnection> {
  const { options, address, remote } = dockerEndpoint(process.env);
  // Loaded only where it is used: it takes a tenth of a second.
  const { default: Client } = await import("dockerode");
  return { docker: new Client(options), address, remote };
}

/** What to do about an engine that did not answer. */
export function hintFor(cause: unknown): string {
  const code = (cause as { code?: string }).code ?? "";
  if (code === "EACCES")
    return "this user may not talk to Docker: add it to the group `docker`, or use Apptainer";
  if (code === "ENOENT" || code === "ECONNREFUSED" || code === "FailedToOpenSocket")
    return "start Docker, set DOCKER_HOST, or use Apptainer";
  return "`matrix sandbox check` says what this machine can do";
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
