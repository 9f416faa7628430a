// The first row, before anything is spent: its first role, and the prompts of the roles.

import { expect, test } from "bun:test";
import { previewFirstRow } from "../../src/run/preview.ts";
import { scanRows } from "../../src/run/scan-rows.ts";
import { withFolder } from "../parts/folder.ts";
import { prepareSmallRun, type SmallRun } from "./small-run.ts";

async function preview(folder: string, small: SmallRun = {}) {
  const plan = await prepareSmallRun(folder, small);
  const { firstRole, prompts } = await previewFirstRow(plan, await scanRows(plan, undefined));
  return { firstRole, prompts: Object.fromEntries(prompts) };
}

test("a preview names the first role and renders the prompts that need no earlier result", () =>
  withFolder(async (folder) => {
    expect(await preview(folder)).toEqual({
      firstRole: "student",
      prompts: { student: [{ role: "user", content: "What is 0 + 0?" }], grader: null },
    });
  }));

test("a prompt that reads a later result is left out, and one of the first role is a problem", () =>
  withFolder(async (folder) => {
    const overrides = ['roles.student.prompt={text="{{ last.score }}"}'];
    const second = [...overrides, 'orchestrator.roles=["grader", "student"]'];
    expect(await preview(folder, { overrides: second })).toEqual({
      firstRole: "grader",
      prompts: { student: null, grader: null },
    });
    await expect(preview(folder, { overrides })).rejects.toMatchObject({
      code: "recipe_invalid",
      message: "the first row: 1 problem",
      problems: [{ key: "roles.student.prompt" }],
    });
  }));

test("every prompt that misspells a field of the row is a problem, and one that reads another field is left out", () =>
  withFolder(async (folder) => {
    const role = (text: string) => `{agent="llm", model="m", prompt={text="${text}"}}`;
    const overrides = [
      `roles.second=${role("{{ row.questoin }}")}`,
      `roles.third=${role("{{ last.content }} {{ row.qestion }}")}`,
      `roles.fourth=${role("{{ row.hint }}")}`,
      'orchestrator.roles=["student", "grader", "second", "third", "fourth"]',
    ];
    const found = preview(folder, { overrides });
    await expect(found).rejects.toMatchObject({
      message: "the first row: 1 problem",
      problems: [{ key: "roles.second.prompt", message: expect.stringContaining("row.questoin") }],
    });
    const sound = [
      ...overrides.slice(1),
      'orchestrator.roles=["student", "grader", "third", "fourth"]',
    ];
    expect((await preview(folder, { overrides: sound })).prompts).toMatchObject({ fourth: null });
  }));

test("a shard without a row has no first role", () =>
  withFolder(async (folder) => {
    const small: SmallRun = { rows: 2, overrides: ["dataset.shard=3/4"] };
    expect(await preview(folder, small)).toEqual({ firstRole: null, prompts: {} });
  }));

const WITH_MODULE = `
name = "small"
[dataset]
path = "rows.jsonl"
[roles.grader]
agent = "grade.ts"
[orchestrator]
module = "rule.ts"
`;

test("a rule that cannot start the first row is a problem of the orchestrator", () =>
  withFolder(async (folder) => {
    const start = `() => { throw new Error("no start"); }`;
    const files = { "rule.ts": `export default { start: ${start}, next: ${start} };\n` };
    await expect(preview(folder, { recipe: WITH_MODULE, files })).rejects.toMatchObject({
      code: "recipe_invalid",
      message: "the first row: 1 problem",
      problems: [{ key: "orchestrator", message: expect.stringContaining("no start") }],
    });
  }));

test.each([
  ["too deep", `{"n": ${"[".repeat(300)}${"]".repeat(300)}}\n`],
  ["too large", `{"n": "${"x".repeat(65 * 2 ** 20)}"}\n`],
])("a first row that is %s fails alone, so it is no problem of the recipe", (_, row) =>
  withFolder(async (folder) => {
    const files = { "rows.jsonl": `${row}{"n": 1, "question": "Why?"}\n` };
    expect(await preview(folder, { files })).toEqual({ firstRole: null, prompts: {} });
  }),
);

test("a rule that ends the first row at once has no first role", () =>
  withFolder(async (folder) => {
    const end = `() => ({ done: "completed", score: null, outcome: null })`;
    const files = { "rule.ts": `export default { start: ${end}, next: ${end} };\n` };
    const made = await preview(folder, { recipe: WITH_MODULE, files });
    expect(made).toEqual({ firstRole: null, prompts: {} });
  }));

test("a task that forks at its start has no first role", () =>
  withFolder(async (folder) => {
    const rule = 'orchestrator={pattern="fan-out", roles=["student"], after=["grader"]}';
    const { firstRole } = await preview(folder, { overrides: [rule] });
    expect(firstRole).toBeNull();
  }));
