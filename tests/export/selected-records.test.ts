// Run directories are opened and their records selected, as an export does.

import { expect, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Selected } from "../../src/export/contract.ts";
import { openai } from "../../src/export/formats/openai.ts";
import { tau2 } from "../../src/export/formats/tau2.ts";
import { selectRecords } from "../../src/export/selected-records.ts";
import type { SelectionRules } from "../../src/export/selection.ts";
import { openSources, type Source } from "../../src/export/sources.ts";
import { ExportTally } from "../../src/export/tally.ts";
import { AnnotationFile } from "../../src/records/annotations/annotation-file.ts";
import { withFolder } from "../parts/folder.ts";
import { DIALOGUE, type Made, said, TOOL_LOOP, writeRun } from "../parts/run-directory.ts";

const RULES: SelectionRules = {
  ...{ include: new Set<never>(), filter: null, annotated: null, minScore: null, dedupe: null },
};
const PERSPECTIVE = { as: null, trainOn: null, tools: null, withPrompts: true };

const talk = (id: string, more: Partial<Made> = {}): Made => ({
  id,
  row: { question: "Why?" },
  history: [["student", said(`Answer ${id}`)]],
  ...more,
});

const MADE: readonly Made[] = [
  talk("1"),
  talk("2", { status: "failed" }),
  talk("3", { score: 0.5 }),
  talk("4", { history: [["student", { ...said("No"), finish_reason: "length" }]] }),
  talk("5", { history: [["judge", 1]] }),
  talk("6", { history: [["student", said("Answer 1")]] }),
];

/** Selects the records of the run, in an export to this format. */
async function selected(
  rules: Partial<SelectionRules>,
  format = openai,
): Promise<{ all: Selected[]; tally: ExportTally; sources: readonly Source[] }> {
  return withFolder(async (folder) => {
    const run = join(folder, "run");
    await writeRun(run, DIALOGUE, MADE);
    const options = { directories: [run], format, rules: { ...RULES, ...rules } };
    const sources = await openSources({ ...options, perspective: PERSPECTIVE });
    const tally = new ExportTally();
    const all: Selected[] = [];
    for await (const batch of selectRecords(sources, format.reads, options.rules, tally))
      all.push(...batch);
    return { all, tally, sources };
  });
}

test("selected records have their number, their run and their conversation", async () => {
  const { all, tally } = await selected({});
  expect(all.map(({ number, record }) => [number, record.id])).toEqual([
    [0, "1"],
    [2, "3"],
    [5, "6"],
  ]);
  expect(all[0]?.run.name).toBe("talk");
  expect(all[0]?.conversation?.turns.map(({ content }) => content)).toEqual([
    "You study.",
    "Why?",
    "Answer 1",
  ]);
  expect(tally).toMatchObject({ records: 6, simulated: true });
  expect(tally.leftOut).toMatchObject({ not_ok: 1, unanswered: 1, no_trained_turn: 1 });
  expect([...tally.models]).toEqual([["simulated:m", { answers: 3, completionTokens: 15 }]]);
});

test("a record without a score is left out by --min-score", async () => {
  const { all, tally } = await selected({ minScore: 0 });
  expect(all.map(({ record }) => record.id)).toEqual(["3"]);
  expect(tally.leftOut.below_min_score).toBe(4);
});

test("the first of two duplicates is selected", async () => {
  const { all, tally } = await selected({ dedupe: "exact", include: new Set(["cut"]) });
  expect(all.map(({ record }) => record.id)).toEqual(["1", "3", "4"]);
  expect(tally.leftOut.duplicate).toBe(1);
});

test("a format of whole records takes records without a conversation", async () => {
  const { all, tally, sources } = await selected({}, tau2);
  expect(sources[0]?.perspective).toBeNull();
  expect(all.map(({ record, conversation }) => [record.id, conversation])).toEqual([
    ["1", null],
    ["3", null],
    ["4", null],
    ["5", null],
    ["6", null],
  ]);
  expect(tally.leftOut).toMatchObject({ not_ok: 1, unanswered: 0, no_trained_turn: 0 });
});

test("duplicates of whole records are found by their conversations", async () => {
  const { all, tally, sources } = await selected({ dedupe: "exact" }, tau2);
  expect(sources[0]?.perspective?.assistant).toBe("student");
  expect(all.map(({ record }) => record.id)).toEqual(["1", "3", "4", "5"]);
  expect(tally.leftOut.duplicate).toBe(1);
});

test("records of several runs are numbered through, each by the recipe of its run", () =>
  withFolder(async (folder) => {
    const [first, second] = [join(folder, "first"), join(folder, "second")];
    await writeRun(first, DIALOGUE, [talk("1")]);
    await writeRun(second, TOOL_LOOP, [talk("1", { history: [["solver", said("Ann")]] })]);
    const directories = [first, second];
    const sources = await openSources({
      ...{ directories, format: openai, rules: RULES, perspective: PERSPECTIVE },
    });
    expect(sources.map(({ directory, manifest }) => [directory, manifest.name])).toEqual([
      [first, "talk"],
      [second, "helpdesk"],
    ]);
    const all: Selected[] = [];
    for await (const batch of selectRecords(sources, "conversations", RULES, new ExportTally()))
      all.push(...batch);
    expect(
      all.map(({ number, run, conversation }) => [
        ...[number, run.name, conversation?.turns[0]?.content],
      ]),
    ).toEqual([
      [0, "talk", "You study."],
      [1, "helpdesk", "You help."],
    ]);
  }));

test("duplicates are found across runs", () =>
  withFolder(async (folder) => {
    const directories = [join(folder, "first"), join(folder, "second")];
    for (const directory of directories) await writeRun(directory, DIALOGUE, [talk("1")]);
    const rules = { ...RULES, dedupe: "exact" } as const;
    const sources = await openSources({
      ...{ directories, format: openai, rules, perspective: PERSPECTIVE },
    });
    const tally = new ExportTally();
    for await (const _ of selectRecords(sources, "conversations", rules, tally));
    expect(tally).toMatchObject({ records: 2, leftOut: { duplicate: 1 } });
  }));

test("a folder without a manifest is not a run directory", () =>
  withFolder(async (folder) => {
    await mkdir(join(folder, "empty"));
    const directories = [join(folder, "empty")];
    const sources = openSources({
      ...{ directories, format: tau2, rules: RULES, perspective: PERSPECTIVE },
    });
    await expect(sources).rejects.toMatchObject({
      code: "usage",
      message: `${directories[0]} is not a run directory: it has no manifest.json`,
    });
  }));

test("an export takes the records that people accepted, from each run's own annotations", () =>
  withFolder(async (folder) => {
    const directories = [join(folder, "one"), join(folder, "two")];
    for (const directory of directories) await writeRun(directory, DIALOGUE, [talk("1", {})]);
    const statement = { at: "", who: "ann", id: "1", trial: 0, attempt: 1 };
    await new AnnotationFile(directories[1] ?? "").append([{ ...statement, verdict: "accepted" }]);
    const rules = { ...RULES, annotated: { verdict: "accepted" as const } };
    const sources = await openSources({
      ...{ directories, format: openai, rules, perspective: PERSPECTIVE },
    });
    const tally = new ExportTally();
    const numbers: number[] = [];
    for await (const batch of selectRecords(sources, openai.reads, rules, tally))
      numbers.push(...batch.map(({ number }) => number));
    expect(numbers).toEqual([1]);
    expect(tally.leftOut.not_annotated).toBe(1);
  }));
