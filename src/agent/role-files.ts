// The files that a role brings into its sandbox: its program, the modules that this program
// imports, and the files that the role names. A program there sees nothing else of the machine, so
// a secret beside it stays outside.

import { readFile } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { commonFolder, isFolder, readRecipeFile } from "../recipe/files.ts";
import { joinKey } from "../recipe/key-path.ts";
import { BUILT_IN_AGENTS } from "../recipe/schema/role-schema.ts";
import type { Recipe, RoleConfig } from "../recipe/schema/schema.ts";
import type { Brought } from "../sandbox/staging.ts";

/** The folder of a role's files, as its sandbox sees it. */
export function folderOf(role: string): string {
  return `/agents/${role}`;
}

/** The files and folders that a role names, each with its key. */
export function namedFiles(
  name: string,
  { agent, files }: Pick<RoleConfig, "agent" | "files">,
): readonly (readonly [key: string, path: string])[] {
  const key = joinKey("roles", name);
  return [
    ...(BUILT_IN_AGENTS.includes(agent) ? [] : [[`${key}.agent`, agent] as const]),
    ...files.map((path, index) => [`${key}.files.${index}`, path] as const),
  ];
}

/**
 * Contents of a role's files by their path from one folder, and the path of its program; null for
 * an agent that is no file. Fails with `recipe_invalid` when a file cannot be read.
 */
export async function readRoleFiles({
  agent,
  files,
}: Pick<RoleConfig, "agent" | "files">): Promise<{
  readonly program: string | null;
  readonly contents: ReadonlyMap<string, Uint8Array>;
}> {
  const own = BUILT_IN_AGENTS.includes(agent) ? [] : [agent];
  const named = [...own, ...files];
  const read = (await Promise.all(named.map(readRecipeFile))).flat();
  // Programs find their files by relative paths, so the tree must keep its shape.
  const top = commonFolder([
    ...read.map(({ path }) => path),
    ...named.map((path) => (isFolder(path) ? join(path, "-") : path)),
  ]);
  const nameOf = (path: string) => relative(top, path).split(sep).join("/");
  return {
    program: own.length === 0 ? null : nameOf(agent),
    contents: new Map(read.map(({ path, bytes }) => [nameOf(path), bytes])),
  };
}

/** Tells whether `@agent` marks the agent of a Python program, so that the library starts it. */
export async function marksAgent(program: string): Promise<boolean> {
  const source = await readFile(program, "utf8").catch(() => "");
  return /^@(?:matrix_agent\.)?agent\b/m.test(source);
}

/** Reads the files that roles bring into a sandbox. Plain processes see the machine's own files. */
export async function filesIn(
  { roles, sandboxes }: Pick<Recipe, "roles" | "sandboxes">,
  sandbox: string,
): Promise<readonly Brought[]> {
  if (sandboxes[sandbox]?.engine === "process") return [];
  const brought = Object.entries(roles)
    .filter(([, role]) => role.sandbox === sandbox)
    .map(async ([name, role]) => ({
      target: folderOf(name),
      contents: (await readRoleFiles(role)).contents,
    }));
  return (await Promise.all(brought)).filter(({ contents }) => contents.size > 0);
}
