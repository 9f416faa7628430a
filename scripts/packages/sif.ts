// A SIF of the image, made by Apptainer where this machine has it.

import { readFileSync, rmSync } from "node:fs";
import { basename } from "node:path";
import type { Release } from "./release.ts";

/** Null, with a line that says so, where there is no Apptainer. */
export async function sif(
  image: string,
  { epoch }: Release,
): Promise<{ readonly file: string; readonly body: Uint8Array } | null> {
  const native = process.arch === "x64" ? "amd64" : process.arch;
  if (Bun.which("apptainer") === null || !image.endsWith(`-${native}.tar`)) {
    console.log(`skipped: the SIF of ${basename(image)} needs Apptainer on such a machine`);
    return null;
  }
  const path = image.replace(/-image-(\w+)\.tar$/, "-$1.sif");
  const made = Bun.spawn(["apptainer", "build", "--force", path, `docker-archive:${image}`], {
    env: { ...process.env, SOURCE_DATE_EPOCH: String(epoch) },
    stdout: "ignore",
    stderr: "pipe",
  });
  const said = await new Response(made.stderr).text();
  if ((await made.exited) !== 0) throw new Error(`apptainer made no SIF: ${said}`);
  const body = readFileSync(path);
  rmSync(path);
  return { file: basename(path), body };
}
