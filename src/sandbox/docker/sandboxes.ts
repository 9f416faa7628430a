// Sandboxes by Docker. The first process of a container is the holder. Its stdin is attached to us,
// so that it ends when we do.

import { randomUUID } from "node:crypto";
import type Docker from "dockerode";
import { MatrixError, messageOf } from "../../error.ts";
import { machineId } from "../../process.ts";
import { SCRATCH } from "../../recipe/schema/sandbox-schema.ts";
import type { Log } from "../../telemetry/log.ts";
import type { Sandbox, Sandboxes, SandboxSpec } from "../contract.ts";
import { BRIDGE, HOLDER } from "../holder.ts";
import type { Lease } from "../lease.ts";
import { connectDocker, hintFor, LABEL } from "./client.ts";
import { DockerSandbox } from "./sandbox.ts";

/**
 * Mount options of writable folders on a read-only root. They live in memory, and get half of it.
 */
const tmpfs = (memoryBytes: number) =>
  `rw,exec,nosuid,nodev,mode=1777,size=${Math.floor(memoryBytes / 2)}`;
const HOSTNAME = "sandbox";
/** Powers that root keeps over files and users of its own container. None reaches outside. */
const CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID"];

export class DockerSandboxes implements Sandboxes {
  readonly engine = "docker";
  readonly #docker: Docker;
  readonly #lease: Lease;
  readonly #log: Log;
  readonly #remote: boolean;

  static async connect(lease: Lease, log: Log): Promise<DockerSandboxes> {
    const { docker, remote } = await connectDocker();
    return new DockerSandboxes(docker, remote, lease, log);
  }

  private constructor(docker: Docker, remote: boolean, lease: Lease, log: Log) {
    this.#docker = docker;
    this.#remote = remote;
    this.#lease = lease;
    this.#log = log;
  }

  async start(spec: SandboxSpec, signal?: AbortSignal): Promise<Sandbox> {
    if (this.#remote)
      throw new MatrixError(
        "sandbox_invalid",
        "the Docker engine runs on another machine, where our files cannot be mounted",
        {
          hint: "start `matrix agent` on that machine, or use a local engine",
        },
      );
    const id = `matrix-${randomUUID()}`;
    let container: Docker.Container | null = null;
    try {
      signal?.throwIfAborted();
      container = await this.#docker.createContainer({ name: id, ...this.#settings(id, spec) });
      const streams = await container.attach({
        stream: true,
        hijack: true,
        stdin: true,
        stdout: true,
        stderr: true,
      });
      await container.start();
      signal?.throwIfAborted();
      return new DockerSandbox(id, spec, container, streams, this.#log);
    } catch (cause) {
      await container?.remove({ force: true }).catch(() => undefined);
      if (signal?.aborted === true) throw signal.reason;
      throw container === null && hasNoImage(cause) ? noImage(spec, cause) : failed(spec, cause);
    }
  }

  #settings(id: string, spec: SandboxSpec): Docker.ContainerCreateOptions {
    const { owner, folder, bridge } = this.#lease;
    const env = { ...spec.env, ...this.#lease.marksOf(id, "docker", spec.image) };
    const mounts = [{ source: bridge, target: BRIDGE, writable: false }, ...spec.mounts];
    return {
      Image: spec.image,
      Entrypoint: ["/bin/sh"],
      Cmd: ["-c", HOLDER, "matrix-holder", `${BRIDGE}/lease`, "-"],
      Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
      WorkingDir: spec.workdir,
      // By default it is the container's id, which a command could tell a model.
      Hostname: HOSTNAME,
      Labels: {
        [LABEL.sandbox]: spec.name,
        [LABEL.run]: owner.run,
        [LABEL.host]: owner.host,
        [LABEL.lease]: folder,
        [LABEL.machine]: machineId(),
      },
      OpenStdin: true,
      // Closes the holder's stdin when our connection ends.
      StdinOnce: true,
      AttachStdin: true,
      HostConfig: {
        AutoRemove: true,
        Memory: spec.memoryBytes,
        // Equal to the memory, so that there is no swap.
        MemorySwap: spec.memoryBytes,
        NanoCpus: Math.round(spec.cpus * 1e9),
        PidsLimit: spec.pids,
        NetworkMode: spec.network,
        ReadonlyRootfs: spec.readOnly,
        Tmpfs: Object.fromEntries(
          writablePlaces(spec).map((place) => [place, tmpfs(spec.memoryBytes)]),
        ),
        Mounts: mounts.map(({ source, target, writable }) => ({
          Type: "bind",
          Source: source,
          Target: target,
          ReadOnly: !writable,
        })),
        CapDrop: ["ALL"],
        CapAdd: CAPABILITIES,
        SecurityOpt: ["no-new-privileges"],
        // The engine keeps no copy of the output.
        LogConfig: { Type: "none", Config: {} },
      },
    };
  }
}

/** Only a creation can lack its image: a later 404 is about a container that was just removed. */
function hasNoImage(cause: unknown): boolean {
  const { statusCode } = cause as { statusCode?: number };
  return statusCode === 404 || /invalid reference/.test(messageOf(cause));
}

function noImage(spec: SandboxSpec, cause: unknown): MatrixError {
  return new MatrixError(
    "sandbox_invalid",
    `Docker has no image ${spec.image} (sandboxes.${spec.name}.image)`,
    {
      cause,
      hint: `run \`docker pull ${spec.image}\`, or \`matrix sandbox build\` for a folder with a Dockerfile`,
    },
  );
}

function failed(spec: SandboxSpec, cause: unknown): MatrixError {
  return new MatrixError(
    "sandbox_unavailable",
    `Docker cannot start sandbox ${spec.name}: ${messageOf(cause)}`,
    { cause, hint: hintFor(cause) },
  );
}

/** Folders in memory: /tmp beside a read-only root, and /work where commands start there. */
function writablePlaces({ readOnly, workdir }: SandboxSpec): readonly string[] {
  return [...(readOnly ? ["/tmp"] : []), ...(workdir === SCRATCH ? [SCRATCH] : [])];
}
