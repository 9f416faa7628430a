// A bundle is a recipe on its way to a host: its text, the files that it names, and the files that
// those import. The dataset stays with the driver. A bundle arrives from the network, so the
// host checks names and sizes before it writes anything.

import { createHash } from "node:crypto";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { MatrixError, messageOf } from "../error.ts";
import { isJsonObject } from "../task/json.ts";
import { type Environment, mapLeaves, secretNames } from "./compose.ts";
import { commonFolder, filesOf, isFolder, readRecipeFile } from "./files.ts";
import { moveGraphPath } from "./graph-path.ts";
import type { LoadedRecipe } from "./load.ts";
import { writeToml } from "./source.ts";

const BUNDLE_BYTES_MAX = 64 * 2 ** 20;
const BUNDLE_FILES_MAX = 10_000;
const NAME_BYTES_MAX = 4096;
const RECIPE_FILE = "recipe.toml";
/** The folder of all files, so that no file can take the place of the recipe. */
const FILES_FOLDER = "files";

export interface Bundle {
  /** TOML. It names files by their paths in the bundle; secrets are still references. */
  readonly recipe: string;
  /** Contents by path in the bundle: relative, with "/" between its parts. */
  readonly files: Readonly<Record<string, Uint8Array>>;
  /** Values of the variables that secrets refer to; empty when the channel is not encrypted. */
  readonly secrets: Readonly<Record<string, string>>;
}

export interface BundleOptions {
  readonly env: Environment;
  readonly withSecrets: boolean;
}

/** Fails with `recipe_invalid` when a file cannot be read or all of them together are too large. */
export async function createBundle(
  loaded: LoadedRecipe,
  { env, withSecrets }: BundleOptions,
): Promise<Bundle> {
  const contents = await readContents(loaded);
  // Modules import each other by relative paths, so the tree must keep its shape.
  const folder = commonFolder([
    ...contents.keys(),
    ...filesOf(loaded.recipe).map(([, path]) => (isFolder(path) ? join(path, "-") : path)),
  ]);
  const nameOf = (path: string) => [FILES_FOLDER, ...relative(folder, path).split(sep)].join("/");
  const names = new Map(filesOf(loaded.recipe).map(([key, path]) => [key, nameOf(path)]));
  const secrets = secretNames(loaded.resolved).flatMap((name) =>
    env[name] === undefined ? [] : [[name, env[name]] as const],
  );
  return {
    recipe: writeToml(
      mapLeaves(loaded.resolved, "", (text, key) => moved(key, text, names.get(key))),
    ),
    files: Object.fromEntries([...contents].map(([path, bytes]) => [nameOf(path), bytes])),
    secrets: withSecrets ? Object.fromEntries(secrets) : {},
  };
}

/**
 * A short name of what hosts have from a bundle: its files and secrets. Keys of the recipe that
 * drivers of one run may change, such as its budget, are left out.
 */
export function digestOf({ files, secrets }: Bundle): string {
  const hash = createHash("sha256");
  for (const group of [files, secrets]) {
    const names = Object.keys(group).sort();
    hash.update(`${names.length};`);
    for (const part of names.flatMap((name) => [name, group[name] ?? ""]))
      hash.update(`${Buffer.byteLength(part)}:`).update(part);
  }
  return hash.digest("hex").slice(0, 16);
}

/** The text of a key under its file's name in the bundle. A key without a file keeps its text. */
function moved(key: string, text: string, name: string | undefined): string {
  if (name === undefined) return text;
  return key === "orchestrator.graph" ? moveGraphPath(text, name) : name;
}

/**
 * Checks a received value. Fails with `recipe_invalid` when it is not a bundle, when a name leads
 * out of its folder, or when it is too large.
 */
