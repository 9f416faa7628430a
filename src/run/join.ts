// Finds the driver of a run, and the token that proves that a process belongs to it.

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join as joinPath } from "node:path";
import { MatrixError, messageOf } from "../error.ts";
import type { DriverAddress } from "../host/driver-calls.ts";
import { hostnameOf, isLoopback } from "../http/address.ts";
import { knowSecret } from "../known-secrets.ts";
import { DRIVER_FILE, readDriverFile } from "../records/driver-file.ts";
import { MANIFEST_FILE, readManifest } from "../records/manifest.ts";

/**
 * The token in MATRIX_TOKEN, or in the file that MATRIX_TOKEN_FILE names; null when neither is set.
 * It never stands on the command line, which other users can read.
 */
export async function readToken(
  env: Readonly<Record<string, string | undefined>>,
): Promise<string | null> {
  const { MATRIX_TOKEN: token, MATRIX_TOKEN_FILE: path } = env;
  if (token !== undefined && token !== "") return checked(token, "MATRIX_TOKEN");
  if (path === undefined || path === "") return null;
  try {
    return checked((await readFile(path, "utf8")).trim(), path);
  } catch (cause) {
    if (cause instanceof MatrixError) throw cause;
    throw new MatrixError(
      "usage",
      `cannot read the token in ${path} (MATRIX_TOKEN_FILE): ${messageOf(cause)}`,
      { cause },
    );
  }
}

const TOKEN_CHARS_MIN = 16;

function checked(token: string, from: string): string {
  if (token.length >= TOKEN_CHARS_MIN && /^[\x21-\x7e]+$/.test(token)) {
    knowSecret(token, "MATRIX_TOKEN");
    return token;
  }
  throw new MatrixError(
    "usage",
    `the token of ${from} is too weak: it needs at least ${TOKEN_CHARS_MIN} visible ASCII characters`,
    {
      hint: "openssl rand -hex 32",
    },
  );
}

/**
 * Makes a function that finds the driver. `join` is a URL, the driver's file, or the run directory
 * that the file is in. The function answers with null while there is no such file.
 */
export function createFinder(
  join: string,
  token: string | null,
  insecure: boolean,
): () => Promise<DriverAddress | null> {
  if (!/^https?:\/\//.test(join)) {
    return async () => {
      const file = await readDriverFile(join);
      return file === null
        ? null
        : allowed({ url: file.url, token: token ?? file.token }, insecure);
    };
  }
  if (token === null) {
    throw new MatrixError("usage", `--join ${join} needs the run's token`, {
      hint: `set MATRIX_TOKEN or MATRIX_TOKEN_FILE (the token is in the run directory's ${DRIVER_FILE}), or give --join the path of that file`,
    });
  }
  const address = allowed({ url: new URL(join).origin, token }, insecure);
  return async () => address;
}

/** The run directory as this process reaches it; null when `join` does not lead there. */
export function runDirectoryOf(join: string): string | null {
  return (
    [join, dirname(join)].find((folder) => existsSync(joinPath(folder, MANIFEST_FILE))) ?? null
  );
}

/**
 * Tells whether the run that `join` leads to is complete and no driver is at work in its directory.
 * Never true for a URL, which leads to no files.
 */
export async function isComplete(join: string): Promise<boolean> {
  const directory = runDirectoryOf(join);
  if (directory === null) return false;
  try {
    if ((await readDriverFile(directory)) !== null) return false;
    return (await readManifest(directory))?.state === "complete";
  } catch {
    // A file that is being replaced is looked at again.
    return false;
  }
}

/**
 * The name of a host whose user gave it none: that of the machine, as Slurm calls it, and of the
 * process. The name of a pod (POD_NAME) is its own.
 */
export function defaultHostName(
  env: Readonly<Record<string, string | undefined>>,
  hostname: string,
  pid: number,
): string {
  const { POD_NAME: pod, SLURMD_NODENAME: node } = env;
  if (pod !== undefined && pod !== "") return pod;
  const machine = node === undefined || node === "" ? hostname : node;
  return `${machine.split(".")[0]}-${pid}`;
}

function allowed(address: DriverAddress, insecure: boolean): DriverAddress {
  if (new URL(address.url).protocol === "https:" || insecure || isLoopback(hostnameOf(address.url)))
    return address;
  throw new MatrixError("usage", `${address.url} is another machine, in cleartext`, {
    hint: "use https://, or pass --insecure here too when the driver runs with it",
  });
}
