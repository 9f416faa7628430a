// Mutation testing: changes one small thing in src/ at a time and runs the nearest tests. A change that
// no test notices is a survivor. Stryker's instrumenter puts all mutants of a sample into one copy of
// the project, each behind a switch, so a trial costs one start of `bun test` and no build.
//
// Usage: scripts/mutate [options], see USAGE below. How to read the result: docs/mutation-testing.md.

import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { entryOf, formatEntry, matchAccepted, readAccepted } from "./accepted.ts";
import { openCache } from "./cache.ts";
import { createCompiler } from "./compile.ts";
import { dryRun, type Marks, type TestFile } from "./dry-run.ts";
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
import { drawSample } from "./sample.ts";
import { copyProject, listProject } from "./tree.ts";
import { nearestFirst, tryMutant, type Verdict } from "./trial.ts";

const USAGE = `Usage: scripts/mutate [options]

Changes one small thing in src/ at a time, and counts how many changes the tests notice.

  --folder NAME     only this folder of src/; may be given several times ("src" is its own files)
  --file PATH       only this file; may be given several times
  --changed         only files that differ from the main branch
  --per-folder N    mutants drawn from each folder (40)
  --seed TEXT       seed of the sample (0)
  --jobs N          test processes at a time (the number of cores)
  --min PERCENT     exit with 1 where a folder's share of noticed mutants is lower
  --fresh           ask nothing from the cache of earlier runs
  --json            print one JSON object instead of the table and the list
  --entries         print the survivors as entries for scripts/mutation/accepted.toml
  --keep            leave the copy of the project in place, and print where it is

Progress goes to stderr. Exit codes: 0 done, 1 a share is below --min, 2 wrong usage.
`;

const ROOT = resolve(import.meta.dir, "../..");
const ACCEPTED = "scripts/mutation/accepted.toml";
const CACHE = "node_modules/.cache/matrix-mutation/cache.json";
/** Verdicts between two writes of the cache: an interrupted run goes on from there. */
const SAVE_EVERY = 20;

