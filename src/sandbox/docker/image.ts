// Images on the Docker engine: which it has, and how it gets one by a pull or a build.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { MatrixError, messageOf } from "../../error.ts";
import { isFolder } from "../../recipe/files.ts";
import { isImagePath } from "../../recipe/schema/sandbox-schema.ts";
import type { Log } from "../../telemetry/log.ts";
import { filesIn, hashFolder, imageNameOf, noImage } from "../image/image-folder.ts";
import { connectDocker } from "./client.ts";

export interface DockerImageOptions {
  readonly log: Log;
  readonly signal?: AbortSignal;
}

/** The reference of an image that the engine has, after a pull or a build where it had none. */
export async function prepareDockerImage(
  image: string,
  options: DockerImageOptions,
): Promise<string> {
  if (!isImagePath(image)) {
    if ((await dockerImageId(image)) === null) await pullImage(image, options);
    return image;
  }
  if (!isFolder(image))
    throw noImage(image, "Docker takes an image's reference or a folder with a Dockerfile");
  if (!existsSync(join(image, "Dockerfile")))
    throw noImage(image, "there is no Dockerfile in this folder");
  const tag = `matrix-${imageNameOf(image)}:${await hashFolder(image)}`;
  if ((await dockerImageId(tag)) !== null) return tag;
  options.log.write("info", `building the Docker image of ${image}; this can take minutes`, {
    tag,
  });
  await buildImage(image, tag, options);
  return tag;
}

/**
 * The id of an image that the engine has; null when the engine has no image of that name. Fails
 * when no engine answers.
 */
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

async function pullImage(reference: string, { log, signal }: DockerImageOptions): Promise<void> {
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
      { cause, hint: "check its name, or bring it here with `docker load`" },
    );
  }
}

/** Build steps use the machine's own network. Nothing of that network remains in the image. */
async function buildImage(
  folder: string,
  tag: string,
  { log, signal }: DockerImageOptions,
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
      { context: folder, src: await filesIn(folder) },
      { t: tag, networkmode: "host", rm: true, forcerm: true },
    )
    .catch((cause: unknown) => {
      throw fail(messageOf(cause), cause);
    })) as Readable;
  const abort = () => stream.destroy(signal?.reason as Error);
  signal?.addEventListener("abort", abort, { once: true });
  // The signal may have aborted while the engine took the request.
  if (signal?.aborted === true) abort();
  try {
    for await (const line of createInterface({ input: stream })) {
      const { stream: text = "", error } = JSON.parse(line) as { stream?: string; error?: string };
      if (error !== undefined) throw fail(error);
      if (text.trim() !== "") log.write("info", text.trim(), { image: tag });
    }
    signal?.throwIfAborted();
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}
