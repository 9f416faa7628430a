// driver.json in the run directory: where the driver is, and the token that proves membership.
// Hosts on a shared file system find their driver by it, and so does the next driver of the run. It
// exists while a run has hosts, only its owner can read it, and it is written whole or not at all.

import { open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { MatrixError, messageOf } from "../error.ts";

export const DRIVER_FILE = "driver.json";
const OWNER_ONLY = 0o600;

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
 * `path`: the file, or its folder. Returns null when there is no file. Fails with `usage` when the
 * file cannot be read or holds something else.
 */
export async function readDriverFile(path: string): Promise<DriverFile | null> {
  for (const file of [join(path, DRIVER_FILE), path]) {
    let content: string;
    try {
      content = await readFile(file, "utf8");
    } catch (cause) {
      const code = (cause as { code?: unknown }).code;
      if (code === "ENOENT" || code === "ENOTDIR" || code === "EISDIR") continue;
      throw new MatrixError("usage", `cannot read ${file}: ${messageOf(cause)}`, { cause });
    }
    return parse(content, file);
  }
  return null;
}

export async function writeDriverFile(directory: string, file: DriverFile): Promise<void> {
  const path = join(directory, DRIVER_FILE);
  const handle = await open(`${path}.tmp`, "w", OWNER_ONLY);
  try {
    await handle.chmod(OWNER_ONLY);
    await handle.writeFile(`${JSON.stringify(file, null, 2)}\n`);
  } finally {
    await handle.close();
  }
  await rename(`${path}.tmp`, path);
}

/** Removes the file at the end of a run, when no host needs to find the driver any more. */
export async function removeDriverFile(directory: string): Promise<void> {
  await rm(join(directory, DRIVER_FILE), { force: true });
}

/** Keeps driver.json up to date while a driver lives. Writes never overlap. */
export class DriverFileKeeper {
  readonly #directory: string;
  #file: DriverFile;
  #saved: Promise<void> = Promise.resolve();

  private constructor(directory: string, file: DriverFile) {
    this.#directory = directory;
    this.#file = file;
  }

  /** Writes the file. Fails when it cannot be written. */
  static async create(directory: string, file: DriverFile): Promise<DriverFileKeeper> {
    await writeDriverFile(directory, file);
    return new DriverFileKeeper(directory, file);
  }

  /** Notes a change for the next driver. A full disk does not end the run here: the records do. */
  save(change: Partial<DriverFile>): void {
    this.#file = { ...this.#file, ...change };
    const file = this.#file;
    this.#saved = this.#saved.then(() =>
      writeDriverFile(this.#directory, file).catch(() => undefined),
    );
  }

  async remove(): Promise<void> {
    await this.#saved;
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
