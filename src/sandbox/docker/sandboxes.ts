// Sandboxes by Docker. The first process of a container is the holder. Its stdin is attached to us,
// so that it ends when we do.

import { randomUUID } from "node:crypto";
import type Docker from "dockerode";
import { MatrixError, messageOf } from "../../error.ts";
import type { Log } from "../../telemetry/log.ts";
import type { Sandbox, Sandboxes, SandboxSpec } from "../contract.ts";
import type { Lease } from "../lease.ts";
import { connectDocker, type EngineKind, hintFor, kindOf } from "./client.ts";
import { refuseForeign } from "./foreign.ts";
import { DockerSandbox } from "./sandbox.ts";
import { settingsOf } from "./settings.ts";

export class DockerSandboxes implements Sandboxes {
  readonly engine = "docker";
  readonly #docker: Docker;
  readonly #lease: Lease;
  readonly #log: Log;
  readonly #remote: boolean;
  /** Asked of the engine at the first start. */
  #kind: Promise<EngineKind> | null = null;

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
      const kind = await this.#kindOfEngine();
      const settings = settingsOf(id, spec, this.#lease, kind);
      await this.#lease.noteWritable(spec.mounts);
      container = await this.#docker.createContainer({ name: id, ...settings });
      const streams = await container.attach({
        stream: true,
        hijack: true,
        stdin: true,
        stdout: true,
        stderr: true,
      });
      await container.start();
      signal?.throwIfAborted();
      const sandbox = new DockerSandbox(id, spec, container, streams, this.#log);
      if (kind.podman) await refuseForeign(this.#docker, container, sandbox, { spec, settings });
      void this.#makePlain(spec, sandbox.ended, container);
      return sandbox;
    } catch (cause) {
      await container?.remove({ force: true }).catch(() => undefined);
      if (signal?.aborted === true) throw signal.reason;
      if (cause instanceof MatrixError && cause.code === "sandbox_invalid") throw cause;
      throw container === null && hasNoImage(cause) ? noImage(spec, cause) : failed(spec, cause);
    }
  }

  /** A stopped sandbox counts as ended a moment before its programs are dead. */
  async #makePlain(
    { mounts }: SandboxSpec,
    ended: Promise<unknown>,
    container: Docker.Container,
  ): Promise<void> {
    if (!mounts.some(({ writable }) => writable)) return;
    await ended;
    await container.wait({ condition: "removed" }).catch(() => undefined);
    await this.#lease.makePlain(mounts);
  }

  #kindOfEngine(): Promise<EngineKind> {
    if (this.#kind !== null) return this.#kind;
    const kind = kindOf(this.#docker);
    this.#kind = kind;
    kind.catch(() => {
      this.#kind = null;
    });
    return kind;
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
