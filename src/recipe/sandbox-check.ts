// Checks one sandbox: a role uses it, its files exist, and its engine can run its image.

import { existsSync } from "node:fs";
import type { Complaint } from "./complaint.ts";
import { isImagePath, type SandboxConfig } from "./schema/sandbox-schema.ts";
import type { Recipe } from "./schema/schema.ts";

/** `key` is the path of the sandbox's table. */
export function checkSandbox(
  name: string,
  key: string,
  { image, engine, warm, count, mounts }: SandboxConfig,
  { roles }: Recipe,
): Complaint[] {
  const complaints: Complaint[] = [];
  const add = (part: string, message: string): void =>
    void complaints.push({ key: part === "" ? key : `${key}.${part}`, message });
  if (!Object.values(roles).some(({ sandbox }) => sandbox === name))
    add("", "no role uses this sandbox");
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
