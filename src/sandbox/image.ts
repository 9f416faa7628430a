// What an engine starts from: the image that a recipe names, in the form that the engine takes. A Docker reference, a SIF, or a
// folder with a Dockerfile or an Apptainer definition. What has to be built or pulled is so once, into a cache that machines
// may share, under a lock, however many of them start together.

import { createHash, randomUUID } from "node:crypto";
import { existsSync, statSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, join, relative } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { MatrixError, messageOf } from "../error.ts";
import { isImagePath } from "../recipe/sandbox-schema.ts";
import type { Log } from "../telemetry/log.ts";
import type { EngineName } from "./contract.ts";
import { buildDockerImage, dockerImageId, pullImage } from "./docker-client.ts";
import { runChild } from "./spawn.ts";

export interface ImageOptions {
  readonly log: Log;
  /** The program, for Apptainer. */
  readonly apptainer: string;
  readonly signal?: AbortSignal;
  /** Default: `sif` under the user's cache folder. */
  readonly cache?: string;
}

/** The image as the engine takes it, made first where it has to be. Fails with `sandbox_invalid` where it is none, else `sandbox_unavailable`. */
export async function prepareImage(
  image: string,
  engine: EngineName,
  options: ImageOptions,
): Promise<string> {
  if (engine === "process") return image;
  if (engine === "docker") return prepareDocker(image, options);
  return prepareSif(image, options);
}

async function prepareDocker(image: string, { log, signal }: ImageOptions): Promise<string> {
  const options = { log, ...(signal === undefined ? {} : { signal }) };
  if (!isImagePath(image)) {
    if ((await dockerImageId(image)) === null) await pullImage(image, options);
    return image;
  }
  if (!isFolder(image))
    throw unusable(image, "Docker takes an image's reference or a folder with a Dockerfile");
  if (!existsSync(join(image, "Dockerfile")))
    throw unusable(image, "there is no Dockerfile in this folder");
  const tag = `matrix-${nameOf(image)}:${await hashFolder(image)}`;
  if ((await dockerImageId(tag)) !== null) return tag;
  log.write("info", `building the Docker image of ${image}; this can take minutes`, { tag });
  await buildDockerImage(image, await filesIn(image), tag, options);
  return tag;
}

async function prepareSif(image: string, options: ImageOptions): Promise<string> {
  if (image.endsWith(".sif")) return image;
  const { key, ...source } = isImagePath(image)
    ? await sourceOfFolder(image, options)
    : await sourceOfReference(image);
  const folder = options.cache ?? sifCache();
  const path = join(folder, `${key}.sif`);
  if (existsSync(path)) return path;
  await mkdir(folder, { recursive: true });
  await underLock(
    `${path}.lock`,
    () => existsSync(path),
    options,
    () => buildSif(source, path, options),
  );
  return path;
}

interface SifSource {
  /** As `apptainer build` takes it. */
  readonly source: string;
  /** Where a definition's own paths begin. */
  readonly cwd?: string;
  /** Names the SIF in the cache: another content, another name, where that can be known. */
  readonly key: string;
}

/** A local Docker image is taken where there is one: it needs no registry. */
async function sourceOfReference(reference: string): Promise<SifSource> {
  const id = await dockerImageId(reference).catch(() => null);
  const plain = (text: string): string => text.replaceAll(/[^\w.-]+/g, "_");
  if (id === null) return { source: `docker://${reference}`, key: plain(reference) };
  // One image under two tags is one SIF.
  const name = plain(reference.replace(/[:@][^/]*$/, ""));
  return {
    source: `docker-daemon:${withTag(reference)}`,
    key: `${name}-${id.replace("sha256:", "").slice(0, 12)}`,
  };
}

async function sourceOfFolder(folder: string, options: ImageOptions): Promise<SifSource> {
  if (!isFolder(folder)) throw unusable(folder, "there is no such folder, and no SIF of that name");
  const files = await readdir(folder);
  const definition = files.find((name) => name.endsWith(".def"));
  const hasEngine = await dockerImageId("scratch").then(
    () => true,
    () => false,
  );
  if (files.includes("Dockerfile") && (hasEngine || definition === undefined))
    return sourceOfReference(await prepareDocker(folder, options));
  if (definition === undefined)
    throw unusable(folder, "there is neither a Dockerfile nor a definition (*.def) in this folder");
  return {
    source: join(folder, definition),
    cwd: folder,
    key: `${nameOf(folder)}-${await hashFolder(folder)}`,
  };
}

