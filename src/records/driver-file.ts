// driver.json in the run directory: where the driver is, and the token that proves membership.
// Hosts on a shared file system find their driver by it, and so does the next driver of the run. It
// exists while a run has hosts, only its owner can read it, and it is written whole or not at all.
// A power cut may still leave it empty or full of zeros: then there is no driver.

import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { replaceFile } from "../durable-file.ts";
import { MatrixError, messageOf } from "../error.ts";
import { readOwn } from "../task/own-files.ts";
import type { Confirm } from "./held-lock.ts";

export const DRIVER_FILE = "driver.json";

const text = v.pipe(v.string(), v.nonEmpty());
const schema = v.strictObject({
  format: v.literal("matrix-driver-1"),
  /** The address at which hosts reach the driver. */
  url: text,
  token: text,
  /** Names the run for as long as its directory lives. */
  run: text,
  /** `machine`: the machine on which `pid` means something (src/process.ts). */
  driver: v.strictObject({ pid: v.number(), machine: text }),
  /** Ids of the hosts that the driver knew last. */
  hosts: v.array(text),
  /** Local host processes that the driver started. */
  workers: v.array(
    v.strictObject({ name: text, id: text, pid: v.number(), startTime: v.nullable(v.string()) }),
  ),
});

export type DriverFile = v.InferOutput<typeof schema>;

/**
 * `path`: the file, or its folder. Returns null when there is no file, or an empty one. Fails with
 * `usage` when the file cannot be read or holds something else.
 */
export async function readDriverFile(path: string): Promise<DriverFile | null> {
  for (const file of [join(path, DRIVER_FILE), path]) {
    let content: string;
    try {
      // A host runs what its driver sends, so the file that names the driver must be ours.
      content = await readOwn(file);
    } catch (cause) {
      if (cause instanceof MatrixError) throw cause;
      const code = (cause as { code?: unknown }).code;
      if (code === "ENOENT" || code === "ENOTDIR" || code === "EISDIR") continue;
      throw new MatrixError("usage", `cannot read ${file}: ${messageOf(cause)}`, { cause });
    }
    return /^[\0\s]*$/.test(content) ? null : parse(content, file);
  }
  return null;
}

/**
 * Reads the file of the driver before this one. A file that cannot be understood is a dead driver's
 * and is reported with `warn`.
 */
export async function readEarlierDriver(
  directory: string,
  warn: (text: string) => void,
): Promise<DriverFile | null> {
  let why = `${join(directory, DRIVER_FILE)} is empty, as a power cut may leave it`;
  try {
    const found = await readDriverFile(directory);
    if (found !== null || !existsSync(join(directory, DRIVER_FILE))) return found;
  } catch (thrown) {
    why = messageOf(thrown);
  }
  warn(`${why}: its driver counts as dead, and its hosts cannot be found`);
  return null;
}

export async function writeDriverFile(
  directory: string,
  file: DriverFile,
  confirm?: Confirm,
): Promise<void> {
  const content = `${JSON.stringify(file, null, 2)}\n`;
  const options = confirm === undefined ? {} : { confirm };
  await replaceFile(join(directory, DRIVER_FILE), content, options);
}

/** Removes the file at the end of a run, when no host needs to find the driver any more. */
export async function removeDriverFile(directory: string): Promise<void> {
  await rm(join(directory, DRIVER_FILE), { force: true });
}

/** Keeps driver.json up to date while a driver lives. Writes never overlap. */
export class DriverFileKeeper {
  readonly #directory: string;
  readonly #confirm: Confirm | undefined;
  #file: DriverFile;
  #saved: Promise<void> = Promise.resolve();

  private constructor(directory: string, file: DriverFile, confirm: Confirm | undefined) {
    this.#directory = directory;
    this.#file = file;
    this.#confirm = confirm;
  }

  /** Writes the file. Fails when it cannot be written. */
  static async create(
    directory: string,
    file: DriverFile,
    confirm?: Confirm,
  ): Promise<DriverFileKeeper> {
    await writeDriverFile(directory, file, confirm);
    return new DriverFileKeeper(directory, file, confirm);
  }

  /** Notes a change for the next driver. A full disk does not end the run here: the records do. */
  save(change: Partial<DriverFile>): void {
    this.#file = { ...this.#file, ...change };
    const file = this.#file;
    this.#saved = this.#saved.then(() =>
      writeDriverFile(this.#directory, file, this.#confirm).catch(() => undefined),
    );
  }

  /** Resolves when the latest change is on disk. */
  get saved(): Promise<void> {
    return this.#saved;
  }

  /** Removes the file. Fails, and leaves it, when another driver has the directory. */
  async remove(): Promise<void> {
    await this.#saved;
    await this.#confirm?.();
    await removeDriverFile(this.#directory);
  }
}

function parse(content: string, file: string): DriverFile {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch {
    // The schema refuses what is not JSON, too.
  }
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  throw new MatrixError("usage", `${file} is not a driver's file`, {
    hint: `--join takes a URL, or the ${DRIVER_FILE} of a run directory`,
  });
}
