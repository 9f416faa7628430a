// Mutation testing: changes one small thing in src/ at a time and runs the nearest tests. A change that
// no test notices is a survivor. Stryker's instrumenter puts all mutants of a sample into one copy of
// the project, each behind a switch, so a trial costs one start of `bun test` and no build.
//
// Usage: scripts/mutate [options], see USAGE below. How to read the result: docs/mutation-testing.md.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { entryOf, formatEntry, matchAccepted, readAccepted } from "./accepted.ts";
import { endTestRuns } from "./bun-test.ts";
import { openCache } from "./cache.ts";
import { createCompiler } from "./compile.ts";
import { dryRun, type TestFile } from "./dry-run.ts";
import { createImportGraph } from "./imports.ts";
import { folderOf, type Instrumented, instrument, type Mutant } from "./instrument.ts";
import {
  countFolders,
  countOutcomes,
  diffLines,
  formatSurvivor,
  formatTable,
  isSurvivor,
  type Outcome,
} from "./report.ts";
import { drawSamples } from "./sample.ts";
import { copyProject, listProject } from "./tree.ts";
import { createControls } from "./trial.ts";
import { judge } from "./verdicts.ts";

const USAGE = `Usage: scripts/mutate [options]

Changes one small thing in src/ at a time, and counts how many changes the tests notice.

  --folder NAME     only this folder of src/; may be given several times ("src" is its own files)
  --file PATH       only this file; may be given several times
  --mutant ID       only this mutant, as a report names it; may be given several times
  --changed         only files that differ from the main branch
  --per-folder N    mutants drawn from each folder (40)
  --seed TEXT       seed of the sample (0)
  --jobs N          test processes at a time (the number of cores)
  --min PERCENT     exit with 1 where a folder's share of noticed mutants is lower
  --with-binary     run the tests of tests/e2e/FOLDER too, with a binary that holds the mutants
  --output DIR      also write DIR/FOLDER.txt as soon as a folder is done
  --fresh           ask nothing from the cache of earlier runs
  --json            print one JSON object instead of the table and the list
  --entries         print the survivors as entries for scripts/mutation/accepted.toml
  --keep            leave the copy of the project in place, and print where it is

Progress goes to stderr. Exit codes: 0 done, 1 a share is below --min, 2 wrong usage.
`;

const ROOT = resolve(import.meta.dir, "../..");
const ACCEPTED = "scripts/mutation/accepted.toml";
const CACHE = "node_modules/.cache/matrix-mutation/results.json";
/** Verdicts between two writes of the cache: an interrupted run goes on from there. */
const SAVE_EVERY = 20;