async function buildSif(
  { source, ...where }: Omit<SifSource, "key">,
  path: string,
  { apptainer, log, signal }: ImageOptions,
): Promise<void> {
  log.write("info", `building ${path} from ${source}; this can take minutes`);
  const made = `${path}.${randomUUID()}.tmp`;
  try {
    const { code, stderr } = await runChild(apptainer, ["build", made, source], {
      ...where,
      ...(signal === undefined ? {} : { signal }),
    });
    signal?.throwIfAborted();
    if (code !== 0)
      throw new MatrixError(
        "sandbox_unavailable",
        `Apptainer cannot build ${basename(path)} from ${source}: ${lastLines(stderr)}`,
        {
          hint: "build it where it can be built, and name the SIF in the recipe",
        },
      );
    // Whole or not at all, for whoever looks.
    await rename(made, path);
  } finally {
    await rm(made, { force: true });
  }
}

const LOCK_TOUCH_MS = 10_000;
const LOCK_STALE_MS = 60_000;
const LOCK_LOOK_MS = 500;

/** One builder at a time, also on a shared file system; who waits looks until it is done. A dead builder's lock is taken over. */
async function underLock(
  lock: string,
  isDone: () => boolean,
  { log, signal }: ImageOptions,
  build: () => Promise<void>,
): Promise<void> {
  let said = false;
  while (!isDone()) {
    signal?.throwIfAborted();
    if (await takeLock(lock)) {
      const touch = setInterval(
        () => void utimes(lock, new Date(), new Date()).catch(() => undefined),
        LOCK_TOUCH_MS,
      );
      try {
        if (!isDone()) await build();
        return;
      } finally {
        clearInterval(touch);
        await rm(lock, { force: true });
      }
    }
    if (!said) log.write("info", `waiting for another process to build what ${lock} stands for`);
    said = true;
    await pause(LOCK_LOOK_MS);
  }
}

async function takeLock(lock: string): Promise<boolean> {
  try {
    await writeFile(lock, `${process.pid}\n`, { flag: "wx" });
    return true;
  } catch (cause) {
    if ((cause as { code?: string }).code !== "EEXIST")
      throw new MatrixError("sandbox_unavailable", `cannot write ${lock}: ${messageOf(cause)}`, {
        cause,
        hint: "set XDG_CACHE_HOME",
      });
  }
  const touched = await stat(lock).then(
    ({ mtimeMs }) => mtimeMs,
    () => Date.now(),
  );
  // Two that find it dead at once may both build: the same file, put in place whole.
  if (Date.now() - touched > LOCK_STALE_MS) await rm(lock, { force: true });
  return false;
}

function sifCache(): string {
  return join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "matrix", "sif");
}

/** Of names and contents. */
async function hashFolder(folder: string): Promise<string> {
  const hash = createHash("sha256");
  for (const file of await filesIn(folder))
    hash.update(`${file}\0`).update(await readFile(join(folder, file)));
  return hash.digest("hex").slice(0, 12);
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((name) => !name.split("/").some((part) => part === "__pycache__" || part === ".git"))
    .sort();
}

function nameOf(folder: string): string {
  return basename(folder)
    .toLowerCase()
    .replaceAll(/[^a-z0-9_.-]+/g, "-");
}

function withTag(reference: string): string {
  return /:[^/]*$/.test(reference) ? reference : `${reference}:latest`;
}

function isFolder(path: string): boolean {
  return existsSync(path) && statSync(path).isDirectory();
}

function unusable(image: string, why: string): MatrixError {
  return new MatrixError("sandbox_invalid", `${image} is no image: ${why}`);
}

function lastLines(text: string): string {
  return text.trim().split("\n").slice(-5).join("\n");
}
