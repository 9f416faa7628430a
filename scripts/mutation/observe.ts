// The dry runs of all test files that may reach a sample, in a copy whose sources mark what is
// reached.

import type { Cache } from "./cache.ts";
import { dryRun, type Layout, type LeftOut, type TestFile } from "./dry-run.ts";
import { folderOf, type Mutant } from "./instrument.ts";
import type { Options } from "./options.ts";
import { inParallel } from "./parallel.ts";
import type { Project } from "./project.ts";
import type { Tree } from "./tree.ts";

export interface Observation {
  readonly tests: readonly TestFile[];
  readonly leftOut: readonly LeftOut[];
}

export async function observeTests(
  project: Project,
  tree: Tree,
  cache: Cache,
  sample: readonly Mutant[],
  { jobs, withBinary }: Options,
): Promise<Observation> {
  const layout = await writeMarkingSources(project, tree);
  if (withBinary) tree.build();
  const mirrored = new Set(sample.map(({ file }) => folderOf(file)));
  const allSources = Bun.hash([...project.sources.values()].map(({ source }) => source).join());
  const found = await inParallel(chooseTests(project, sample, withBinary), jobs, async (path) => {
    const isMirrored = mirrored.has(folderOf(path));
    const digest = project.graph.digest(path, () => true);
    const key = `${path} ${isMirrored} ${digest} ${isEndToEnd(path) ? allSources : ""}`;
    const known = cache.dryRuns.get(key);
    if (known) return known;
    const observed = await dryRun(tree, path, layout, isMirrored);
    cache.dryRuns.set(key, observed);
    return observed;
  });
  return {
    tests: found.filter((test): test is TestFile => !("reason" in test)),
    leftOut: found.filter((test): test is LeftOut => "reason" in test),
  };
}

async function writeMarkingSources({ sources }: Project, tree: Tree): Promise<Layout> {
  let total = 0;
  const parts = [...sources.values()].map(({ file, marks: count }) => {
    total += count;
    return { file, base: total - count, count };
  });
  for (const { file, base } of parts) {
    await tree.write(file, sources.get(file)?.coverageText(base, total) ?? "");
  }
  return { total, parts };
}

/** Test files that import a file of the sample. */
function chooseTests(project: Project, sample: readonly Mutant[], withBinary: boolean): string[] {
  const mutated = new Set(sample.map(({ file }) => file));
  const folders = new Set(sample.map(({ file }) => folderOf(file)));
  return project.files.filter((path) => {
    if (!/^tests\/.*\.test\.ts$/.test(path)) return false;
    // A test that starts the binary imports little of what it tests: its folder has to tell.
    if (isEndToEnd(path)) return withBinary && folders.has(folderOf(path));
    return [...project.graph.distances(path).keys()].some((file) => mutated.has(file));
  });
}

function isEndToEnd(test: string): boolean {
  return test.startsWith("tests/e2e/");
}
