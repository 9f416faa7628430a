// Mutation testing: changes one small thing in src/ at a time and runs the nearest tests. A change
// that no test notices is a survivor. Stryker's instrumenter puts all mutants of a sample into one
// copy of the project, each behind a switch, so a trial costs one start of `bun test` and no build.
//
// Usage: scripts/mutate [options]; --help lists them. docs/mutation-testing.md tells how to read
// the result.

import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { matchAccepted, readAccepted } from "./accepted.ts";
import { endTestRuns } from "./bun-test.ts";
import { type Cache, openCache } from "./cache.ts";
import { createCompiler } from "./compile.ts";
import { folderOf, type Mutant } from "./instrument.ts";
import { observeTests } from "./observe.ts";
import { type Options, readOptions, USAGE, UsageError } from "./options.ts";
import { inParallel } from "./parallel.ts";
import { chooseMutants, describeCommit, type Project, readProject } from "./project.ts";
import {
  countFolders,
  formatEntries,
  formatJson,
  formatReport,
  isSurvivor,
  type Outcome,
} from "./report.ts";
import { drawSamples } from "./sample.ts";
import { copyProject, type Tree } from "./tree.ts";
import { createControls } from "./trial.ts";
import { findOutcome, type TrialContext } from "./verdicts.ts";

const ROOT = resolve(import.meta.dir, "../..");
const ACCEPTED = "scripts/mutation/accepted.toml";
const CACHE = "node_modules/.cache/matrix-mutation/results.json";
/** Verdicts between two writes of the cache: an interrupted run goes on from there. */
const SAVE_EVERY = 20;
const EXIT = { done: 0, below: 1, usage: 2, interrupted: 130 } as const;

try {
  const options = readOptions(process.argv.slice(2));
  if (options) process.exitCode = await measure(options);
  else process.stdout.write(USAGE);
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`${error.message}\n\n${USAGE}`);
  process.exitCode = EXIT.usage;
}

async function measure(options: Options): Promise<number> {
  const startedAt = performance.now();
  say("reading the sources and making their mutants");
  const project = await readProject(ROOT);
  const groups = chooseMutants(project, options);
  const { ids: acceptedIds, stale } = matchAccepted(
    readAccepted(join(ROOT, ACCEPTED)),
    project.mutants,
  );
  const cache = openCache(join(ROOT, CACHE), options.fresh);
  const tree = await copyProject(ROOT, project.files);
  endOnSignals(tree, cache);
  try {
    const sample = await draw(project, tree, cache, groups, options);
    say("running the test files that may reach the sample, without a mutant");
    const { tests, leftOut } = await observeTests(project, tree, cache, sample, options);
    for (const { path, reason } of leftOut) say(`left out ${path}: ${reason}`);
    await cache.save();
    const controls = createControls(tree, (test) =>
      say(`${test} fails without a mutant, and does not count any more`),
    );
    const context = { tree, graph: project.graph, cache, tests, controls, acceptedIds };
    const heading = () => {
      const minutes = ((performance.now() - startedAt) / 60_000).toFixed(1);
      return `mutation testing: seed ${options.seed}, commit ${describeCommit(ROOT)}, ${minutes} minutes`;
    };
    const outcomes = await tryAll(project, context, sample, options, heading);
    const formatted = {
      report: () => formatReport(heading(), outcomes, project),
      json: () => formatJson(options.seed, outcomes, stale, project),
      entries: () => formatEntries(outcomes),
    };
    console.log(formatted[options.print]());
    for (const { file, original, mutated } of stale) {
      say(`${ACCEPTED} has an entry for ${file} that fits no mutant: ${original} → ${mutated}`);
    }
    const below = countFolders(outcomes).filter(({ share }) => share < options.shareMin);
    for (const { folder } of below) say(`${folder} is below --min`);
    return below.length > 0 ? EXIT.below : EXIT.done;
  } finally {
    await cache.save();
    if (options.keep) say(`the copy is ${tree.root}`);
    else await tree[Symbol.asyncDispose]();
  }
}

async function draw(
  { root, sources }: Project,
  tree: Tree,
  cache: Cache,
  groups: readonly (readonly Mutant[])[],
  options: Options,
): Promise<Mutant[]> {
  if (options.mutants) return groups.flat();
  say(`drawing ${options.perFolder} mutants a folder that compile, by seed ${options.seed}`);
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const compiler = createCompiler(tree, tsc, sources, cache.refused);
  const drawn = await drawSamples(groups, options.perFolder, options.seed, compiler.refused);
  return drawn.flat();
}

async function tryAll(
  { sources }: Project,
  context: TrialContext,
  sample: readonly Mutant[],
  options: Options,
  heading: () => string,
): Promise<Outcome[]> {
  const ids = new Set(sample.map(({ id }) => id));
  const mutated = new Set(sample.map(({ file }) => file));
  for (const { file, source, switchText } of sources.values()) {
    await context.tree.write(file, mutated.has(file) ? switchText(ids) : source);
  }
  if (options.withBinary) context.tree.build();
  say(`trying ${sample.length} mutants`);
  const outcomes: Outcome[] = [];
  return inParallel(sample, options.jobs, async (mutant) => {
    const outcome = await findOutcome(context, mutant);
    outcomes.push(outcome);
    if (outcomes.length % SAVE_EVERY === 0) {
      const survivors = outcomes.filter(isSurvivor).length;
      say(`${outcomes.length} of ${sample.length} tried, ${survivors} survived`);
      await context.cache.save();
    }
    const folder = folderOf(mutant.file);
    const done = outcomes.filter((of) => folderOf(of.mutant.file) === folder);
    const drawn = sample.filter(({ file }) => folderOf(file) === folder);
    if (options.output !== null && done.length === drawn.length) {
      mkdirSync(options.output, { recursive: true });
      const report = formatReport(heading(), done, { sources });
      writeFileSync(join(options.output, `${folder}.txt`), `${report}\n`);
    }
    return outcome;
  });
}

function endOnSignals(tree: Tree, cache: Cache): void {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, async () => {
      endTestRuns();
      await cache.save();
      await tree[Symbol.asyncDispose]();
      process.exit(EXIT.interrupted);
    });
  }
}

function say(line: string): void {
  process.stderr.write(`• ${line}\n`);
}