/** Names of the binary in a test file and what it imports. Tests that start it cannot notice a mutant. */
const STARTS_BINARY = /\b(?:spawnMatrix|BINARY|matrix\()/;

const { values } = parseArgs({
  options: {
    folder: { type: "string", multiple: true },
    file: { type: "string", multiple: true },
    changed: { type: "boolean", default: false },
    "per-folder": { type: "string", default: "40" },
    seed: { type: "string", default: "0" },
    jobs: { type: "string", default: `${availableParallelism()}` },
    min: { type: "string" },
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

const tree = await copyProject(ROOT, project, false);
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
  say(
    `drawing ${perFolder} mutants a folder, seed ${values.seed}, and leaving out what tsc refuses`,
  );
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  const compiler = createCompiler(tree, tsc, sources, cache.refused);
  const folders = Map.groupBy(
    mutants.filter(({ file }) => chosen.has(file)),
    ({ file }) => folderOf(file),
  );
  // All folders at once: a pass of the compiler takes one mutant of every file.
  const drawing = new Map(
    [...folders].map(([folder, of]) => [folder, { of, drawn: [] as Mutant[] }]),
  );
  const batched = batchCalls(compiler.refused, drawing.size);
  const samples = await Promise.all(
    [...drawing.values()].map(({ of }) =>
      drawSample(of, perFolder, values.seed, batched.call).finally(batched.leave),
    ),
  );
  return samples.flat();
}

/** Gathers one call of each of `callers` into one, until they leave. */
function batchCalls(
  work: (mutants: readonly Mutant[]) => Promise<ReadonlySet<string>>,
  callers: number,
) {
  let present = callers;
  let waiting: { mutants: readonly Mutant[]; done: (ids: ReadonlySet<string>) => void }[] = [];
  const flush = async () => {
    if (waiting.length === 0 || waiting.length < present) return;
    const calls = waiting;
    waiting = [];
    const refused = await work(calls.flatMap(({ mutants }) => mutants));
    for (const { done } of calls) done(refused);
  };
  return {
    call: (mutants: readonly Mutant[]) =>
      new Promise<ReadonlySet<string>>((done) => {
        waiting.push({ mutants, done });
        void flush();
      }),
    leave: () => {
      present--;
      void flush();
    },
  };
}

/** The dry run over the test files that import a file of the sample; tests/e2e starts the binary. */
async function observeTests(sample: readonly Mutant[]): Promise<TestFile[]> {
  const mutated = new Set(sample.map(({ file }) => file));
  const paths = project.filter(
    (path) =>
      /^tests\/(?!e2e\/).*\.test\.ts$/.test(path) &&
      [...graph.distances(path).keys()].some((file) => mutated.has(file)),
  );
  let base = 0;
  const bases = [...instrumented.values()].map(({ file, mutants: { length: count } }) => {
    base += count;
    return { file, base: base - count, count };
  });
  const marks: Marks = { total: base, bases };
  for (const { file, base } of bases) {
    await tree.write(file, instrumented.get(file)?.coverageText(base, marks.total) ?? "");
  }
  say(`running ${paths.length} test files without a mutant`);
  const found = await inParallel(paths, async (path) => {
    const isMirrored = sample.some(({ file }) => folderOf(file) === folderOf(path));
    const key = `${path} ${isMirrored} ${graph.digest(path, () => true)}`;
    const known = cache.dryRuns.get(key);
    if (known) return known;
    const observed = await dryRun(tree, path, marks, {
      startsBinary: startsBinary(path),
      isMirrored,
    });
    cache.dryRuns.set(key, observed);
    await cache.save();
    return observed;
  });
  for (const test of found) if ("reason" in test) say(`left out ${test.path}: ${test.reason}`);
  return found.filter((test): test is TestFile => !("reason" in test));
}

function startsBinary(test: string): boolean {
  return [...graph.distances(test).keys()].some(
    (file) =>
      file.startsWith("tests/") &&
      file !== "tests/matrix.ts" &&
      STARTS_BINARY.test(readFileSync(join(ROOT, file), "utf8")),
  );
}

async function tryAll(sample: readonly Mutant[], tests: readonly TestFile[]): Promise<Outcome[]> {
  const ids = new Set(sample.map(({ id }) => id));
  for (const { file, source, switchText } of instrumented.values()) {
    const isMutated = sample.some((mutant) => mutant.file === file);
    await tree.write(file, isMutated ? switchText(ids) : source);
  }
  say(`trying ${sample.length} mutants`);
  let done = 0;
  let survivors = 0;
  return inParallel(sample, async (mutant): Promise<Outcome> => {
    const near = nearestFirst(mutant, tests, graph);
    const paths = near.map(({ path }) => path);
    const verdict = acceptedIds.has(mutant.id)
      ? ({ status: "accepted", by: null } as const)
      : await verdictOf(mutant, near);
    if (isSurvivor(verdict)) survivors++;
    if (++done % SAVE_EVERY === 0) {
      say(`${done} of ${sample.length} tried, ${survivors} survived`);
      await cache.save();
    }
    return { mutant, status: verdict.status, by: verdict.by, tests: paths };
  });
}

/** An earlier verdict holds while the mutated file and the tests that decided it read the same. */
async function verdictOf(mutant: Mutant, tests: readonly TestFile[]): Promise<Verdict> {
  const key = `${mutant.id} ${graph.digest(mutant.file, (file) => file === mutant.file)}`;
  const restsOn = (by: string | null) =>
    tests
      .filter(({ path }) => by === null || by === path)
      .map(({ path }) => `${path} ${graph.digest(path, (file) => file.startsWith("tests/"))}`)
      .sort()
      .join();
  const known = cache.verdicts.get(key);
  if (known && known.restsOn === `${Bun.hash(restsOn(known.by))}`) return known;
  const verdict = await tryMutant(tree, mutant, tests);
  cache.verdicts.set(key, { ...verdict, restsOn: `${Bun.hash(restsOn(verdict.by))}` });
  return verdict;
}

function print(outcomes: readonly Outcome[]): number {
  const folders = countFolders(outcomes);
  const all = countOutcomes("all", outcomes);
  const survivors = outcomes
    .filter(isSurvivor)
    .sort((a, b) => a.mutant.file.localeCompare(b.mutant.file) || a.mutant.line - b.mutant.line);
  const sourceOf = ({ mutant }: Outcome) => sources.get(mutant.file) ?? "";
  if (values.json) {
    const described = survivors.map((of) => ({
      ...entryOf(of.mutant, ""),
      id: of.mutant.id,
      line: of.mutant.line,
      status: of.status,
      diff: diffLines(sourceOf(of), of.mutant),
      tests: of.tests,
    }));
    console.log(JSON.stringify({ seed: values.seed, folders, all, survivors: described, stale }));
  } else {
    const minutes = ((performance.now() - startedAt) / 60_000).toFixed(1);
    console.log(`mutation testing: seed ${values.seed}, commit ${commit()}, ${minutes} minutes\n`);
    console.log(formatTable(folders, all));
    const list = survivors.map((of) =>
      values.entries ? formatEntry(entryOf(of.mutant, "TODO")) : formatSurvivor(of, sourceOf(of)),
    );
    if (list.length > 0) console.log(`\nSurvivors:\n\n${list.join("\n\n")}`);
    for (const entry of stale) {
      console.log(`\nstale in ${ACCEPTED}: ${entry.file}, ${entry.original} → ${entry.mutated}`);
    }
  }
  const below = folders.filter(({ share }) => share * 100 < Number(values.min ?? 0));
  for (const { folder, share } of below) {
    say(`${folder}: ${(share * 100).toFixed(1)} % is below ${values.min} %`);
  }
  return below.length > 0 ? 1 : 0;
}

function commit(): string {
  return Bun.spawnSync(["git", "rev-parse", "--short", "HEAD"], { cwd: ROOT })
    .stdout.toString()
    .trim();
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
