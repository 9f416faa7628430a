// A temporary copy of the project, in which sources are replaced and tests run. The working tree is
// never written to.

import { existsSync, readdirSync, readlinkSync } from "node:fs";
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

export interface Tree extends AsyncDisposable {
  readonly root: string;
  /** Folder beside the copy for what runs leave behind. */
  readonly scratch: string;
  write(file: string, text: string): Promise<void>;
  /** Builds dist/matrix from the copy's sources. */
  build(): void;
}

/** Copies the given files of the project. Installed packages and the pinned Bun are linked. */
export async function copyProject(project: string, files: readonly string[]): Promise<Tree> {
  const folder = await mkdtemp(join(tmpdir(), "mutate-"));
  const root = join(folder, "matrix");
  const scratch = join(folder, "s");
  await mkdir(scratch);
  for (const file of files) {
    const from = join(project, file);
    if (existsSync(from))
      await cp(from, join(root, file), { recursive: true, preserveTimestamps: true });
  }
  for (const name of ["node_modules", ".tools"]) {
    if (existsSync(join(project, name))) await symlink(join(project, name), join(root, name));
  }
  return {
    root,
    scratch,
    write: async (file, text) => {
      await mkdir(dirname(join(root, file)), { recursive: true });
      await writeFile(join(root, file), text);
    },
    build: () => {
      const { exitCode } = Bun.spawnSync(["scripts/build"], { cwd: root, stdout: "ignore" });
      if (exitCode !== 0) throw new Error(`the binary could not be built in ${root}`);
    },
    [Symbol.asyncDispose]: async () => {
      endProcessesIn(folder);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/**
 * Ends what tests left running in their own groups, as a mutant may make them do. Linux only.
 */
function endProcessesIn(folder: string): void {
  const pids = existsSync("/proc/self/cwd") ? readdirSync("/proc").filter(Number) : [];
  for (const pid of pids) {
    try {
      const isInside = readlinkSync(`/proc/${pid}/cwd`).startsWith(`${folder}/`);
      if (isInside) process.kill(Number(pid), "SIGKILL");
    } catch {
      // It has ended, or belongs to another user.
    }
  }
}
