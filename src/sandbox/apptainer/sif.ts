// SIF files, which Apptainer starts from. A Docker image or a definition is converted once, into a
// cache that machines may share, however many processes ask for it at once.

import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { MatrixError } from "../../error.ts";
import { isFolder } from "../../recipe/files.ts";
import { isImagePath } from "../../recipe/schema/sandbox-schema.ts";
import { makeOwnFolder } from "../../task/own-files.ts";
import { type DockerImageOptions, dockerImageId, prepareDockerImage } from "../docker/image.ts";
import { buildOnce } from "../image/build-lock.ts";
import { startGuarded } from "../image/guarded-build.ts";
import { hashFolder, imageNameOf, noImage } from "../image/image-folder.ts";
import { finish } from "../spawn.ts";
import { buildEnvironment } from "./environment.ts";

export interface SifOptions extends DockerImageOptions {
  /** The Apptainer program. */
  readonly apptainer: string;
  /** The folder of SIFs; default: `matrix/sif` in the user's cache folder. */
  readonly cache?: string;
}

const ID_CHARS = 12;
const ERROR_LINES = 5;

/** The path of a SIF: the image itself, or one in the cache, which is built when it is missing. */
export async function prepareSif(image: string, options: SifOptions): Promise<string> {
  if (image.endsWith(".sif")) return image;
  const { key, ...source } = isImagePath(image)
    ? await sourceOfFolder(image, options)
    : await sourceOfReference(image);
  const folder = options.cache ?? sifCache();
  // Programs of a sandbox come from here, so no other user may write to it.
  await makeOwnFolder(folder);
  const path = join(folder, `${key}.sif`);
  if (existsSync(path)) return path;
  await buildOnce(
    lockOf(path),
    () => existsSync(path),
    options,
    () => buildSif(source, path, options),
  );
  return path;
}

function lockOf(path: string): string {
  return `${path}.lock`;
}

interface SifSource {
  /** The source that `apptainer build` reads. */
  readonly source: string;
  /** The folder in which a definition's own paths begin. */
  readonly cwd?: string;
  /** Name of the SIF in the cache. It follows the content where the content can be known. */
  readonly key: string;
}

/** A local Docker image is preferred, because it needs no registry. */
async function sourceOfReference(reference: string): Promise<SifSource> {
  const id = await dockerImageId(reference).catch(() => null);
  const plain = (text: string): string => text.replaceAll(/[^\w.-]+/g, "_");
  if (id === null) return { source: `docker://${reference}`, key: plain(reference) };
  // The key has no tag, so that one image under two tags becomes one SIF.
  const name = plain(reference.replace(/[:@][^/]*$/, ""));
  return {
    source: `docker-daemon:${withTag(reference)}`,
    key: `${name}-${id.replace("sha256:", "").slice(0, ID_CHARS)}`,
  };
}

async function sourceOfFolder(folder: string, options: SifOptions): Promise<SifSource> {
  if (!isFolder(folder)) throw noImage(folder, "there is no such folder, and no SIF of that name");
  const files = await readdir(folder);
  const definition = files.find((name) => name.endsWith(".def"));
  const hasEngine = await dockerImageId("scratch").then(
    () => true,
    () => false,
  );
  if (files.includes("Dockerfile") && (hasEngine || definition === undefined))
    return sourceOfReference(await prepareDockerImage(folder, options));
  if (definition === undefined)
    throw noImage(folder, "there is neither a Dockerfile nor a definition (*.def) in this folder");
  return {
    source: join(folder, definition),
    cwd: folder,
    key: `${imageNameOf(folder)}-${await hashFolder(folder)}`,
  };
}

async function buildSif(
  { source, ...where }: Omit<SifSource, "key">,
  path: string,
  { apptainer, log, signal }: SifOptions,
): Promise<void> {
  log.write("info", `building ${path} from ${source}; this can take minutes`);
  const id = randomUUID();
  const made = `${path}.${id}.tmp`;
  const env = buildEnvironment();
  // A folder of its own, so that an interrupted build leaves nothing there.
  const temporary = join(env["APPTAINER_TMPDIR"] ?? tmpdir(), `matrix-build-${id}`);
  try {
    await mkdir(temporary, { recursive: true, mode: 0o700 });
    const build = startGuarded({
      command: [apptainer, "--nocolor", "build", made, source],
      ...where,
      env: { ...env, APPTAINER_TMPDIR: temporary, SINGULARITY_TMPDIR: temporary },
      leaves: [made, temporary, lockOf(path)],
      ...(signal === undefined ? {} : { signal }),
    });
    const { code, stderr } = await finish(build);
    signal?.throwIfAborted();
    if (code !== 0)
      throw new MatrixError(
        "sandbox_unavailable",
        `Apptainer cannot build ${basename(path)} from ${source}: ${lastLines(stderr)}`,
        { hint: "build it where it can be built, and name the SIF in the recipe" },
      );
    // A rename, so that other processes see the whole file or none.
    await rename(made, path);
  } finally {
    await rm(made, { force: true });
    await rm(temporary, { recursive: true, force: true });
  }
}

function sifCache(): string {
  return join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "matrix", "sif");
}

function withTag(reference: string): string {
  return /:[^/]*$/.test(reference) ? reference : `${reference}:latest`;
}

function lastLines(text: string): string {
  return text.trim().split("\n").slice(-ERROR_LINES).join("\n");
}
