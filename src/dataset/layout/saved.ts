// Folders that `save_to_disk` of the `datasets` library writes: one folder for a dataset, or one
// below for each of its splits. Their other JSON files describe the dataset and are no rows.

import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { MatrixError, messageOf } from "../../error.ts";
import { isJsonObject, type Json } from "../../task/json.ts";

/** The files of such a folder, in their order; null for any other folder. */
export function savedFiles(folder: string): readonly string[] | null {
  const splits = readMember(join(folder, "dataset_dict.json"), "splits");
  if (Array.isArray(splits)) {
    const [only] = splits;
    if (splits.length === 1) return savedFiles(join(folder, String(only)));
    throw new MatrixError("dataset_invalid", `${folder} has several splits: ${splits.join(", ")}`, {
      hint: `name one of them, such as ${join(folder, String(only))}`,
    });
  }
  const files = readMember(join(folder, "state.json"), "_data_files");
  if (!Array.isArray(files)) return null;
  return files.map((file: Json) => {
    const name = isJsonObject(file) ? file["filename"] : null;
    // Any program may have written the file with the names.
    if (typeof name !== "string" || basename(name) !== name)
      throw new MatrixError("dataset_invalid", `${folder}/state.json names no file of its folder`);
    return join(folder, name);
  });
}

/** A member of a JSON file; null where there is no such file or member. */
function readMember(path: string, name: string): Json {
  if (!existsSync(path)) return null;
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    return isJsonObject(value) ? (value[name] ?? null) : null;
  } catch (cause) {
    throw new MatrixError("dataset_invalid", `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
}