const { values } = parseArgs({
  options: {
    folder: { type: "string", multiple: true },
    file: { type: "string", multiple: true },
    mutant: { type: "string", multiple: true },
    changed: { type: "boolean", default: false },
    "per-folder": { type: "string", default: "40" },
    seed: { type: "string", default: "0" },
    jobs: { type: "string", default: `${availableParallelism()}` },
    min: { type: "string" },
    "with-binary": { type: "boolean", default: false },
    output: { type: "string" },
    fresh: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    entries: { type: "boolean", default: false },
    keep: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

if (values.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const perFolder = positive("per-folder", values["per-folder"]);
const jobs = positive("jobs", values.jobs);

const project = listProject(ROOT);
const sources = new Map(
  project
    .filter((path) => /^src\/.*\.ts$/.test(path))
    .map((path) => [path, readFileSync(join(ROOT, path), "utf8")]),
);
const chosen = chooseFiles();
const cachePath = join(ROOT, CACHE);
const cache = openCache(values.fresh ? `${cachePath}.fresh` : cachePath);
const graph = createImportGraph(ROOT);
const startedAt = performance.now();

say(`instrumenting ${sources.size} files`);
const instrumented = new Map<string, Instrumented>();
for (const [file, source] of sources) instrumented.set(file, await instrument(file, source));
const mutants = [...instrumented.values()].flatMap((of) => of.mutants);

const { ids: acceptedIds, stale } = matchAccepted(readAccepted(join(ROOT, ACCEPTED)), mutants);

const named = values.mutant && mutants.filter(({ id }) => values.mutant?.includes(id));
if (named?.length === 0) refuse(`there is no mutant ${values.mutant?.join(", ")}`);

const tree = await copyProject(ROOT, project);
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, async () => {
    endTestRuns();
    await cache.save();
    await tree[Symbol.asyncDispose]();
    process.exit(130);
  });
}
try {
  const sample = await draw();
  const tests = await observeTests(sample);
  const outcomes = await tryAll(sample, tests);
  process.exitCode = print(outcomes);
} finally {
  await cache.save();
  if (values.keep) say(`the copy is ${tree.root}`);
  else await tree[Symbol.asyncDispose]();
}

/** Paths of the sources that mutants are drawn from. */
function chooseFiles(): ReadonlySet<string> {
  const folders = new Set([...sources.keys()].map(folderOf));
  for (const folder of values.folder ?? []) {
    if (!folders.has(folder)) refuse(`src/ has no folder "${folder}": ${[...folders].join(", ")}`);
  }
  for (const file of values.file ?? []) if (!sources.has(file)) refuse(`there is no file ${file}`);
  const changed = values.changed ? changedFiles() : null;
  return new Set(
    [...sources.keys()].filter(
      (file) =>
        (values.folder?.includes(folderOf(file)) ?? true) &&
        (values.file?.includes(file) ?? true) &&
        (changed?.has(file) ?? true),
    ),
  );
}

function changedFiles(): ReadonlySet<string> {
  const git = (...args: string[]) =>
    Bun.spawnSync(["git", ...args], { cwd: ROOT, stderr: "ignore" })
      .stdout.toString()
      .trim();
  const base = git("merge-base", "HEAD", "main") || git("merge-base", "HEAD", "origin/main");
  if (base === "") refuse("there is no main branch to compare with");
  return new Set(git("diff", "--name-only", base).split("\n"));
}

async function draw(): Promise<Mutant[]> {
  if (named) return named;
  say(
    `drawing ${perFolder} mutants a folder by seed ${values.seed}, and leaving out what tsc refuses`,
  );
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  const compiler = createCompiler(tree, tsc, sources, cache.refused);
  const folders = Map.groupBy(
    mutants.filter(({ file }) => chosen.has(file)),
    ({ file }) => folderOf(file),
  );
  const drawn = await drawSamples([...folders.values()], perFolder, values.seed, compiler.refused);
  return drawn.flat();
}

/** The dry run over the test files that import a file of the sample. */
async function observeTests(sample: readonly Mutant[]): Promise<TestFile[]> {
  const mutated = new Set(sample.map(({ file }) => file));
  const folders = new Set(sample.map(({ file }) => folderOf(file)));
  const paths = project.filter((path) => {
    if (!/^tests\/.*\.test\.ts$/.test(path)) return false;
    // A test that starts the binary imports little of what it tests: its folder has to tell.
    if (path.startsWith("tests/e2e/")) return values["with-binary"] && folders.has(folderOf(path));
    return [...graph.distances(path).keys()].some((file) => mutated.has(file));
  });
  let total = 0;
  const parts = [...instrumented.values()].map(({ file, marks: count }) => {
    total += count;
    return { file, base: total - count, count };
  });
  for (const { file, base } of parts) {
    await tree.write(file, instrumented.get(file)?.coverageText(base, total) ?? "");
  }
  if (values["with-binary"]) tree.build();
  say(`running ${paths.length} test files without a mutant`);
  const found = await inParallel(paths, async (path) => {
    const isMirrored = folders.has(folderOf(path));
    const binary = path.startsWith("tests/e2e/") ? Bun.hash([...sources.values()].join()) : "";
    const key = `${path} ${isMirrored} ${graph.digest(path, () => true)} ${binary}`;
    const known = cache.dryRuns.get(key);
    if (known) return known;
    const observed = await dryRun(tree, path, { total, parts }, isMirrored);
    cache.dryRuns.set(key, observed);
    return observed;
  });
  await cache.save();
  for (const test of found) if ("reason" in test) say(`left out ${test.path}: ${test.reason}`);
  return found.filter((test): test is TestFile => !("reason" in test));
}

async function tryAll(sample: readonly Mutant[], tests: readonly TestFile[]): Promise<Outcome[]> {
  const ids = new Set(sample.map(({ id }) => id));
  for (const { file, source, switchText } of instrumented.values()) {
    const isMutated = sample.some((mutant) => mutant.file === file);
    await tree.write(file, isMutated ? switchText(ids) : source);
  }
  if (values["with-binary"]) tree.build();
  say(`trying ${sample.length} mutants`);
  const controls = createControls(tree, (test) =>
    say(`${test} fails without a mutant, and counts no more`),
  );
  const court = { tree, graph, cache, tests, controls, acceptedIds };
  const outcomes: Outcome[] = [];
  return inParallel(sample, async (mutant) => {
    const outcome = await judge(court, mutant);
    outcomes.push(outcome);
    const { length } = outcomes;
    if (length % SAVE_EVERY === 0) {
      say(`${length} of ${sample.length} tried, ${outcomes.filter(isSurvivor).length} survived`);
      await cache.save();
    }
    const folder = folderOf(mutant.file);
    const ofFolder = outcomes.filter((of) => folderOf(of.mutant.file) === folder);
    const inSample = sample.filter(({ file }) => folderOf(file) === folder);
    if (values.output && ofFolder.length === inSample.length) {
      mkdirSync(values.output, { recursive: true });
      writeFileSync(join(values.output, `${folder}.txt`), `${formatReport(ofFolder)}\n`);
    }
    return outcome;
  });
}

function print(outcomes: readonly Outcome[]): number {
  const folders = countFolders(outcomes);
  if (values.json) {
    const survivors = sortSurvivors(outcomes).map((of) => ({
      ...entryOf(of.mutant, ""),
      id: of.mutant.id,
      line: of.mutant.line,
      status: of.status,
      diff: diffLines(sources.get(of.mutant.file) ?? "", of.mutant),
      tests: of.tests,
    }));
    const all = countOutcomes("all", outcomes);
    console.log(JSON.stringify({ seed: values.seed, folders, all, survivors, stale }));
  } else if (values.entries) {
    for (const { mutant } of sortSurvivors(outcomes))
      console.log(formatEntry(entryOf(mutant, "TODO")));
  } else {
    console.log(formatReport(outcomes));
  }
  for (const { file, original, mutated } of stale) {
    say(
      `no mutant answers any more to the entry of ${ACCEPTED} for ${file}: ${original} → ${mutated}`,
    );
  }
  const below = folders.filter(({ share }) => share * 100 < Number(values.min ?? 0));
  for (const { folder, share } of below) {
    say(`${folder}: ${(share * 100).toFixed(1)} % is below ${values.min} %`);
  }
  return below.length > 0 ? 1 : 0;
}

function formatReport(outcomes: readonly Outcome[]): string {
  const minutes = ((performance.now() - startedAt) / 60_000).toFixed(1);
  const head = `mutation testing: seed ${values.seed}, commit ${commit()}, ${minutes} minutes`;
  const table = formatTable(countFolders(outcomes), countOutcomes("all", outcomes));
  const list = sortSurvivors(outcomes).map((of) =>
    formatSurvivor(of, sources.get(of.mutant.file) ?? ""),
  );
  return [head, table, ...(list.length > 0 ? ["Survivors:"] : []), ...list].join("\n\n");
}

function commit(): string {
  return Bun.spawnSync(["git", "rev-parse", "--short", "HEAD"], { cwd: ROOT })
    .stdout.toString()
    .trim();
}

function sortSurvivors(outcomes: readonly Outcome[]): Outcome[] {
  return outcomes
    .filter(isSurvivor)
    .sort((a, b) => a.mutant.file.localeCompare(b.mutant.file) || a.mutant.line - b.mutant.line);
}

async function inParallel<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < items.length; i = next++) results[i] = await work(items[i] as T);
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  return results;
}

function positive(flag: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    refuse(`--${flag} takes a number from 1, not "${text}"`);
  return value;
}

function say(line: string): void {
  process.stderr.write(`• ${line}\n`);
}

function refuse(message: string): never {
  process.stderr.write(`${message}\n\n${USAGE}`);
  process.exit(2);
}
