// A recipe as it travels to a host: its text and every file that it names or that these import, and nothing else. Rows stay
// with the driver. What arrives comes from the network: names and sizes are checked before anything is written.

import { mkdir, readdir, writeFile } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { MatrixError, messageOf } from "../error.ts";
import { isJsonObject } from "../task/json.ts";
import { type Environment, mapLeaves, secretNames } from "./compose.ts";
import { readRecipeFile } from "./files.ts";
import { moveGraphPath } from "./graph-path.ts";
import type { LoadedRecipe } from "./load.ts";
import { filesOf } from "./references.ts";
import { writeToml } from "./source.ts";

const BUNDLE_BYTES_MAX = 64 * 2 ** 20;
const BUNDLE_FILES_MAX = 10_000;
const NAME_BYTES_MAX = 4096;
const RECIPE_FILE = "recipe.toml";
/** Every file lies under it, so that none can take the recipe's place. */
const FILES_FOLDER = "files";

export interface Bundle {
  /** TOML. Its files are named by their paths in the bundle; secrets are references still. */
  readonly recipe: string;
  /** By path in the bundle: relative, with "/" between its parts. */
  readonly files: Readonly<Record<string, Uint8Array>>;
  /** What the variables of the secrets stand for; empty where the channel is not safe. */
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
  // Modules import each other by relative paths: the tree keeps its shape.
  const folder = commonFolder([...contents.keys()]);
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

/** A key's text where its file, if it names one, has another name. */
function moved(key: string, text: string, name: string | undefined): string {
  if (name === undefined) return text;
  return key === "orchestrator.graph" ? moveGraphPath(text, name) : name;
}

/** Fails with `recipe_invalid` when it is no bundle, holds a name that leaves its folder, or is too large. */
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
    if (!(bytes instanceof Uint8Array)) throw refused(`its file ${name} is no bytes`);
    total += bytes.byteLength;
  }
  if (total > BUNDLE_BYTES_MAX)
    throw refused(`it has ${total} bytes; allowed: ${BUNDLE_BYTES_MAX}`);
  if (Object.values(secrets).some((secret) => typeof secret !== "string"))
    throw refused("a secret in it is no text");
  return value as Bundle;
}

/** Writes the recipe and its files into an empty folder of the caller's own, for nobody else to read; answers the recipe's path. */
export async function unpackBundle(bundle: Bundle, folder: string): Promise<string> {
  const { recipe, files } = parseBundle(bundle);
  const path = join(folder, RECIPE_FILE);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    // Whatever lies there already could be a link that leads elsewhere.
    if ((await readdir(folder)).length > 0) throw new Error("it is not empty");
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

/** Every file that a host needs, by its absolute path. */
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
          `symbolic links make two different files of ${path}; import one of them by another path`,
        );
      contents.set(path, bytes);
      total += bytes.length;
      if (total <= BUNDLE_BYTES_MAX) continue;
      const what =
        path === named ? `${path} is too large` : `it imports ${path}, which is too large`;
      throw refuse(
        key,
        `${what}: with it the recipe's files have ${total} bytes; allowed: ${BUNDLE_BYTES_MAX} (64 MiB)`,
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

function commonFolder(paths: readonly string[]): string {
  const folders = paths.map((path) => dirname(path).split(sep));
  const [first = []] = folders;
  const differs = first.findIndex((part, index) =>
    folders.some((folder) => folder[index] !== part),
  );
  return (differs === -1 ? first : first.slice(0, differs)).join(sep) || sep;
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
  return new MatrixError("recipe_invalid", `the driver's recipe is refused: ${what}`);
}
