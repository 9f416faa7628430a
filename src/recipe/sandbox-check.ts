// Checks one sandbox: its files exist, and its engine can run its image.

import { existsSync } from "node:fs";
import type { Complaint } from "./complaint.ts";
import { isImagePath, type SandboxConfig } from "./schema/sandbox-schema.ts";

/** `key` is the path of the sandbox's table. */
export function checkSandbox(
  key: string,
  { image, engine, warm, count, mounts }: SandboxConfig,
): Complaint[] {
  const complaints: Complaint[] = [];
  const add = (part: string, message: string): void =>
    void complaints.push({ key: part === "" ? key : `${key}.${part}`, message });
  if (image === undefined && engine !== "process")
    add("", "a sandbox needs an image unless its engine is process");
  if (image?.endsWith(".sif") && engine === "docker")
    add("image", "Docker cannot run a SIF; set engine to auto or apptainer");
  if (image !== undefined && engine !== "process" && isImagePath(image) && !existsSync(image))
    add("image", `no such file or folder: ${image}`);
  if (warm > count) add("warm", `found ${warm}; allowed: at most count, which is ${count}`);
  for (const [index, { source }] of mounts.entries())
    if (!existsSync(source)) add(`mounts.${index}.source`, `no such file or folder: ${source}`);
  if (mounts.length > 0 && engine === "process")
    add("mounts", "plain processes already see the files of this machine; remove the mounts");
  return complaints;
}
