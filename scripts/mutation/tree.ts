// A temporary copy of the project, in which sources are replaced and tests run. The working tree is
// never written to.

import { existsSync } from "node:fs";
import { chmod, cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

export interface Tree extends AsyncDisposable {
  readonly root: string;
  /** Folder beside the copy for what runs leave behind. */
  readonly scratch: string;
  write(file: string, text: string): Promise<void>;
}

/** Exit code of the stand-in for the binary: a test that needs the binary fails with it. */
const NO_BINARY = 97;

/**
 * Copies what git tracks, and new files that it does not ignore. Packages and engines' tools are
 * linked; `withBinary` links dist/ too, otherwise a stand-in that always fails takes its place.
 */
export async function copyProject(
  project: string,
  files: readonly string[],
  withBinary: boolean,
): Promise<Tree> {
  const folder = await mkdtemp(join(tmpdir(), "mutate-"));
  const root = join(folder, "matrix");
  const scratch = join(folder, "s");
  await mkdir(scratch);
  for (const file of files) {
    const from = join(project, file);
    if (existsSync(from)) await cp(from, join(root, file), { recursive: true });
  }
  for (const name of ["node_modules", ".tools", ...(withBinary ? ["dist"] : [])]) {
    if (existsSync(join(project, name))) await symlink(join(project, name), join(root, name));
  }
  if (!withBinary) await writeStandIn(join(root, "dist/matrix"));
  return {
    root,
    scratch,
    write: async (file, text) => {
      await mkdir(dirname(join(root, file)), { recursive: true });
      await writeFile(join(root, file), text);
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

async function writeStandIn(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `#!/bin/sh\nexit ${NO_BINARY}\n`);
  await chmod(path, 0o755);
}

/** Paths of the project's files, relative to `project`. */
export function listProject(project: string): string[] {
  const { stdout, exitCode } = Bun.spawnSync(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
    { cwd: project, stderr: "inherit" },
  );
  if (exitCode !== 0) throw new Error(`git could not list the files of ${project}`);
  return [...new Set(stdout.toString().split("\0"))].filter(
    (file) => file !== "" && existsSync(join(project, file)),
  );
}
