// Which runs can be replayed with which recipe.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { llmRolesOf, replayWork } from "../../src/run/replay.ts";
import { runRecipe } from "../../src/run/run-recipe.ts";
import { withFolder } from "../parts/folder.ts";
import { prepareSmallRun, type SmallRun } from "./small-run.ts";

/** Plays a small run into `folder/run`, and prepares its replay with another recipe. */
async function replayed(folder: string, other: SmallRun, first: SmallRun = {}) {
  const directory = join(folder, "run");
  await runRecipe(await prepareSmallRun(folder, { rows: 2, ...first }), { directory });
  const plan = await prepareSmallRun(folder, { rows: 2, ...first, ...other });
  const replay = directory;
  return replayWork(plan, { replay, directory: join(folder, "again"), checkpoint: undefined });
}

const RENAMED = [
  'roles.pupil={agent="llm", model="m", prompt={text="What is {{ row.question }}?"}}',
  'roles.student={agent="grade.ts"}',
  'orchestrator.roles=["pupil", "student", "grader"]',
];

test("a replay works on the records of the other run, with its trials, seed and rows", () =>
  withFolder(async (folder) => {
    const first = { overrides: ["run.trials=2", "run.seed=5"] };
    const { plan, rows } = await replayed(folder, { overrides: ["run.seed=6"] }, first);
    expect(rows).toMatchObject({
      ...{ expected: 4, trials: 2, seed: 5, simulated: true, replay: join(folder, "run") },
      scan: { rows: 4 },
    });
    expect([...plan.agents.keys()]).toEqual(["student", "grader"]);
    const stream = await rows.open();
    const drawn: string[] = [];
    for (let row = await stream.next(); row !== null; row = await stream.next())
      drawn.push(`${row.id}/${row.trial}`);
    expect(drawn.sort()).toEqual(["0/0", "0/1", "1/0", "1/1"]);
    await stream.close();
  }));

test("a replay cannot be written into the directory that it replays", () =>
  withFolder(async (folder) => {
    const plan = await prepareSmallRun(folder);
    const directory = join(folder, "run");
    for (const replay of [directory, `${directory}/../run`])
      await expect(
        replayWork(plan, { replay, directory, checkpoint: undefined }),
      ).rejects.toMatchObject({
        code: "usage",
        message: `--replay ${replay}: the replay is a run of its own, and cannot be written there`,
        hint: "choose another directory with -o",
      });
  }));

test("only a run directory can be replayed", () =>
  withFolder(async (folder) => {
    const plan = await prepareSmallRun(folder);
    const options = { replay: folder, directory: join(folder, "again"), checkpoint: undefined };
    await expect(replayWork(plan, options)).rejects.toMatchObject({
      code: "usage",
      message: `--replay ${folder} is not a run directory: it has no manifest.json`,
    });
  }));

test("a recipe whose roles that ask models all have other names is refused", () =>
  withFolder(async (folder) => {
    await expect(replayed(folder, { overrides: RENAMED })).rejects.toMatchObject({
      code: "run_refused",
      message: `${join(folder, "run")} cannot be replayed with this recipe: its llm roles are student, those of the recipe are pupil`,
      hint: "a replay may change rules, code and scores; roles that ask models keep their names",
    });
  }));

test("a recipe without a role that asks a model cannot replay a run with one", () =>
  withFolder(async (folder) => {
    const overrides = ['roles.student={agent="grade.ts"}'];
    await expect(replayed(folder, { overrides })).rejects.toThrow(
      "its llm roles are student, those of the recipe are none",
    );
  }));

test("runs without models can be replayed", () =>
  withFolder(async (folder) => {
    const first = { overrides: ['roles.student={agent="grade.ts"}'] };
    expect((await replayed(folder, {}, first)).rows.expected).toBe(2);
  }));

test("a changed prompt, schema or sampling is refused with its key", () =>
  withFolder(async (folder) => {
    const refused = async (overrides: readonly string[], key: string) =>
      expect(
        replayed(join(folder, key), { overrides }).then(
          () => null,
          (thrown: unknown) => thrown,
        ),
      ).resolves.toMatchObject({
        code: "run_refused",
        problems: [{ key, message: "it differs from the run whose answers are replayed" }],
        hint: "a replay may change rules, code and scores; for other prompts, start a new run",
      });
    await refused(['roles.student.prompt={text="Else?"}'], "roles.student.prompt");
    await refused(['roles.student.system={text="Be short."}'], "roles.student.system");
    await refused(["roles.student.sampling={temperature=1}"], "roles.student.sampling");
  }));

test("a prompt in a file is compared by its text, wherever the file is", () =>
  withFolder(async (folder) => {
    const first = { overrides: ["roles.student.prompt=a.md"], files: { "a.md": "Say." } };
    const same = { overrides: ["roles.student.prompt=b.md"], files: { "b.md": "Say." } };
    await replayed(join(folder, "same"), same, first);
    const other = { overrides: ["roles.student.prompt=b.md"], files: { "b.md": "Sing." } };
    await expect(replayed(join(folder, "other"), other, first)).rejects.toMatchObject({
      problems: [{ key: "roles.student.prompt" }],
    });
  }));

test("rules, code, models and accepted reasons may change", () =>
  withFolder(async (folder) => {
    const overrides = [
      'roles.student.accepts=["cut"]',
      'models.m.latency="2ms"',
      "run.concurrency=1",
    ];
    expect((await replayed(folder, { overrides })).rows.expected).toBe(2);
  }));

test("the roles that ask models are those whose agent is llm", () => {
  const roles = { a: { agent: "llm" }, b: { agent: "b.ts" }, "c.d": { agent: "llm" } };
  expect(llmRolesOf({ roles })).toEqual(["a", "c.d"]);
  expect(llmRolesOf({})).toEqual([]);
});