export function parseBundle(value: unknown): Bundle {
  const { recipe, files, secrets } = (value ?? {}) as Record<string, unknown>;
  if (typeof recipe !== "string" || !isJsonObject(files) || !isJsonObject(secrets))
    throw refused("it has no recipe, files and secrets");
  const contents = Object.entries(files as Record<string, unknown>);
  if (contents.length > BUNDLE_FILES_MAX)
    throw refused(`it has ${contents.length} files; allowed: ${BUNDLE_FILES_MAX}`);
  let total = 0;
  for (const [name, bytes] of contents) {
    if (!isSafeName(name))
      throw refused(`it has a file named ${JSON.stringify(name.slice(0, 200))}`);
    if (!(bytes instanceof Uint8Array)) throw refused(`its file ${name} is not bytes`);
    total += bytes.byteLength;
  }
  if (total > BUNDLE_BYTES_MAX)
    throw refused(`it has ${total} bytes; allowed: ${BUNDLE_BYTES_MAX}`);
  if (Object.values(secrets).some((secret) => typeof secret !== "string"))
    throw refused("one of its secrets is not text");
  return value as Bundle;
}

/**
 * Writes the recipe and its files into an empty folder, readable by the user alone, and returns the
 * path of the recipe.
 */
export async function unpackBundle(bundle: Bundle, folder: string): Promise<string> {
  const { recipe, files } = parseBundle(bundle);
  const path = join(folder, RECIPE_FILE);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    // A symbolic link that lies there could lead the files to another place.
    if ((await readdir(folder)).length > 0) throw new Error("the folder is not empty");
    for (const [name, bytes] of [[RECIPE_FILE, recipe] as const, ...Object.entries(files)]) {
      const target = join(folder, name);
      await mkdir(dirname(target), { recursive: true, mode: 0o700 });
      await writeFile(target, bytes, { mode: 0o600, flag: "wx" });
    }
  } catch (cause) {
    throw new MatrixError(
      "recipe_invalid",
      `cannot unpack the driver's recipe into ${folder}: ${messageOf(cause)}`,
      { cause },
    );
  }
  return path;
}

/** Contents of every file that a host needs, by absolute path. */
async function readContents({
  recipe,
  problemAt,
}: LoadedRecipe): Promise<ReadonlyMap<string, Uint8Array>> {
  const contents = new Map<string, Buffer>();
  const refuse = (key: string, message: string) =>
    new MatrixError("recipe_invalid", "the recipe cannot be sent to hosts", {
      problems: [problemAt(key, message)],
    });
  let total = 0;
  for (const [key, named] of filesOf(recipe)) {
    for (const { path, bytes } of await readRecipeFile(named)) {
      const other = contents.get(path);
      if (other?.equals(bytes)) continue;
      if (other !== undefined)
        throw refuse(
          key,
          `two different files have the path ${path} by symbolic links; import one by another path`,
        );
      contents.set(path, bytes);
      total += bytes.length;
      if (total <= BUNDLE_BYTES_MAX) continue;
      const what =
        path === named ? `${path} is too large` : `it imports ${path}, which is too large`;
      throw refuse(
        key,
        `${what}: with it the recipe's files have ${total} bytes; ` +
          `allowed: ${BUNDLE_BYTES_MAX} (64 MiB)`,
      );
    }
  }
  if (contents.size > BUNDLE_FILES_MAX)
    throw new MatrixError(
      "recipe_invalid",
      `the recipe reads ${contents.size} files; allowed: ${BUNDLE_FILES_MAX}`,
    );
  return contents;
}

function isSafeName(name: string): boolean {
  const [top, ...parts] = name.split("/");
  if (
    top !== FILES_FOLDER ||
    parts.length === 0 ||
    Buffer.byteLength(name) > NAME_BYTES_MAX ||
    /[\0\\]/.test(name)
  )
    return false;
  return parts.every((part) => part !== "" && part !== "." && part !== "..");
}

function refused(what: string): MatrixError {
  return new MatrixError("recipe_invalid", `the recipe that the driver sent is refused: ${what}`);
}
