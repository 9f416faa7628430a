// The project as it stands in the working tree: its files, its sources and all of their mutants.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createImportGraph, type ImportGraph } from "./imports.ts";
import { folderOf, type Instrumented, instrument, type Mutant } from "./instrument.ts";
import { type Options, UsageError } from "./options.ts";

export interface Project {
  readonly root: string;
  /** Paths of all files that belong to it, relative to `root`. */
  readonly files: readonly string[];
  readonly graph: ImportGraph;
  /** By path. */
  readonly sources: ReadonlyMap<string, Instrumented>;
  readonly mutants: readonly Mutant[];
}

export async function readProject(root: string): Promise<Project> {
  const files = listFiles(root);
  const sources = new Map<string, Instrumented>();
  for (const path of files) {
    if (!isSource(path)) continue;
    sources.set(path, await instrument(path, readFileSync(join(root, path), "utf8")));
  }
  const mutants = [...sources.values()].flatMap((source) => source.mutants);
  return { root, files, graph: createImportGraph(root), sources, mutants };
}

/** Tells whether a file holds code to change. Declarations hold types alone. */
export function isSource(path: string): boolean {
  return /^src\/.*\.ts$/.test(path) && !path.endsWith(".d.ts");
}

/** Paths that git tracks, and new ones that it does not ignore. */
export function listFiles(root: string): string[] {
  const { stdout, exitCode } = Bun.spawnSync(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
    { cwd: root, stderr: "inherit" },
  );
  if (exitCode !== 0) throw new Error(`git could not list the files of ${root}`);
  return [...new Set(stdout.toString().split("\0"))].filter(
    (file) => file !== "" && existsSync(join(root, file)),
  );
}

/** The mutants that the options speak of, in groups that a sample is drawn from each. */
export function chooseMutants(project: Project, options: Options): Mutant[][] {
  const { sources, mutants } = project;
  const known = new Set([...sources.keys()].map(folderOf));
  for (const folder of options.folders ?? []) {
    if (!known.has(folder)) {
      throw new UsageError(`src/ has no folder "${folder}". It has ${[...known].join(", ")}.`);
    }
  }
  for (const file of options.files ?? []) {
    if (!sources.has(file)) throw new UsageError(`there is no source ${file}`);
  }
  for (const id of options.mutants ?? []) {
    if (!mutants.some((mutant) => mutant.id === id))
      throw new UsageError(`there is no mutant ${id}`);
  }
  const changed = options.changed ? changedFiles(project.root) : null;
  const chosen = mutants.filter(
    ({ id, file }) =>
      (options.folders?.includes(folderOf(file)) ?? true) &&
      (options.files?.includes(file) ?? true) &&
      (options.mutants?.includes(id) ?? true) &&
      (changed?.has(file) ?? true),
  );
  return [...Map.groupBy(chosen, ({ file }) => folderOf(file)).values()];
}

function changedFiles(root: string): ReadonlySet<string> {
  const git = (...args: string[]) =>
    Bun.spawnSync(["git", ...args], { cwd: root, stderr: "ignore" })
      .stdout.toString()
      .trim();
  const base = git("merge-base", "HEAD", "main") || git("merge-base", "HEAD", "origin/main");
  if (base === "") throw new UsageError("there is no main branch to compare with");
  return new Set(git("diff", "--name-only", base).split("\n"));
}

/** The commit in short, with a mark where the working tree differs from it. */
export function describeCommit(root: string): string {
  const { stdout } = Bun.spawnSync(["git", "describe", "--always", "--dirty", "--exclude", "*"], {
    cwd: root,
  });
  return stdout.toString().trim();
}
